/** Connecting Discogs on the sandbox's own page, and disconnecting. */

import assert from "node:assert/strict";

import {
  allow, assertFocused, button, callAsUser, connect, field, heading, openDiscogs, register, says,
  signIn, story,
} from "./harness.mjs";

const PENDING = "discogsography.pending_authorization";
const VERIFY = "/api/oauth/verify/discogs";

const pinField = (page) => field(page, "PIN from Discogs");
const finish = (page) => button(page, "Finish connecting");

story("who allows it at Discogs and pastes the PIN is connected", async (page) => {
  await register(page);
  const tab = await openDiscogs(page);
  assert.equal(await tab.evaluate(() => window.opener), null);
  assert.equal(await tab.evaluate(() => document.referrer), "");
  await assertFocused(pinField(page));
  await says(page, "There is time: 9 minutes left for this PIN.").waitFor();
  const pin = await allow(tab);
  await tab.close();

  await pinField(page).fill(` “${pin}” `);
  await finish(page).click();
  await says(page, "Connected. Happy digging!").waitFor();
  await assertFocused(heading(page, "Discogs"));
  assert.equal(await page.locator("#discogs-username").innerText(), "sandbox_digger");
  const since = await page.locator("#discogs-since").getAttribute("datetime");
  assert.ok(Math.abs(Date.parse(since) - Date.now()) < 60_000, since);
  assert.equal(await page.evaluate((name) => sessionStorage.getItem(name), PENDING), null);

  await page.reload();
  await says(page, "sandbox_digger").waitFor();
});

story("who disconnects is asked first, and told what stays at Discogs", async (page) => {
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
  await says(page, "The permission at Discogs stays until you remove it there.").waitFor();
  await button(page, "Connect Discogs").waitFor();
  assert.deepEqual((await callAsUser(page, "GET", "/api/oauth/status/discogs")).answer, { connected: false });
});

story("a PIN that is refused is told at its field, and the right one works", async (page) => {
  await register(page);
  const pin = await allow(await openDiscogs(page));
  await pinField(page).fill("wrong");
  await page.keyboard.press("Enter");
  await says(page, "Discogs did not take this PIN.").waitFor();
  await assertFocused(pinField(page));
  assert.equal(await pinField(page).inputValue(), "wrong");
  assert.equal(await pinField(page).getAttribute("aria-invalid"), "true");

  await pinField(page).fill("two words");
  await finish(page).click();
  await says(page, "PIN must not contain blanks or line breaks.").waitFor();

  await pinField(page).fill(pin);
  await finish(page).click();
  await says(page, "Connected. Happy digging!").waitFor();
});

story("three wrong PINs end the attempt, and a new one works", async (page) => {
  await register(page);
  await openDiscogs(page);
  for (const wrong of ["first", "second"]) {
    await pinField(page).fill(wrong);
    await finish(page).click();
    await page.locator("#pin[aria-invalid=true]").waitFor();
  }
  await pinField(page).fill("third");
  await finish(page).click();
  await assertFocused(heading(page, "This attempt is over"));
  await says(page, "Discogs has refused three PINs").waitFor();

  const pin = await allow(await openDiscogs(page, "Start again"));
  assert.equal(await pinField(page).inputValue(), "");
  await pinField(page).fill(pin);
  await finish(page).click();
  await says(page, "Connected. Happy digging!").waitFor();
});

story("who presses Deny at Discogs can start again or leave it", async (page) => {
  await register(page);
  const denied = await openDiscogs(page);
  await button(denied, "Deny").click();
  await heading(denied, "Access denied").waitFor();
  await pinField(page).fill("there was none");
  await finish(page).click();
  await page.locator("#pin[aria-invalid=true]").waitFor();
  await openDiscogs(page, "Start again");
  await button(page, "Cancel").click();
  await assertFocused(button(page, "Connect Discogs"));
  await says(page, "Nothing was connected.").waitFor();
});

