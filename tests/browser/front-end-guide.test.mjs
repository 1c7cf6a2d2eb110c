/**
 * The code in docs/front-end.md works on a page of another origin, and docs/front-end-example.html
 * works when it is opened as a file.
 */

import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

import { PASSWORD, authorize, button, newEmail, world } from "./harness.mjs";

/** Returns the guide's code, with the service's URL in place of the example's. */
async function guideCode() {
  return (await pieces()).join("\n").replace("https://api.example.com", world.service.url);
}

test("the guide's code works on a page of another origin", async () => {
  const script = await guideCode();
  const elsewhere = createServer((request, response) => {
    if (request.url === "/guide.js") return response.setHeader("Content-Type", "text/javascript").end(script);
    response.setHeader("Content-Type", "text/html").end('<!DOCTYPE html><script src="/guide.js"></script><button>Connect</button>');
  }).listen(0, "127.0.0.1");
  await once(elsewhere, "listening");
  const context = await world.browser.newContext();
  try {
    const page = await context.newPage();
    await page.goto(`http://127.0.0.1:${elsewhere.address().port}`);
    await useGuide(page);
  } finally {
    await context.close();
    elsewhere.closeAllConnections();
    elsewhere.close();
  }
});

async function useGuide(page) {
  const run = (work, argument) => page.evaluate(work, argument);
  const email = newEmail();

  const bad = await run(() => register("nobody", "short").catch((error) => fieldErrors(error)));
  assert.deepEqual(bad, {
    email: "This is not a valid email address.",
    password: "Use at least 8 characters.",
  });
  const { token, expiresAt } = await run(({ email, password }) => register(email, password), { email, password: PASSWORD });
  assert.ok(expiresAt > Date.now());
  const again = await run(({ email, password }) => register(email, password).catch(({ code }) => code), { email, password: PASSWORD });
  assert.equal(again, "email_taken");
  const stranger = await run(() => disconnect("invalid").catch(nextStep));
  assert.equal(stranger, "sign-in");

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

  const code = await authorize(tab);
  const finish = { token, state, code: `"${code}"\n` };
  const finished = await run(({ token, state, code }) => finishConnection(token, state, code), finish);
  assert.equal(finished.connected, true);
  assert.equal(typeof finished.discogs_user_id, "string");
  const twice = await run(
    ({ token, state, code }) => finishConnection(token, state, code).catch(nextStep),
    finish,
  );
  assert.equal(twice, "ask-status");
  assert.deepEqual(await run((token) => disconnect(token), token), { connected: false });
}

const pieces = async () => {
  const guide = await readFile(new URL("../../docs/front-end.md", import.meta.url), "utf8");
  return [...guide.matchAll(/```js\n([^]*?)```/g)].map(([, piece]) => piece);
};
const EXAMPLE = new URL("../../docs/front-end-example.html", import.meta.url);

test("the example contains all code of the guide", async () => {
  const example = (await readFile(EXAMPLE, "utf8")).replace("http://127.0.0.1:8004", "https://api.example.com");
  for (const piece of await pieces()) assert.ok(example.includes(piece), piece);
});

/** Opens the example as a file, with the URL of the service under test. */
async function withExample(check) {
  const folder = await mkdtemp(join(tmpdir(), "discogsography-example-"));
  const context = await world.browser.newContext();
  try {
    const html = await readFile(EXAMPLE, "utf8");
    const path = join(folder, "example.html");
    await writeFile(path, html.replace("http://127.0.0.1:8004", world.service.url));
    const page = await context.newPage();
    const errors = [];
    page.on("pageerror", (error) => errors.push(error.message));
    await page.goto(pathToFileURL(path).href);
    await check(page);
    assert.deepEqual(errors, []);
  } finally {
    await context.close();
    await rm(folder, { recursive: true });
  }
}

test("the example works when it is opened as a file", async () => {
  await withExample(async (page) => {
    await page.getByLabel("Email address").fill("nobody");
    await page.getByLabel("Password").fill("short");
    await button(page, "Create an account").click();
    await page.getByText("This is not a valid email address.").waitFor();
    await page.getByLabel("Email address").fill(newEmail());
    await page.getByLabel("Password").fill(PASSWORD);
    await button(page, "Create an account").click();
    await page.getByText("Not connected.").waitFor();

    const opened = page.waitForEvent("popup");
    await button(page, "Connect Discogs").click();
    const tab = await opened;
    await button(tab, "Authorize").waitFor();
    const code = await authorize(tab);
    await page.getByLabel("Code").fill("wrong");
    await button(page, "Finish connecting").click();
    await page.getByText("Invalid verifier code or OAuth flow failed").waitFor();
    await page.getByLabel("Code").fill(code);
    await button(page, "Finish connecting").click();
    await page.getByText("Connected as sandbox_digger.").waitFor();
    await page.reload();
    await page.getByText("Connected as sandbox_digger.").waitFor();
    await button(page, "Disconnect").click();
    await page.getByText("Not connected.").waitFor();
    await button(page, "Sign out").click();
    await button(page, "Sign in").waitFor();
  });
});

// The service can't be made to send these answers, so the browser replaces them.
for (const [name, answer, words] of [
  ["there is no connection", (route) => route.abort(), "Can't reach the service. Check your internet connection and try again."],
  [
    "a gateway answers with HTML",
    (route) => route.fulfill({ status: 502, contentType: "text/html", body: "<h1>Bad Gateway</h1>", headers: { "Access-Control-Allow-Origin": "*" } }),
    "The service sent an unexpected answer. Try again in a moment.",
  ],
  [
    "an error has no Retry-After",
    (route) => route.fulfill({ status: 503, json: { detail: "The service is busy.", code: "overloaded" }, headers: { "Access-Control-Allow-Origin": "*" } }),
    "The service is busy.",
  ],
]) {
  test(`the example shows a message when ${name}`, async () => {
    await withExample(async (page) => {
      await page.route("**/api/auth/login", answer);
      await page.getByLabel("Email address").fill("digger@example.com");
      await page.getByLabel("Password").fill(PASSWORD);
      await button(page, "Sign in").click();
      await page.getByText(words, { exact: true }).waitFor();
    });
  });
}

test("the example shows a message when there is no answer in time", async () => {
  await withExample(async (page) => {
    await page.evaluate(() => {
      AbortSignal.timeout = () => AbortSignal.abort(new DOMException("", "TimeoutError"));
    });
    await page.getByLabel("Password").fill(PASSWORD);
    await button(page, "Sign in").click();
    await page.getByText("No answer within 25 seconds. Try again to find out whether it worked.").waitFor();
  });
});
