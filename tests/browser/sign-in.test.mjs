/** Registering, signing in and signing out, and their errors. */

import assert from "node:assert/strict";

import {
  PASSWORD, assertFocused, authorize, button, codeField, field, heading, newEmail, openDiscogs,
  register, screenshot, signIn, story, visibleText,
} from "./harness.mjs";

const ACCESS_TOKEN = "discogsography.access_token";
const stored = (page, name) => page.evaluate((name) => sessionStorage.getItem(name), name);

story("a new user is signed in and sees their account", async (page) => {
  const email = await register(page);
  await assertFocused(heading(page, "Your account"));
  assert.equal(await page.locator("#who-email").innerText(), email);
  const since = await page.locator("#who-since").getAttribute("datetime");
  assert.ok(Math.abs(Date.parse(since) - Date.now()) < 60_000, since);
  assert.equal(await page.title(), "Your account – Discogsography");
});

story("a user who signs out can sign in again, also after a reload", async (page) => {
  const email = await register(page);
  await button(page, "Sign out").click();
  await heading(page, "Sign in").waitFor();
  await assertFocused(field(page, "Email address"));
  await visibleText(page, "You are signed out.").waitFor();
  assert.equal(await stored(page, ACCESS_TOKEN), null);
  assert.equal(await page.getByText(email).count(), 0);

  await page.reload();
  await page.goto(new URL("/#sign-in", page.url()).href);
  await signIn(page, email);
  await heading(page, "Your account").waitFor();
  await page.reload();
  await visibleText(page, "Not connected", { exact: true }).waitFor();
  assert.equal(await page.locator("#who-email").innerText(), email);
});

story("the access token is stored only for the tab", async (page) => {
  await register(page);
  assert.match(await stored(page, ACCESS_TOKEN), /^[\w-]+\.[\w-]+\.[\w-]+$/);
  assert.equal(await page.evaluate(() => localStorage.length + document.cookie.length), 0);
  await visibleText(page, "You stay signed in until you close this tab, or until").waitFor();
});

const localLength = (page) => page.evaluate(() => localStorage.length);

story("users who choose to stay signed in are signed in in every tab, until they sign out", async (page, service) => {
  const email = await register(page);
  await button(page, "Sign out").click();
  await field(page, "Stay signed in").check();
  await signIn(page, email);
  await visibleText(page, "You stay signed in on this device until").waitFor();
  assert.equal(await page.evaluate(() => sessionStorage.length), 0);

  const second = await page.context().newPage();
  await second.goto(service.url);
  await heading(second, "Your account").waitFor();
  const tab = await openDiscogs(page);
  await tab.close();
  await page.reload();
  await heading(page, "Your account").waitFor();

  await button(page, "Sign out").click();
  await heading(page, "Sign in").waitFor();
  await heading(second, "Sign in").waitFor();
  assert.equal(await localLength(page), 0);
  // The choice applies to one sign-in only.
  assert.equal(await field(page, "Stay signed in").isChecked(), false);

  await field(second, "Stay signed in").check();
  await signIn(second, email);
  await heading(page, "Your account").waitFor();
});

story("a rejected session is deleted, also if the user chose to stay signed in", async (page) => {
  const email = await register(page);
  await button(page, "Sign out").click();
  await field(page, "Stay signed in").check();
  await signIn(page, email);
  await heading(page, "Your account").waitFor();
  await page.evaluate((name) => localStorage.setItem(name, "e30.e30.e30"), ACCESS_TOKEN);
  await button(page, "Refresh").click();
  await page.locator("#sign-in-notice").getByText("Your session has expired.").waitFor();
  assert.equal(await localLength(page), 0);
});

story("an expired session is reported at once", async (page) => {
  await page.clock.install();
  await page.reload();
  await register(page);
  await page.evaluate((name) => sessionStorage.setItem(name, "e30.e30.e30"), ACCESS_TOKEN);
  await page.clock.fastForward("24:00:02");
  await page.locator("#sign-in-notice").getByText("Your session has expired.").waitFor();
});

