/** Registering, signing in and out, and what can go wrong there. */

import assert from "node:assert/strict";

import {
  PASSWORD, assertFocused, button, field, heading, newEmail, register, says, screenshot,
  signIn, story,
} from "./harness.mjs";

const ACCESS_TOKEN = "discogsography.access_token";
const stored = (page, name) => page.evaluate((name) => sessionStorage.getItem(name), name);

story("who registers is signed in and sees who they are", async (page) => {
  const email = await register(page);
  await assertFocused(heading(page, "Your account"));
  assert.equal(await page.locator("#who-email").innerText(), email);
  const since = await page.locator("#who-since").getAttribute("datetime");
  assert.ok(Math.abs(Date.parse(since) - Date.now()) < 60_000, since);
  assert.equal(await page.title(), "Your account – Discogsography");
});

story("who signs out can sign in again, also after a reload", async (page) => {
  const email = await register(page);
  await button(page, "Sign out").click();
  await assertFocused(heading(page, "Create an account").or(heading(page, "Sign in")));
  assert.equal(await stored(page, ACCESS_TOKEN), null);
  assert.equal(await page.getByText(email).count(), 0);

  await page.reload();
  await page.goto(new URL("/#sign-in", page.url()).href);
  await signIn(page, email);
  await heading(page, "Your account").waitFor();
  await page.reload();
  await says(page, "Not connected", { exact: true }).waitFor();
  assert.equal(await page.locator("#who-email").innerText(), email);
});

story("the token is kept for the tab and nowhere else", async (page) => {
  await register(page);
  assert.match(await stored(page, ACCESS_TOKEN), /^[\w-]+\.[\w-]+\.[\w-]+$/);
  assert.equal(await page.evaluate(() => localStorage.length + document.cookie.length), 0);
});

story("a wrong password is told, and nothing that was typed is lost", async (page) => {
  const email = await register(page);
  await button(page, "Sign out").click();
  await page.goto(new URL("/#sign-in", page.url()).href);
  await signIn(page, email, "wrong password");
  const message = page.locator("#sign-in-form .message");
  await message.getByText("This email address and this password don't go together.").waitFor();
  await assertFocused(message);
  assert.equal(await field(page, "Email address").inputValue(), email);
  assert.equal(await field(page, "Password").inputValue(), "wrong password");
});

story("every bad field is told where it is", async (page) => {
  await page.getByRole("link", { name: "Create an account" }).click();
  const email = field(page, "Email address");
  const password = field(page, "Password");

  await button(page, "Create account").click();
  await assertFocused(email);
  assert.equal(await page.locator("#register-email-error").innerText(), "Please type your email address.");
  assert.equal(await page.locator("#register-password-error").innerText(), "Please type your password.");

  await email.fill("digger at example");
  await password.fill("short");
  await button(page, "Create account").click();
  await says(page, "This does not look like an email address").waitFor();
  await says(page, "Please take at least 8 characters.").waitFor();
  await assertFocused(email);
  for (const field of [email, password]) {
    assert.equal(await field.getAttribute("aria-invalid"), "true");
    const described = (await field.getAttribute("aria-describedby")).split(" ").at(-1);
    assert.notEqual(await page.locator(`#${described}`).innerText(), "");
  }
  assert.equal(await email.inputValue(), "digger at example");
  assert.equal(await password.inputValue(), "short");

  await email.fill("digger@example");
  assert.equal(await email.getAttribute("aria-invalid"), null);
});

story("an address that is taken leads to signing in, with the address filled in", async (page) => {
  const email = await register(page);
  await button(page, "Sign out").click();
  await field(page, "Email address").fill(email);
  await field(page, "Password").fill(PASSWORD);
  await button(page, "Create account").click();
  await says(page, "This email address has an account already.").waitFor();
  await page.locator("#register-form .message").getByRole("link", { name: "Sign in" }).click();
  await assertFocused(heading(page, "Sign in"));
  assert.equal(await field(page, "Email address").inputValue(), email);
});

