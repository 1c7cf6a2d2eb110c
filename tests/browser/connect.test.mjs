/** Connecting Discogs on the sandbox's own page, and disconnecting. */

import assert from "node:assert/strict";
import { test } from "node:test";

import {
  assertFocused, authorize, button, callAsUser, codeField, connect, field, heading,
  needsBinary, openDiscogs, register, screenshot, signIn, startService, story, visibleText, world,
} from "./harness.mjs";

const PENDING = "discogsography.pending_authorization";
const VERIFY = "/api/oauth/verify/discogs";

const finish = (page) => button(page, "Finish connecting");

story("a user who authorizes on Discogs and pastes the code is connected", async (page) => {
  await register(page);
  const tab = await openDiscogs(page);
  assert.equal(await tab.evaluate(() => window.opener), null);
  assert.equal(await tab.evaluate(() => document.referrer), "");
  await assertFocused(codeField(page));
  await visibleText(page, "9 minutes left to enter the code.").waitFor();
  const code = await authorize(tab);
  await tab.close();

  await codeField(page).fill(` “${code}” `);
  await finish(page).click();
  await visibleText(page, "Connected. Happy digging!").waitFor();
  await assertFocused(heading(page, "Discogs"));
  assert.equal(await page.locator("#discogs-username").innerText(), "sandbox_digger");
  const since = await page.locator("#discogs-since").getAttribute("datetime");
  assert.ok(Math.abs(Date.parse(since) - Date.now()) < 60_000, since);
  assert.equal(await page.evaluate((name) => sessionStorage.getItem(name), PENDING), null);

  await page.reload();
  await visibleText(page, "sandbox_digger").waitFor();
});

story("the Discogs tab has no copy of the access token", async (page, service) => {
  await register(page);
  const tab = await openDiscogs(page);
  assert.notEqual(await page.evaluate(() => sessionStorage.getItem("discogsography.access_token")), null);
  assert.notEqual(await page.evaluate((name) => sessionStorage.getItem(name), PENDING), null);
  await button(page, "Sign out").click();
  await tab.goto(service.url);
  await heading(tab, "Sign in").waitFor();
  assert.equal(await tab.evaluate(() => sessionStorage.length + localStorage.length), 0);
});

story("disconnecting needs confirmation, and explains what remains on Discogs", async (page) => {
  await register(page);
  await connect(page);
  await button(page, "Disconnect…").click();
  await assertFocused(heading(page, "Disconnect Discogs?"));
  const link = page.getByRole("link", { name: "Applications in your Discogs settings" });
  assert.equal(await link.getAttribute("href"), "https://www.discogs.com/settings/applications");

  await button(page, "Keep it").click();
  await assertFocused(button(page, "Disconnect…"));
  await page.keyboard.press("Enter");
  await assertFocused(heading(page, "Disconnect Discogs?"));
  await page.keyboard.press("Escape");
  await assertFocused(button(page, "Disconnect…"));
  assert.deepEqual((await callAsUser(page, "GET", "/api/oauth/status/discogs")).answer.connected, true);

  await button(page, "Disconnect…").click();
  await button(page, "Disconnect").click();
  await visibleText(page, "The permission on Discogs remains until you remove it there.").waitFor();
  await button(page, "Connect Discogs").waitFor();
  assert.deepEqual((await callAsUser(page, "GET", "/api/oauth/status/discogs")).answer, { connected: false });
});

story("a rejected code is marked at its field, and the right one works", async (page) => {
  await register(page);
  const code = await authorize(await openDiscogs(page));
  await codeField(page).fill("wrong");
  await page.keyboard.press("Enter");
  await visibleText(page, "Discogs did not accept this code.").waitFor();
  await assertFocused(codeField(page));
  assert.equal(await codeField(page).inputValue(), "wrong");
  assert.equal(await codeField(page).getAttribute("aria-invalid"), "true");

  await codeField(page).fill("two words");
  await finish(page).click();
  await visibleText(page, "This can't be the code.").waitFor();

  await codeField(page).fill(code);
  await finish(page).click();
  await visibleText(page, "Connected. Happy digging!").waitFor();
});

story("three wrong codes end the attempt, and a new one works", async (page) => {
  await register(page);
  await openDiscogs(page);
  for (const wrong of ["first", "second"]) {
    await codeField(page).fill(wrong);
    await finish(page).click();
    await page.locator("#pin[aria-invalid=true]").waitFor();
  }
  await codeField(page).fill("third");
  await finish(page).click();
  await assertFocused(heading(page, "This attempt is over"));
  await visibleText(page, "Discogs has rejected three codes").waitFor();

  const code = await authorize(await openDiscogs(page, "Start again"));
  assert.equal(await codeField(page).inputValue(), "");
  await codeField(page).fill(code);
  await finish(page).click();
  await visibleText(page, "Connected. Happy digging!").waitFor();
});