story("without browser storage the page works until it is reloaded", async (page) => {
  await page.addInitScript(() => {
    for (const name of ["sessionStorage", "localStorage"]) {
      Object.defineProperty(window, name, { get: () => { throw new DOMException("", "SecurityError"); } });
    }
  });
  await page.reload();
  await register(page);
  await button(page, "Refresh").click();
  await visibleText(page, "Up to date.").waitFor();
  const tab = await openDiscogs(page);
  await codeField(page).fill(await authorize(tab));
  await button(page, "Finish connecting").click();
  await visibleText(page, "Connected. Happy digging!").waitFor();
  await button(page, "Sign out").click();
  await heading(page, "Sign in").waitFor();
});

story("the first empty field has the focus at once", async (page) => {
  await assertFocused(field(page, "Email address"));
  await field(page, "Email address").fill("digger@example.com");
  await page.getByRole("link", { name: "Create an account" }).click();
  await heading(page, "Create an account").waitFor();
  await assertFocused(field(page, "Password"));
});

story("password managers recognise the fields", async (page) => {
  const hints = () => page.locator("input:visible:not([type=checkbox])").evaluateAll((inputs) => inputs.map((input) => input.autocomplete));
  assert.deepEqual(await hints(), ["username", "current-password"]);
  await page.getByRole("link", { name: "Create an account" }).click();
  await heading(page, "Create an account").waitFor();
  assert.deepEqual(await hints(), ["username", "new-password"]);
});

story("Caps Lock is shown while a password is typed", async (page) => {
  const press = (modifierCapsLock) =>
    field(page, "Password").evaluate((input, modifierCapsLock) => {
      input.focus();
      input.dispatchEvent(new KeyboardEvent("keydown", { key: "A", modifierCapsLock }));
    }, modifierCapsLock);
  await press(true);
  await visibleText(page, "Caps Lock is on.").waitFor();
  await press(false);
  await visibleText(page, "Caps Lock is on.").waitFor({ state: "detached" });
  await press(true);
  await field(page, "Email address").focus();
  await visibleText(page, "Caps Lock is on.").waitFor({ state: "detached" });
});

story("a visible password is hidden again while it is sent", async (page) => {
  const types = [];
  await page.route("**/api/auth/login", async (route) => {
    types.push(await page.locator("#sign-in-password").getAttribute("type"));
    await route.continue();
  });
  await button(page, "Show password").click();
  assert.equal(await field(page, "Password").getAttribute("type"), "text");
  await signIn(page, newEmail(), "wrong password");
  await visibleText(page, "Wrong email address or password.").waitFor();
  assert.deepEqual(types, ["password"]);
  await button(page, "Show password").waitFor();
});

story("dates have the format of the user's locale", { context: { locale: "en-US" } }, async (page) => {
  await register(page);
  const date = new Intl.DateTimeFormat("en-US", { dateStyle: "long" }).format(new Date());
  assert.equal(await page.locator("#who-since").innerText(), date);
});

story("a wrong password is shown, and no input is lost", async (page) => {
  const email = await register(page);
  await button(page, "Sign out").click();
  await page.goto(new URL("/#sign-in", page.url()).href);
  await signIn(page, email, "wrong password");
  const message = page.locator("#sign-in-form .message");
  await message.getByText("Wrong email address or password.").waitFor();
  assert.equal(await message.getByRole("alert").innerText(), "Wrong email address or password. Check both and try again.");
  await assertFocused(field(page, "Password"));
  const selected = await field(page, "Password").evaluate(({ selectionStart, selectionEnd }) => [selectionStart, selectionEnd]);
  assert.deepEqual(selected, [0, "wrong password".length]);
  assert.equal(await field(page, "Email address").inputValue(), email);
  assert.equal(await field(page, "Password").inputValue(), "wrong password");
});

