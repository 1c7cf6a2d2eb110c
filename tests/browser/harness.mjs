/**
 * Runs stories, which are tests in a browser: starts the service and the browser, and reports errors
 * of the page.
 *
 * `SERVICE_BINARY` is the path of the program: each file of stories then starts its own services, on
 * free ports and in temporary folders. `SERVICE_URL` is the URL of a running service instead, with a
 * sandbox for Discogs and `RATE_LIMITS=off`; stories that start programs are then skipped.
 * `WEB_FROM_FOLDER=1` serves the page from `web/` with `dev-server.mjs`.
 */

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { chromium } from "playwright-core";

import { startDevServer } from "./dev-server.mjs";

const { SERVICE_BINARY, SERVICE_URL, WEB_FROM_FOLDER, CHROMIUM = "/usr/bin/chromium" } = process.env;

if (!SERVICE_BINARY && !SERVICE_URL) {
  throw new Error("set SERVICE_BINARY=/path/to/discogsography-api, or SERVICE_URL=http://…");
}

export const PASSWORD = "correct horse battery staple";
const SCREENSHOTS = fileURLToPath(new URL("../../target/browser/", import.meta.url));
const AXE = fileURLToPath(import.meta.resolve("axe-core/axe.min.js"));

/** The options of stories that start programs. */
export const needsBinary = { skip: SERVICE_BINARY ? false : "needs SERVICE_BINARY" };

// Programs

export async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

/** Starts the program, waits until it prints a line with `ready`, and returns a function to stop it. */
async function startProgram(args, ready, environment = {}) {
  const env = { PATH: process.env.PATH, LOG_FORMAT: "json", ...environment };
  const program = spawn(SERVICE_BINARY, args, { env, stdio: ["ignore", "pipe", "pipe"] });
  const lines = [];
  await new Promise((resolve, reject) => {
    for (const stream of [program.stdout, program.stderr]) {
      createInterface({ input: stream }).on("line", (line) => {
        lines.push(line);
        if (line.includes(ready)) resolve();
      });
    }
    program.on("error", reject);
    program.on("exit", () => reject(new Error(`${args.join(" ")} ended:\n${lines.join("\n")}`)));
  });
  return async () => {
    if (program.exitCode !== null) return;
    program.kill();
    await once(program, "exit");
  };
}

/** Starts the sandbox as a separate program, so that a story can stop and restart it. */
export async function startDiscogs(port) {
  const stop = await startProgram(["sandbox", "--port", String(port)], String(port));
  return { url: `http://127.0.0.1:${port}`, stop };
}

/**
 * Starts a service with its own sandbox, or with Discogs at `discogsUrl`.
 *
 * The returned `command` runs another command of the program on the same data.
 */
export async function startService({ discogsUrl, variables = {} } = {}) {
  const folder = await mkdtemp(join(tmpdir(), "discogsography-browser-"));
  const [port, healthPort, sandboxPort] = [await freePort(), await freePort(), await freePort()];
  const environment = {
    DATA_DIR: join(folder, "data"),
    API_PORT: String(port),
    API_HEALTH_PORT: String(healthPort),
    RATE_LIMITS: "off",
    ...variables,
    ...(discogsUrl && { DISCOGS_API_URL: discogsUrl, DISCOGS_WEB_URL: discogsUrl }),
  };
  const args = discogsUrl ? ["serve"] : ["serve", "--sandbox", "--sandbox-port", String(sandboxPort)];
  const stopProgram = await startProgram(args, "Ready", environment);
  const page = await servedPage(`http://127.0.0.1:${port}`);
  return {
    url: page.url,
    command: (...words) => {
      const onStore = discogsUrl ? words : [...words, "--sandbox"];
      return promisify(execFile)(SERVICE_BINARY, onStore, { env: environment });
    },
    stopProgram,
    stop: async () => {
      await page.stop();
      await stopProgram();
      await rm(folder, { recursive: true });
    },
  };
}

/**
 * Starts a service and a separate Discogs before the first story of a file, and stops them after the
 * last. `prepare` is called once both are running.
 */
export function startWithSeparateDiscogs(prepare = async () => {}) {
  const programs = {};
  before(async () => {
    if (needsBinary.skip) return;
    programs.discogs = await startDiscogs(await freePort());
    programs.service = await startService({ discogsUrl: programs.discogs.url });
    await prepare(programs.service);
  });
  after(async () => {
    await programs.service?.stop();
    await programs.discogs?.stop();
  });
  return programs;
}

async function servedPage(serviceUrl) {
  if (WEB_FROM_FOLDER) return startDevServer(serviceUrl);
  return { url: serviceUrl, stop: async () => {} };
}

async function givenService() {
  const page = await servedPage(SERVICE_URL.replace(/\/$/, ""));
  return { url: page.url, stop: page.stop };
}

// Stories

/** The service and the browser of a file of stories; set before the first one runs. */
export const world = { service: null, browser: null };

before(async () => {
  await mkdir(SCREENSHOTS, { recursive: true });
  world.service = SERVICE_BINARY ? await startService() : await givenService();
  world.browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: [
      "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
      "--disable-background-networking", "--disable-component-update", "--disable-sync",
    ],
  });
});

after(async () => {
  await world.browser?.close();
  await world.service?.stop();
});

