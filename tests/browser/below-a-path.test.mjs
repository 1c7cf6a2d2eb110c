/** The page and the documentation behind a reverse proxy that serves them below a path. */

import assert from "node:assert/strict";
import { after } from "node:test";

import {
  PASSWORD, connect, newEmail, register, screenshot, story, tryOut, visibleText, world,
} from "./harness.mjs";
import { startPrefixProxy } from "./prefix-proxy.mjs";

const PREFIX = "/account";
let proxy;
after(() => proxy?.stop());

const belowAPath = {
  service: async () => {
    proxy ??= await startPrefixProxy(world.service.url, PREFIX);
    return { ...world.service, url: proxy.origin, start: `${proxy.origin}${PREFIX}` };
  },
};

/** Returns a function that fails if the page has sent a request outside the path. */
function watchRequests(page) {
  const strays = [];
  page.on("request", (request) => {
    const { pathname } = new URL(request.url());
    if (pathname !== PREFIX && !pathname.startsWith(`${PREFIX}/`)) strays.push(pathname);
  });
  return () => assert.deepEqual(strays, []);
}

story("the account page works below a path", belowAPath, async (page) => {
  const check = watchRequests(page);
  await register(page);
  await connect(page);
  assert.equal(new URL(page.url()).pathname, `${PREFIX}/`);
  await page.reload();
  await visibleText(page, "sandbox_digger").waitFor();
  await page.getByRole("link", { name: "try the API" }).click();
  await page.getByRole("heading", { name: "Discogsography API" }).waitFor();
  check();
});

for (const path of ["/docs", "/docs/"]) {
  story(`the API can be tried at ${path} below a path`, belowAPath, async (page, { start }) => {
    const check = watchRequests(page);
    await page.goto(start + path);
    const registered = await tryOut(page, "register", { email: newEmail(), password: PASSWORD });
    assert.match(registered.status, /^201/);
    check();
  });
}

for (const path of ["/redoc", "/redoc/"]) {
  story(`the reference is shown at ${path} below a path`, belowAPath, async (page, { start }) => {
    const check = watchRequests(page);
    await page.goto(start + path);
    await page.getByRole("heading", { name: "Register" }).waitFor();
    await screenshot(page, "docs-below-a-path");
    check();
  });
}