story("an address beyond ASCII reaches the service as it was typed", async (page) => {
  const email = newEmail().replace("example", "schallplatten-bücher");
  await register(page, email);
  assert.equal(await page.locator("#who-email").innerText(), email);
});

story("a session that has ended leads back to signing in, and says why", async (page) => {
  const email = await register(page);
  await page.evaluate((name) => sessionStorage.setItem(name, "e30.e30.e30"), ACCESS_TOKEN);
  await button(page, "Refresh").click();
  await assertFocused(heading(page, "Sign in"));
  await page.locator("#sign-in-notice").getByText("your sign-in has run out").waitFor();
  assert.equal(await field(page, "Email address").inputValue(), email);
  await field(page, "Password").fill(PASSWORD);
  await button(page, "Sign in").click();
  await assertFocused(heading(page, "Your account"));

  await page.evaluate((name) => sessionStorage.setItem(name, "e30.e30.e30"), ACCESS_TOKEN);
  await page.reload();
  await page.locator("#sign-in-notice").getByText("your sign-in has run out").waitFor();
});

story("signing in takes nothing but keys", async (page) => {
  const email = await register(page);
  await button(page, "Sign out").click();
  await page.goto(new URL("/#sign-in", page.url()).href);
  await page.reload();
  await heading(page, "Sign in").waitFor();
  const { keyboard } = page;
  await keyboard.press("Tab");
  await keyboard.type(email);
  await keyboard.press("Tab");
  await keyboard.type(PASSWORD);
  await keyboard.press("Tab");
  await assertFocused(button(page, "Show password"));
  await keyboard.press("Space");
  assert.equal(await field(page, "Password").getAttribute("type"), "text");
  await assertFocused(button(page, "Hide password"));
  await keyboard.press("Enter");
  assert.equal(await field(page, "Password").getAttribute("type"), "password");
  await keyboard.press("Tab");
  await assertFocused(button(page, "Sign in"));
  await keyboard.press("Enter");
  await assertFocused(heading(page, "Your account"));
  await says(page, "Not connected", { exact: true }).waitFor();
  for (const name of ["Refresh", "Connect Discogs"]) {
    await keyboard.press("Tab");
    await assertFocused(button(page, name));
  }
});

story("a form that is sent twice is sent once", async (page) => {
  const sent = [];
  page.on("request", (request) => request.method() === "POST" && sent.push(new URL(request.url()).pathname));
  await page.getByRole("link", { name: "Create an account" }).click();
  await field(page, "Email address").fill(newEmail());
  await field(page, "Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Create account" }).evaluate((pressed) => {
    pressed.click();
    pressed.click();
    pressed.form.requestSubmit();
  });
  await says(page, "Not connected", { exact: true }).waitFor();
  assert.deepEqual(sent, ["/api/auth/register", "/api/auth/login"]);
});

story("a button that waits keeps its size and the focus, and nothing jumps", async (page) => {
  let answer;
  const asked = new Promise((resolve) => {
    page.route("**/api/auth/login", async (route) => {
      resolve();
      await new Promise((go) => (answer = go));
      await route.continue();
    });
  });
  await field(page, "Email address").fill(newEmail());
  await field(page, "Password").fill("wrong password");
  const pressed = page.locator("#sign-in-form .primary");
  const boxes = async () => [await pressed.boundingBox(), await page.locator("#sign-in").boundingBox()];
  const before = await boxes();
  await pressed.click();
  await asked;
  await says(page, "Signing in…").waitFor();
  assert.equal(await pressed.getAttribute("aria-busy"), "true");
  await assertFocused(pressed);
  assert.deepEqual(await boxes(), before);
  await screenshot(page, "busy");
  answer();
  await says(page, "don't go together").waitFor();
  assert.equal(await pressed.getAttribute("aria-busy"), null);
});
