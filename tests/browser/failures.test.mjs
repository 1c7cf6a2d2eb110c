/** What the page shows while Discogs, the service or the network is unavailable. */

import assert from "node:assert/strict";

import {
  PASSWORD, assertFocused, authorize, button, callAsUser, codeField, field, heading, needsBinary, newEmail,
  openDiscogs, register, setUpDiscogs, startDiscogs, startWithSeparateDiscogs, story, visibleText,
} from "./harness.mjs";

// A service whose Discogs is a separate program, which a story can stop and restart.
const programs = startWithSeparateDiscogs(setUpDiscogs);
const separateDiscogs = { ...needsBinary, service: () => programs.service };
const finish = (page) => button(page, "Finish connecting");
const discogsMessage = (page) => page.locator("#discogs-message");

story("Discogs is unavailable when connecting starts: the page says so, and a retry works", separateDiscogs, async (page) => {
  await register(page);
  await programs.discogs.stop();
  const opened = page.waitForEvent("popup");
  await button(page, "Connect Discogs").click();
  const tab = await opened;
  await visibleText(page, "Discogs is unavailable.").waitFor();
  await assertFocused(button(page, "Connect Discogs"));
  assert.ok(tab.isClosed());

  programs.discogs = await startDiscogs(Number(new URL(programs.discogs.url).port));
  await openDiscogs(page);
  await codeField(page).waitFor();
});

story("Discogs is unavailable when connecting finishes: the code is kept, and the attempt resumes", separateDiscogs, async (page) => {
  await register(page);
  const tab = await openDiscogs(page);
  await authorize(tab);
  await codeField(page).fill("anything");
  await programs.discogs.stop();
  await finish(page).click();
  await visibleText(page, "Discogs is unavailable.").waitFor();
  assert.equal(await codeField(page).inputValue(), "anything");

  // The restarted Discogs does not know the code and rejects it; the service still has the state.
  programs.discogs = await startDiscogs(Number(new URL(programs.discogs.url).port));
  await finish(page).click();
  await visibleText(page, "Discogs did not accept this code.").waitFor();
});

story("Discogs limits the service: the wait is counted down", needsBinary, async (page) => {
  await page.clock.install();
  await page.reload();
  await register(page);
  for (;;) {
    const { status, answer } = await callAsUser(page, "GET", "/api/oauth/authorize/discogs");
    if (answer.code === "discogs_rate_limited") break;
    assert.equal(status, 200);
  }
  await button(page, "Connect Discogs").click();
  await visibleText(page, "Discogs is getting too many requests").waitFor();
  await assertFocused(button(page, "Connect Discogs"));
  assert.match(await discogsMessage(page).innerText(), /You can try again in \d+ seconds\.$/);
  await page.clock.fastForward("05:00");
  await visibleText(page, "You can try again now.").waitFor();
  assert.equal(await page.locator("#announcer").textContent(), "You can try again now.");
});

story("the service is unavailable: the input is kept, and a reload says so", async (page) => {
  await field(page, "Email address").fill("digger@example.com");
  await field(page, "Password").fill(PASSWORD);
  await page.context().setOffline(true);
  await button(page, "Sign in").click();
  await visibleText(page, "Can't reach the service.").waitFor();
  assert.equal(await field(page, "Email address").inputValue(), "digger@example.com");
  assert.equal(await field(page, "Password").inputValue(), PASSWORD);
  await page.context().setOffline(false);

  await register(page);
  await page.route("**/api/auth/me", (route) => route.abort());
  await page.reload();
  await heading(page, "Your account can't be shown right now").waitFor();
  await page.unroute("**/api/auth/me");
  await button(page, "Try again").click();
  await assertFocused(heading(page, "Your account"));
});

story("a request without an answer ends after 25 seconds", async (page) => {
  await page.clock.install();
  await page.reload();
  const requested = new Promise((resolve) => page.route("**/api/auth/login", () => resolve()));
  await field(page, "Email address").fill(newEmail());
  await field(page, "Password").fill(PASSWORD);
  await button(page, "Sign in").click();
  await requested;
  await page.clock.fastForward("00:26");
  await visibleText(page, "No answer within 25 seconds.").waitFor();
  await page.unroute("**/api/auth/login");
  await button(page, "Sign in").click();
  await visibleText(page, "Wrong email address or password.").waitFor();
});

story("an account that is created but not signed in continues at sign in", async (page) => {
  await page.route("**/api/auth/login", (route) => route.abort());
  const email = newEmail();
  await page.getByRole("link", { name: "Create an account" }).click();
  await heading(page, "Create an account").waitFor();
  await field(page, "Email address").fill(email);
  await field(page, "Password").fill(PASSWORD);
  await button(page, "Create account").click();
  await visibleText(page, "Your account was created, but signing in failed.").waitFor();
  await page.unroute("**/api/auth/login");
  assert.equal(await field(page, "Email address").inputValue(), email);
  await button(page, "Sign in").click();
  await assertFocused(heading(page, "Your account"));
});

// The service can't be made to send this answer, so the browser replaces it.
story("an answer that is not the service's is shown as such", async (page) => {
  await page.route("**/api/auth/login", (route) =>
    route.fulfill({ status: 502, contentType: "text/html", body: "<h1>Bad Gateway</h1>" }));
  await field(page, "Email address").fill(newEmail());
  await field(page, "Password").fill(PASSWORD);
  await button(page, "Sign in").click();
  await visibleText(page, "The service sent an unexpected answer.").waitFor();
});

story("a name that looks like markup is shown as text", async (page) => {
  const name = '<img src=x onerror="document.title=1"> & “friends”';
  await page.route("**/api/oauth/status/discogs", (route) =>
    route.fulfill({
      json: { connected: true, discogs_username: name, discogs_user_id: null, connected_at: "2026-01-31T09:30:00.000000+00:00" },
    }));
  await page.getByRole("link", { name: "Create an account" }).click();
  await heading(page, "Create an account").waitFor();
  await field(page, "Email address").fill(newEmail());
  await field(page, "Password").fill(PASSWORD);
  await button(page, "Create account").click();
  await button(page, "Disconnect…").waitFor();
  assert.equal(await page.locator("#discogs-username").innerText(), name);
});
