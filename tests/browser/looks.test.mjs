/**
 * Every view in light mode, in dark mode and on a narrow screen is accessible and not cut off.
 * Screenshots are written to `target/browser/`.
 */

import assert from "node:assert/strict";

import {
  authorize, button, codeField, connect, field, heading, needsBinary, newEmail, openDiscogs, register, screenshot,
  story, visibleText, world,
} from "./harness.mjs";

const LOOKS = [
  { look: "light", colorScheme: "light", viewport: { width: 1280, height: 800 } },
  { look: "dark", colorScheme: "dark", viewport: { width: 1280, height: 800 } },
  { look: "narrow", colorScheme: "light", viewport: { width: 320, height: 640 } },
];

/** Checks the current view in every look. */
async function inspect(page, name) {
  for (const { look, colorScheme, viewport } of LOOKS) {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    await page.setViewportSize(viewport);
    const violations = await page.evaluate(async () => {
      const { violations } = await window.axe.run();
      return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
    });
    await screenshot(page, `${name}-${look}`);
    assert.deepEqual(violations, [], `${name}, ${look}`);
    const tooWide = await page.evaluate(() => {
      const { scrollWidth, clientWidth } = document.scrollingElement;
      return scrollWidth - clientWidth;
    });
    assert.equal(tooWide, 0, `${name}, ${look}`);
    assert.deepEqual(await smallTargets(page), [], `${name}, ${look}`);
  }
}

/** Returns buttons and inputs smaller than 24 pixels. WCAG exempts links within a sentence. */
const smallTargets = (page) =>
  page.evaluate(() =>
    [...document.querySelectorAll("button, input")]
      .map((target) => ({ target, box: target.getBoundingClientRect() }))
      .filter(({ box }) => box.width > 0 && (box.width < 24 || box.height < 24))
      .map(({ target }) => target.outerHTML),
  );

const looks = { axe: true };

story("before signing in", looks, async (page) => {
  await inspect(page, "sign-in");
  await field(page, "Email address").fill(newEmail());
  await field(page, "Password").fill("wrong password");
  await button(page, "Sign in").click();
  await visibleText(page, "Wrong email address or password.").waitFor();
  await inspect(page, "sign-in-refused");

  await page.getByRole("link", { name: "Create an account" }).click();
  await heading(page, "Create an account").waitFor();
  await inspect(page, "register");
  await field(page, "Email address").fill("digger at example");
  await field(page, "Password").fill("short");
  await button(page, "Create account").click();
  await visibleText(page, "Use at least 8 characters.").waitFor();
  await inspect(page, "register-bad-input");
});

story("from not connected to connected and back", looks, async (page) => {
  await register(page);
  await inspect(page, "not-connected");
  await openDiscogs(page);
  await inspect(page, "pending");
  await codeField(page).fill("wrong");
  await button(page, "Finish connecting").click();
  await page.locator("#pin[aria-invalid=true]").waitFor();
  await inspect(page, "pin-refused");

  const code = await authorize(await openDiscogs(page, "Start again"));
  await codeField(page).fill(code);
  await button(page, "Finish connecting").click();
  await visibleText(page, "Connected. Happy digging!").waitFor();
  await inspect(page, "connected");
  await button(page, "Disconnect…").click();
  await inspect(page, "disconnecting");
});

story("an attempt that is over", looks, async (page) => {
  await register(page);
  await openDiscogs(page);
  for (const wrong of ["first", "second"]) {
    await codeField(page).fill(wrong);
    await button(page, "Finish connecting").click();
    await page.locator("#pin[aria-invalid=true]").waitFor();
  }
  await codeField(page).fill("third");
  await button(page, "Finish connecting").click();
  await heading(page, "This attempt is over").waitFor();
  await inspect(page, "attempt-over");
});

story("a session that has ended", looks, async (page) => {
  await register(page);
  await page.evaluate(() => sessionStorage.setItem("discogsography.access_token", "e30.e30.e30"));
  await button(page, "Refresh").click();
  await visibleText(page, "Your session has expired.").waitFor();
  await inspect(page, "session-ended");
});

story("what an admin sees", { ...looks, ...needsBinary }, async (page) => {
  const email = await register(page);
  await connect(page);
  await world.service.command("admin", "grant", email);
  await page.reload();
  await heading(page, "App credentials").waitFor();
  await field(page, "Consumer key").fill("AbCdEfGhIjKlMnOpQrSt");
  await page.getByRole("button", { name: "Set", exact: true }).first().click();
  await visibleText(page, "Consumer key saved.").waitFor();
  await inspect(page, "admin");
  await button(page, "Remove consumer key…").click();
  await heading(page, "Remove the consumer key?").waitFor();
  await inspect(page, "admin-removing");
});

story("the pages of the sandbox", looks, async (page) => {
  await register(page);
  const tab = await openDiscogs(page);
  await inspect(tab, "sandbox-question");
  await tab.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  const code = await authorize(tab);
  await button(tab, "Copy code").click();
  await visibleText(tab, "Copied.").waitFor();
  assert.equal(await tab.evaluate(() => navigator.clipboard.readText()), code);
  await inspect(tab, "sandbox-code");

  const denied = await openDiscogs(page, "Start again");
  await button(denied, "Deny").click();
  await heading(denied, "Access denied").waitFor();
  await inspect(denied, "sandbox-denied");
});

story("a service that can't be reached", looks, async (page) => {
  await register(page);
  await page.route("**/api/auth/me", (route) => route.abort());
  await page.reload();
  await heading(page, "Your account can't be shown right now").waitFor();
  await inspect(page, "unreachable");
});

story("without JavaScript the page says that it needs it", { context: { javaScriptEnabled: false } }, async (page) => {
  await heading(page, "This page needs JavaScript").waitFor();
  await screenshot(page, "no-javascript");
});
