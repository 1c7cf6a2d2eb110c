/** The program in docs/front-end.md does what the guide says, from a page of another origin. */

import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { test } from "node:test";

import { PASSWORD, authorize, button, newEmail, world } from "./harness.mjs";

/** The guide's pieces, put together, with the service's address in place of the example's. */
async function program() {
  const guide = await readFile(new URL("../../docs/front-end.md", import.meta.url), "utf8");
  const pieces = [...guide.matchAll(/```js\n([^]*?)```/g)].map(([, piece]) => piece);
  return pieces.join("\n").replace("https://api.example.com", world.service.url);
}

test("the guide's program works on a page of another origin", async () => {
  const script = await program();
  const elsewhere = createServer((request, response) => {
    if (request.url === "/guide.js") return response.setHeader("Content-Type", "text/javascript").end(script);
    response.setHeader("Content-Type", "text/html").end('<!DOCTYPE html><script src="/guide.js"></script><button>Connect</button>');
  }).listen(0, "127.0.0.1");
  await once(elsewhere, "listening");
  const context = await world.browser.newContext();
  try {
    const page = await context.newPage();
    await page.goto(`http://127.0.0.1:${elsewhere.address().port}`);
    await tellTheStory(page);
  } finally {
    await context.close();
    elsewhere.closeAllConnections();
    elsewhere.close();
  }
});

async function tellTheStory(page) {
  const run = (work, argument) => page.evaluate(work, argument);
  const email = newEmail();

  const bad = await run(() => register("nobody", "short").catch((error) => fieldErrors(error)));
  assert.deepEqual(bad, {
    email: "Value error, Invalid email address",
    password: "String should have at least 8 characters",
  });
  const { token, expiresAt } = await run(({ email, password }) => register(email, password), { email, password: PASSWORD });
  assert.ok(expiresAt > Date.now());
  const again = await run(({ email, password }) => register(email, password).catch(({ code }) => code), { email, password: PASSWORD });
  assert.equal(again, "email_taken");
  const stranger = await run(() => disconnect("nobody's").catch(({ code }) => nextStep(code)));
  assert.equal(stranger, "sign in again");

  await run((token) => {
    sessionStorage.setItem("token", token);
    document.querySelector("button").onclick = () => {
      window.pending = startConnection(token);
    };
  }, token);
  const opened = page.waitForEvent("popup");
  await button(page, "Connect").click();
  const tab = await opened;
  await button(tab, "Authorize").waitFor();
  assert.equal(await tab.evaluate(() => window.opener), null);
  await tab.goto(page.url());
  assert.equal(await tab.evaluate(() => sessionStorage.length), 0);
  await tab.goBack();
  const { state, authorize_url, expires_in, tabOpened } = await run(() => window.pending);
  assert.deepEqual({ address: tab.url(), expires_in, tabOpened }, { address: authorize_url, expires_in: 600, tabOpened: true });

  const pin = await authorize(tab);
  const finish = { token, state, pin: `"${pin}"\n` };
  const finished = await run(({ token, state, pin }) => finishConnection(token, state, pin), finish);
  assert.equal(finished.connected, true);
  assert.equal(typeof finished.discogs_user_id, "string");
  const twice = await run(
    ({ token, state, pin }) => finishConnection(token, state, pin).catch(({ code }) => nextStep(code)),
    finish,
  );
  assert.equal(twice, "ask status, and start again unless it says connected");
  assert.deepEqual(await run((token) => disconnect(token), token), { connected: false });
}
