/** The page has its own text for every documented error code. */

import assert from "node:assert/strict";
import { readFile, readdir, stat } from "node:fs/promises";
import { test } from "node:test";

import { fieldProblem, problem, timeLeft, waitLeft } from "../../web/words.js";

const read = (path) => readFile(new URL(path, import.meta.url), "utf8");

/** These lead to the sign-in view, which has its own text. */
const SIGNS_OUT = ["not_authenticated", "invalid_token"];

test("every documented code has a text", async () => {
  const rows = (await read("../../docs/http-api.md")).match(/^\| [45]\d\d \|.*$/gm);
  const codes = rows.flatMap((row) => [...row.split("|")[2].matchAll(/`(\w+)`/g)].map(([, code]) => code));
  assert.ok(codes.length >= 24, codes.join(" "));
  for (const code of codes.filter((code) => !SIGNS_OUT.includes(code))) {
    const fallback = problem({ code: "none", detail: "the service's own" });
    assert.notEqual(problem({ code, detail: "the service's own" }), fallback, code);
  }
});

test("an unknown code shows the text of the service", () => {
  assert.equal(problem({ code: "brand_new", detail: "Something new." }), "Something new.");
});

test("an unknown field shows the text of the service", () => {
  const wrong = { field: "nickname", type: "value_error", msg: "Value error, Nickname is taken" };
  assert.equal(fieldProblem(wrong), "Nickname is taken.");
});

test("waits are shown in seconds, minutes or hours", () => {
  const words = [0, 1, 2, 89, 90, 715, 5340, 5341, 14_400].map(waitLeft);
  assert.deepEqual(words, [
    "You can try again now.",
    "You can try again in 1 second.",
    "You can try again in 2 seconds.",
    "You can try again in 89 seconds.",
    "You can try again in 2 minutes.",
    "You can try again in 12 minutes.",
    "You can try again in 89 minutes.",
    "You can try again in about 2 hours.",
    "You can try again in about 4 hours.",
  ]);
});

test("the time left for the code is shown in minutes", () => {
  assert.deepEqual([600, 119, 60, 0].map(timeLeft), [
    "10 minutes left to enter the code.",
    "1 minute left to enter the code.",
    "Less than a minute left to enter the code.",
    "The time is up. If the code is no longer accepted, start again.",
  ]);
});

test("a long wait does not blame the user, and shows when it ends", () => {
  const limited = (retryAfter) => ({ code: "rate_limited", detail: "", retryAfter });
  assert.equal(problem(limited(60), { signingIn: true }), "Too many attempts in a short time.");
  assert.equal(problem(limited(null)), "Too many attempts in a short time.");
  const closed = problem(limited(715), { signingIn: true });
  assert.match(closed, /perhaps from another person.* sign-in is blocked until .*\d.*\d\d/);
  assert.match(problem(limited(715)), /^Too many attempts\. Try again at .*\d/);
});

test("the page stays small, without inline scripts or styles", async () => {
  const folder = new URL("../../web/", import.meta.url);
  const sizes = await Promise.all((await readdir(folder)).map(async (name) => (await stat(new URL(name, folder))).size));
  const total = sizes.reduce((sum, size) => sum + size, 0);
  assert.ok(total < 80_000, `${total} bytes`);
  const html = await read("../../web/index.html");
  assert.doesNotMatch(html, /<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)/);
});