/**
 * Defines a test that runs in its own browser context, with the page open.
 *
 * Fails if the page logs a warning or an error (except API calls that the service refuses), violates
 * its security policy, or sends a request to another server.
 */
export function story(name, options, run) {
  if (!run) [options, run] = [{}, options];
  test(name, options, async () => {
    const context = await world.browser.newContext({ locale: "en-GB", ...options.context });
    // Added as an init script, since the page's policy forbids adding it later.
    if (options.axe) await context.addInitScript({ path: AXE });
    const page = await context.newPage();
    page.setDefaultTimeout(20_000);
    const service = (await options.service?.()) ?? world.service;
    const problems = watch(page, service.url);
    try {
      await page.goto(service.start ?? service.url);
      await run(page, service);
      assert.deepEqual(problems, []);
    } finally {
      await context.close();
    }
  });
}

function watch(page, serviceUrl) {
  const problems = [];
  page.on("pageerror", (error) => problems.push(`page error: ${error.message}`));
  page.on("console", (message) => {
    const isRefusedCall =
      message.text().startsWith("Failed to load resource") &&
      /^\/(account\/)?api\//.test(new URL(message.location().url).pathname);
    if (["error", "warning"].includes(message.type()) && !isRefusedCall) {
      problems.push(`console: ${message.text()}`);
    }
  });
  page.on("request", (request) => {
    if (new URL(request.url()).origin !== serviceUrl) problems.push(`request to ${request.url()}`);
  });
  return problems;
}

// Steps of a story

let addresses = 0;

/** Returns an unused email address, even if many stories share one service. */
export const newEmail = () => `digger-${process.pid}-${Date.now()}-${(addresses += 1)}@example.com`;

export const button = (page, name) => page.getByRole("button", { name, exact: true });
/** The visible field with this label. */
export const field = (page, label) => page.getByLabel(label, { exact: true }).filter({ visible: true });
/** Visible text, without announcements for screen readers. */
export const visibleText = (page, text, options) =>
  page.getByText(text, options).and(page.locator(":not(#announcer)")).filter({ visible: true });
export const heading = (page, name) => page.getByRole("heading", { name, exact: true });

/** Registers through the form, which also signs in. Then waits until the Discogs card shows `state`. */
export async function register(page, email = newEmail(), state = "Not connected") {
  await page.getByRole("link", { name: "Create an account" }).click();
  await heading(page, "Create an account").waitFor();
  await field(page, "Email address").fill(email);
  await field(page, "Password").fill(PASSWORD);
  await button(page, "Create account").click();
  await visibleText(page, state, { exact: true }).waitFor();
  return email;
}

export async function signIn(page, email, password = PASSWORD) {
  await field(page, "Email address").fill(email);
  await field(page, "Password").fill(password);
  await button(page, "Sign in").click();
}

/** Presses a button that opens Discogs, and returns the new tab. */
export async function openDiscogs(page, name = "Connect Discogs") {
  const opened = page.waitForEvent("popup");
  await button(page, name).click();
  const tab = await opened;
  await button(tab, "Authorize").waitFor();
  return tab;
}

/** Authorizes the app in the Discogs tab, and returns the code. */
export async function authorize(tab) {
  await button(tab, "Authorize").click();
  return tab.locator("#pin").innerText();
}

export const codeField = (page) => field(page, "Code (PIN) from Discogs");

export async function connect(page) {
  const tab = await openDiscogs(page);
  const code = await authorize(tab);
  await tab.close();
  await codeField(page).fill(code);
  await button(page, "Finish connecting").click();
  await visibleText(page, "Connected. Happy digging!").waitFor();
}

/** Sets the sandbox's credentials as the app's. */
export const setUpDiscogs = (service) =>
  service.command("discogs-setup", "--consumer-key", "sandbox-key", "--consumer-secret", "sandbox-secret");

/** Calls the API directly, as the user who is signed in on the page. */
export function callAsUser(page, method, path, body) {
  return page.evaluate(
    async ([method, path, body]) => {
      const token = sessionStorage.getItem("discogsography.access_token") ?? localStorage.getItem("discogsography.access_token");
      const headers = { Authorization: `Bearer ${token}`, "Content-Type": "application/json" };
      const response = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
      return { status: response.status, answer: await response.json().catch(() => null) };
    },
    [method, path, body],
  );
}

/** Executes an operation in Swagger UI, and returns the status and body that it shows. */
export async function tryOut(page, operation, body) {
  const block = page.locator(`[id$="-${operation}"]`);
  await block.locator(".opblock-summary-control").click();
  await block.getByRole("button", { name: "Try it out" }).click();
  if (body) await block.locator("textarea").fill(JSON.stringify(body));
  await block.getByRole("button", { name: "Execute" }).click();
  const answer = block.locator(".live-responses-table");
  await answer.waitFor();
  return {
    status: await answer.locator("tr.response td.response-col_status").first().innerText(),
    text: await answer.locator(".highlight-code").first().innerText(),
  };
}

/** Waits until this element has the focus. */
export async function assertFocused(locator) {
  const element = await locator.elementHandle();
  await locator.page().waitForFunction((wanted) => document.activeElement === wanted, element);
}

export const screenshot = (page, name) =>
  page.screenshot({ path: join(SCREENSHOTS, `${name}.png`), fullPage: true });