story("after Deny on Discogs, a user can start again or cancel", async (page) => {
  await register(page);
  const denied = await openDiscogs(page);
  await button(denied, "Deny").click();
  await heading(denied, "Access denied").waitFor();
  await codeField(page).fill("there was none");
  await finish(page).click();
  await page.locator("#pin[aria-invalid=true]").waitFor();
  await openDiscogs(page, "Start again");
  await button(page, "Cancel").click();
  await assertFocused(button(page, "Connect Discogs"));
  await visibleText(page, "Nothing was connected.").waitFor();
});

story("a reload resumes the attempt", async (page) => {
  await register(page);
  const tab = await openDiscogs(page);
  const address = tab.url();
  const code = await authorize(tab);
  await codeField(page).fill(code.slice(0, 4));
  await page.reload();
  await codeField(page).waitFor();
  assert.equal(await codeField(page).inputValue(), code.slice(0, 4));
  const link = page.getByRole("link", { name: "Open the Discogs page" });
  assert.equal(await link.getAttribute("href"), address);
  await codeField(page).fill(code);
  await finish(page).click();
  await visibleText(page, "Connected. Happy digging!").waitFor();
});

story("an attempt resumes after the session has expired", async (page) => {
  const email = await register(page);
  const code = await authorize(await openDiscogs(page));
  await codeField(page).fill(code);
  await page.evaluate(() => sessionStorage.setItem("discogsography.access_token", "e30.e30.e30"));
  await finish(page).click();
  await visibleText(page, "You can then finish connecting Discogs.").waitFor();
  await signIn(page, email);
  await codeField(page).waitFor();
  assert.equal(await codeField(page).inputValue(), code);
  await finish(page).click();
  await visibleText(page, "Connected. Happy digging!").waitFor();
});

story("the next user of a tab sees nothing of the previous one", async (page) => {
  await register(page);
  await openDiscogs(page);
  await button(page, "Sign out").click();
  assert.equal(await page.evaluate((name) => sessionStorage.getItem(name), PENDING), null);
  assert.equal(await field(page, "Email address").inputValue(), "");
  await page.getByRole("link", { name: "Create an account" }).click();
  await heading(page, "Create an account").waitFor();
  assert.equal(await field(page, "Email address").inputValue(), "");
  await page.getByRole("link", { name: "Sign in" }).click();
  await heading(page, "Sign in").waitFor();
  await register(page);
  assert.equal(await codeField(page).count(), 0);
});

story("an attempt that the service has forgotten is over", async (page) => {
  await register(page);
  const code = await authorize(await openDiscogs(page));
  const { state } = await page.evaluate((name) => JSON.parse(sessionStorage.getItem(name)), PENDING);
  await callAsUser(page, "POST", VERIFY, { state, oauth_verifier: code });
  await callAsUser(page, "DELETE", "/api/oauth/revoke/discogs");
  await codeField(page).fill(code);
  await finish(page).click();
  await assertFocused(heading(page, "This attempt is over"));
  await button(page, "Not now").click();
  await assertFocused(button(page, "Connect Discogs"));
});

story("an attempt that has already succeeded is shown as connected", async (page) => {
  await register(page);
  const code = await authorize(await openDiscogs(page));
  const { state } = await page.evaluate((name) => JSON.parse(sessionStorage.getItem(name)), PENDING);
  await callAsUser(page, "POST", VERIFY, { state, oauth_verifier: code });
  await codeField(page).fill(code);
  await finish(page).click();
  await visibleText(page, "You are already connected.").waitFor();
  assert.equal(await page.locator("#discogs-username").innerText(), "sandbox_digger");
});

story("the time left is shown in minutes until it is up", async (page) => {
  await page.clock.install();
  await page.reload();
  await register(page);
  await openDiscogs(page);
  await visibleText(page, "9 minutes left to enter the code.").waitFor();
  await page.clock.fastForward("08:15");
  await visibleText(page, "1 minute left to enter the code.").waitFor();
  await page.clock.fastForward("01:00");
  await visibleText(page, "Less than a minute left to enter the code.").waitFor();
  assert.equal(await page.locator("#announcer").textContent(), "Less than a minute left to enter the code.");
  await page.clock.fastForward("01:00");
  await visibleText(page, "The time is up. If the code is no longer accepted, start again.").waitFor();
});

