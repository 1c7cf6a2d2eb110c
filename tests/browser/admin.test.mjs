/** Managing the app's credentials, as an admin and as another user. */

import assert from "node:assert/strict";

import {
  authorize, assertFocused, button, codeField, field, heading, needsBinary, openDiscogs, register,
  startWithSeparateDiscogs, story, visibleText,
} from "./harness.mjs";

const programs = startWithSeparateDiscogs();
const unconfigured = { ...needsBinary, service: () => programs.service };

const card = (page, name) =>
  page.locator("article").filter({ has: page.getByRole("heading", { name, exact: true }) });

async function becomeAdmin(page) {
  const email = await register(page);
  await programs.service.command("admin", "grant", email);
  await button(page, "Refresh").click();
  await heading(page, "App credentials").waitFor();
  return email;
}

/** Types a value and saves it; `verb` is Set or Replace. */
async function save(page, name, verb, value) {
  await card(page, name).locator("input").fill(value);
  await card(page, name).getByRole("button", { name: verb, exact: true }).click();
  await card(page, name).getByText(`${name} saved.`).waitFor();
  assert.equal(await card(page, name).locator("input").inputValue(), "");
}

async function pressConnect(page) {
  const opened = page.waitForEvent("popup");
  await button(page, "Connect Discogs").click();
  await opened;
}

story("without credentials, a user is advised to ask an admin", unconfigured, async (page) => {
  await register(page);
  assert.equal(await heading(page, "App credentials").count(), 0);
  await pressConnect(page);
  await visibleText(page, "This service is not set up for Discogs yet. Ask an admin").waitFor();
});

story("an admin sets, replaces and removes the credentials", unconfigured, async (page) => {
  await becomeAdmin(page);
  for (const name of ["Consumer key", "Consumer secret"]) {
    assert.equal(await card(page, name).locator(".badge").innerText(), "Not set");
    const input = card(page, name).locator("input");
    assert.deepEqual(await input.evaluate(({ type, autocomplete }) => [type, autocomplete]), ["text", "off"]);
  }
  await visibleText(page, "No user can connect Discogs until both the key and the secret are set.").waitFor();
  const hiding = (name) => field(page, name).evaluate((input) => getComputedStyle(input).webkitTextSecurity);
  assert.deepEqual([await hiding("Consumer key"), await hiding("Consumer secret")], ["none", "disc"]);
  await button(page, "Show consumer secret").click();
  assert.equal(await hiding("Consumer secret"), "none");
  await pressConnect(page);
  await visibleText(page, "Set the consumer key and the consumer secret below").waitFor();
  await page.getByRole("link", { name: "Go to the app credentials" }).click();

  await card(page, "Consumer key").getByRole("button", { name: "Set", exact: true }).click();
  await card(page, "Consumer key").getByText("Paste the value.").waitFor();
  await field(page, "Consumer key").fill("two words");
  await page.keyboard.press("Enter");
  await card(page, "Consumer key").getByText("without spaces between them.").waitFor();
  assert.equal(await field(page, "Consumer key").inputValue(), "two words");

  await save(page, "Consumer key", "Set", "sandbox-key");
  assert.equal(await card(page, "Consumer key").locator(".masked").innerText(), "sa*******ey");
  assert.equal(await card(page, "Consumer key").locator(".badge").innerText(), "Set");
  await save(page, "Consumer secret", "Set", "not the right one".replaceAll(" ", "-"));

  await pressConnect(page);
  await visibleText(page, "Discogs rejects the service's credentials. Check the consumer key").waitFor();
  await save(page, "Consumer secret", "Replace", "sandbox-secret");
  const tab = await openDiscogs(page);
  await codeField(page).fill(await authorize(tab));
  await button(page, "Finish connecting").click();
  await visibleText(page, "Connected. Happy digging!").waitFor();

  await button(page, "Remove consumer secret…").click();
  await assertFocused(heading(page, "Remove the consumer secret?"));
  await page.keyboard.press("Escape");
  await assertFocused(button(page, "Remove consumer secret…"));
  await page.keyboard.press("Enter");
  await button(page, "Remove").click();
  await assertFocused(card(page, "Consumer secret").getByRole("heading", { level: 3 }));
  await card(page, "Consumer secret").getByText("Consumer secret removed.").waitFor();
  await page.reload();
  await heading(page, "App credentials").waitFor();
  assert.equal(await card(page, "Consumer secret").locator(".badge").innerText(), "Not set");
  assert.equal(await card(page, "Consumer key").locator(".badge").innerText(), "Set");
});

story("a former admin gets an error and changes nothing", unconfigured, async (page) => {
  const email = await becomeAdmin(page);
  await programs.service.command("admin", "revoke", email);
  await card(page, "Consumer secret").locator("input").fill("a-new-secret");
  await card(page, "Consumer secret").getByRole("button", { name: "Set", exact: true }).click();
  await visibleText(page, "You are no longer an admin, so nothing was changed.").waitFor();
  await button(page, "Refresh").click();
  await visibleText(page, "Up to date.").waitFor();
  assert.equal(await heading(page, "App credentials").count(), 0);
});