story("every invalid field is marked", async (page) => {
  await page.getByRole("link", { name: "Create an account" }).click();
  const email = field(page, "Email address");
  const password = field(page, "Password");

  await button(page, "Create account").click();
  await assertFocused(email);
  assert.equal(await page.locator("#register-email-error").innerText(), "Enter your email address.");
  assert.equal(await page.locator("#register-password-error").innerText(), "Enter your password.");

  await email.fill("digger at example");
  await password.fill("short");
  await button(page, "Create account").click();
  await visibleText(page, "This is not a valid email address").waitFor();
  await visibleText(page, "Use at least 8 characters.").waitFor();
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

story("a registered address leads to sign in, with the address filled in", async (page) => {
  const email = await register(page);
  await button(page, "Sign out").click();
  await page.getByRole("link", { name: "Create an account" }).click();
  await heading(page, "Create an account").waitFor();
  await field(page, "Email address").fill(email);
  await field(page, "Password").fill(PASSWORD);
  await button(page, "Create account").click();
  await visibleText(page, "This email address already has an account.").waitFor();
  await page.locator("#register-form .message").getByRole("link", { name: "Sign in" }).click();
  await heading(page, "Sign in").waitFor();
  await assertFocused(field(page, "Password"));
  assert.equal(await field(page, "Email address").inputValue(), email);
});

story("a non-ASCII address reaches the service unchanged", async (page) => {
  const email = newEmail().replace("example", "schallplatten-bücher");
  await register(page, email);
  assert.equal(await page.locator("#who-email").innerText(), email);
});

story("an ended session leads to sign in, and says why", async (page) => {
  const email = await register(page);
  await page.evaluate((name) => sessionStorage.setItem(name, "e30.e30.e30"), ACCESS_TOKEN);
  await button(page, "Refresh").click();
  await heading(page, "Sign in").waitFor();
  await assertFocused(field(page, "Password"));
  await page.locator("#sign-in-notice").getByText("Your session has expired.").waitFor();
  assert.equal(await field(page, "Email address").inputValue(), email);
  await field(page, "Password").fill(PASSWORD);
  await button(page, "Sign in").click();
  await assertFocused(heading(page, "Your account"));

  await page.evaluate((name) => sessionStorage.setItem(name, "e30.e30.e30"), ACCESS_TOKEN);
  await page.reload();
  await page.locator("#sign-in-notice").getByText("Your session has expired.").waitFor();
});

story("signing in works with the keyboard alone", async (page) => {
  const email = await register(page);
  await button(page, "Sign out").click();
  await page.goto(new URL("/#sign-in", page.url()).href);
  await page.reload();
  await heading(page, "Sign in").waitFor();
  await assertFocused(field(page, "Email address"));
  const { keyboard } = page;
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
  await assertFocused(field(page, "Stay signed in"));
  await keyboard.press("Tab");
  await assertFocused(button(page, "Sign in"));
  await keyboard.press("Enter");
  await assertFocused(heading(page, "Your account"));
  await visibleText(page, "Not connected", { exact: true }).waitFor();
  for (const name of ["Refresh", "Connect Discogs"]) {
    await keyboard.press("Tab");
    await assertFocused(button(page, name));
  }
});

story("a form that is submitted twice is sent once", async (page) => {
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
  await visibleText(page, "Not connected", { exact: true }).waitFor();
  assert.deepEqual(sent, ["/api/auth/register", "/api/auth/login"]);
});

story("a busy button keeps its size and the focus, and nothing moves", async (page) => {
  let answer;
  const requested = new Promise((resolve) => {
    page.route("**/api/auth/login", async (route) => {
      resolve();
      await new Promise((resume) => (answer = resume));
      await route.continue();
    });
  });
  await field(page, "Email address").fill(newEmail());
  await field(page, "Password").fill("wrong password");
  const pressed = page.locator("#sign-in-form .primary");
  const boxes = async () => [await pressed.boundingBox(), await page.locator("#sign-in-view").boundingBox()];
  const before = await boxes();
  await pressed.click();
  await requested;
  await page.locator("#announcer").getByText("Signing in…").waitFor({ state: "attached" });
  assert.equal(await pressed.getAttribute("aria-busy"), "true");
  await assertFocused(pressed);
  assert.deepEqual(await boxes(), before);
  await screenshot(page, "busy");
  answer();
  await visibleText(page, "Wrong email address or password.").waitFor();
  assert.equal(await pressed.getAttribute("aria-busy"), null);
});