story("a browser that blocks the tab still has the link", async (page) => {
  await page.addInitScript(() => {
    window.open = () => null;
  });
  await page.reload();
  await register(page);
  await button(page, "Connect Discogs").click();
  await visibleText(page, "Your browser blocked the new tab.").waitFor();
  const link = page.getByRole("link", { name: "Open the Discogs page" });
  await assertFocused(link);
  const opened = page.context().waitForEvent("page");
  await page.keyboard.press("Enter");
  const code = await authorize(await opened);
  await codeField(page).fill(code);
  await finish(page).click();
  await visibleText(page, "Connected. Happy digging!").waitFor();
});

const returnToTab = (page) => page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));

story("a connection made or ended elsewhere is shown on return", async (page) => {
  await register(page);
  const { state, authorize_url } = (await callAsUser(page, "GET", "/api/oauth/authorize/discogs")).answer;
  const tab = await page.context().newPage();
  await tab.goto(authorize_url);
  const code = await authorize(tab);
  await tab.close();
  await callAsUser(page, "POST", VERIFY, { state, oauth_verifier: code });
  await returnToTab(page);
  await visibleText(page, "sandbox_digger").waitFor();

  await callAsUser(page, "DELETE", "/api/oauth/revoke/discogs");
  await returnToTab(page);
  await button(page, "Connect Discogs").waitFor();
});

story("returning to the tab keeps the input", async (page) => {
  await register(page);
  await authorize(await openDiscogs(page));
  await codeField(page).fill("two words");
  await finish(page).click();
  await page.locator("#pin[aria-invalid=true]").waitFor();
  const answered = page.waitForResponse("**/api/oauth/status/discogs");
  await returnToTab(page);
  await (await answered).finished();
  assert.equal(await codeField(page).inputValue(), "two words");
  assert.equal(await codeField(page).getAttribute("aria-invalid"), "true");
});

story("the waiting tab follows dark mode", { context: { colorScheme: "dark" } }, async (page) => {
  await register(page);
  let answer;
  await page.route("**/api/oauth/authorize/discogs", async (route) => {
    await new Promise((resume) => (answer = resume));
    await route.continue();
  });
  const opened = page.waitForEvent("popup");
  await button(page, "Connect Discogs").click();
  const tab = await opened;
  await tab.getByText("Waiting for Discogs. This can take up to 20 seconds.").waitFor();
  assert.equal(await tab.evaluate(() => getComputedStyle(document.documentElement).colorScheme), "light dark");
  await screenshot(tab, "waiting-tab-dark");
  answer();
  await button(tab, "Authorize").waitFor();
});

// The sandbox has one user name and no profiles, so the browser replaces the answers.
const connectedAs = (username) => ({
  connected: true, discogs_username: username, discogs_user_id: "17", connected_at: "2026-01-31T09:30:00.000000+00:00",
});

for (const [name, address] of [
  ["digger", "https://www.discogs.com/user/digger"],
  ["AC/DC? #1 ü", "https://www.discogs.com/user/AC%2FDC%3F%20%231%20%C3%BC"],
  ["..", null],
  [null, null],
]) {
  story(`the link to the Discogs profile of ${name}`, async (page) => {
    await page.route("**/web/settings.json", (route) => route.fulfill({ json: { app_base_url: null, sandbox: false } }));
    await page.route("**/api/oauth/status/discogs", (route) => route.fulfill({ json: connectedAs(name) }));
    await page.reload();
    await register(page, undefined, "Connected");
    const link = page.getByRole("link", { name: "Your profile on Discogs" });
    assert.deepEqual(await link.evaluateAll((links) => links.map(({ href }) => href)), address === null ? [] : [address]);
    await visibleText(page, "Sandbox").waitFor({ state: "detached" });
  });
}

story("a name with right-to-left marks changes no other text", async (page) => {
  await page.route("**/api/oauth/status/discogs", (route) => route.fulfill({ json: connectedAs("dig\u202Eger") }));
  await register(page, undefined, "Connected");
  assert.equal(await page.locator("#discogs-username").evaluate((name) => getComputedStyle(name).unicodeBidi), "isolate");
});

test("the link leads to the app that the operator has set", needsBinary, async () => {
  const service = await startService({ variables: { APP_BASE_URL: "https://explore.example.com/app" } });
  const context = await world.browser.newContext();
  try {
    const page = await context.newPage();
    await page.goto(service.url);
    await page.getByRole("link", { name: "Go to Discogsography" }).waitFor();
    await register(page);
    await connect(page);
    const link = page.getByRole("link", { name: "Continue to Discogsography" });
    assert.equal(await link.getAttribute("href"), "https://explore.example.com/app");
    await visibleText(page, "Sandbox", { exact: true }).waitFor();
    assert.equal(await page.getByRole("link", { name: "Your profile on Discogs" }).count(), 0);
    await screenshot(page, "connected-onward");
  } finally {
    await context.close();
    await service.stop();
  }
});