story("a reload in the middle goes on where it was", async (page) => {
  await register(page);
  const tab = await openDiscogs(page);
  const address = tab.url();
  const pin = await allow(tab);
  await pinField(page).fill(pin.slice(0, 4));
  await page.reload();
  await pinField(page).waitFor();
  assert.equal(await pinField(page).inputValue(), pin.slice(0, 4));
  const link = page.getByRole("link", { name: "Open the Discogs page" });
  assert.equal(await link.getAttribute("href"), address);
  await pinField(page).fill(pin);
  await finish(page).click();
  await says(page, "Connected. Happy digging!").waitFor();
});

story("a session that ends in the middle goes on after signing in", async (page) => {
  const email = await register(page);
  const pin = await allow(await openDiscogs(page));
  await pinField(page).fill(pin);
  await page.evaluate(() => sessionStorage.setItem("discogsography.access_token", "e30.e30.e30"));
  await finish(page).click();
  await says(page, "Your connection to Discogs then goes on where it was.").waitFor();
  await signIn(page, email);
  await pinField(page).waitFor();
  assert.equal(await pinField(page).inputValue(), pin);
  await finish(page).click();
  await says(page, "Connected. Happy digging!").waitFor();
});

story("the next user of a tab finds nothing of the last one", async (page) => {
  await register(page);
  await openDiscogs(page);
  await button(page, "Sign out").click();
  assert.equal(await page.evaluate((name) => sessionStorage.getItem(name), PENDING), null);
  assert.equal(await field(page, "Email address").inputValue(), "");
  await page.getByRole("link", { name: "Sign in" }).click();
  await heading(page, "Sign in").waitFor();
  assert.equal(await field(page, "Email address").inputValue(), "");
  await register(page);
  assert.equal(await pinField(page).count(), 0);
});

story("an attempt that the service has forgotten is over", async (page) => {
  await register(page);
  const pin = await allow(await openDiscogs(page));
  const { state } = await page.evaluate((name) => JSON.parse(sessionStorage.getItem(name)), PENDING);
  await callAsUser(page, "POST", VERIFY, { state, oauth_verifier: pin });
  await callAsUser(page, "DELETE", "/api/oauth/revoke/discogs");
  await pinField(page).fill(pin);
  await finish(page).click();
  await assertFocused(heading(page, "This attempt is over"));
  await button(page, "Not now").click();
  await assertFocused(button(page, "Connect Discogs"));
});

story("an attempt that has worked already is shown as what it is", async (page) => {
  await register(page);
  const pin = await allow(await openDiscogs(page));
  const { state } = await page.evaluate((name) => JSON.parse(sessionStorage.getItem(name)), PENDING);
  await callAsUser(page, "POST", VERIFY, { state, oauth_verifier: pin });
  await pinField(page).fill(pin);
  await finish(page).click();
  await says(page, "You are connected already.").waitFor();
  assert.equal(await page.locator("#discogs-username").innerText(), "sandbox_digger");
});

story("the time left is told calmly, and its end too", async (page) => {
  await page.clock.install();
  await page.reload();
  await register(page);
  await openDiscogs(page);
  await says(page, "There is time: 9 minutes left for this PIN.").waitFor();
  await page.clock.fastForward("08:15");
  await says(page, "There is time: a good minute left for this PIN.").waitFor();
  await page.clock.fastForward("01:00");
  await says(page, "Less than a minute left for this PIN.").waitFor();
  assert.equal(await page.locator("#announcer").textContent(), "Less than a minute left for this PIN.");
  await page.clock.fastForward("01:00");
  await says(page, "The time for this PIN is over. If it is no longer taken, start again.").waitFor();
});

story("a browser that keeps the tab shut still has the link", async (page) => {
  await page.addInitScript(() => {
    window.open = () => null;
  });
  await page.reload();
  await register(page);
  await button(page, "Connect Discogs").click();
  await says(page, "Your browser kept the new tab shut.").waitFor();
  const link = page.getByRole("link", { name: "Open the Discogs page" });
  await assertFocused(link);
  const opened = page.context().waitForEvent("page");
  await page.keyboard.press("Enter");
  const pin = await allow(await opened);
  await pinField(page).fill(pin);
  await finish(page).click();
  await says(page, "Connected. Happy digging!").waitFor();
});
