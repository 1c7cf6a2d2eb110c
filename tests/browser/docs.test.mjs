/** The API's documentation: Swagger UI to try it, ReDoc to read it. Both work without internet access. */

import assert from "node:assert/strict";

import { heading, newEmail, PASSWORD, screenshot, story, tryOut } from "./harness.mjs";

story("a developer tries the API: registers, signs in, authorizes, gets the user", async (page, service) => {
  await page.goto(`${service.url}/docs`);
  const email = newEmail();
  const registered = await tryOut(page, "register", { email, password: PASSWORD });
  assert.match(registered.status, /^201/);
  await screenshot(page, "docs-swagger");
  const signedIn = await tryOut(page, "signIn", { email, password: PASSWORD });
  assert.match(signedIn.status, /^200/);
  const [, token] = signedIn.text.match(/"access_token":\s*"([^"]+)"/);

  await page.getByRole("button", { name: "Authorize" }).first().click();
  const dialog = page.locator(".auth-container");
  await dialog.locator("input").fill(token);
  await dialog.getByRole("button", { name: "Apply credentials" }).click();
  await dialog.getByRole("button", { name: "Close" }).click();
  await page.reload();
  const me = await tryOut(page, "getCurrentUser");
  assert.match(me.status, /^200/);
  assert.ok(me.text.includes(email), me.text);
  assert.deepEqual(await page.evaluate(() => Object.keys(localStorage)), []);
  await page.getByRole("button", { name: "Authorize", exact: true }).click();
  await dialog.getByRole("button", { name: "Remove authorization" }).click();
  assert.deepEqual(await page.evaluate(() => Object.keys(sessionStorage)), []);
});

story("a developer reads the API: every operation with its errors", async (page, service) => {
  await page.goto(`${service.url}/redoc`);
  for (const name of ["Register", "Sign in", "Finish connection", "List the app's credentials"]) {
    await page.getByRole("heading", { name }).waitFor();
  }
  await page.getByText("state_unknown").first().waitFor({ state: "attached" });
  await screenshot(page, "docs-redoc");
});

for (const path of ["/docs", "/redoc"]) {
  story(`${path} shows the first steps, and links to the other pages`, { context: { colorScheme: "dark" } }, async (page, service) => {
    await page.goto(service.url + path);
    await page.getByText("First steps").waitFor();
    for (const name of ["Try the API", "Reference", "Account page"]) {
      assert.equal(await page.getByRole("link", { name, exact: true }).count(), 1, name);
    }
    await screenshot(page, `docs${path.replace("/", "-")}-dark`);
    await page.getByRole("link", { name: "Account page" }).click();
    await heading(page, "Sign in").waitFor();
  });
}
