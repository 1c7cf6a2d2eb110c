/** The page has words of its own for every code that the service's documentation names. */

import assert from "node:assert/strict";
import { readFile, readdir, stat } from "node:fs/promises";
import { test } from "node:test";

import { fieldProblem, problem, timeLeft, waitLeft } from "../../web/words.js";

const read = (path) => readFile(new URL(path, import.meta.url), "utf8");

/** These send somebody back to signing in, which has words of its own. */
const SIGNS_OUT = ["not_authenticated", "invalid_token"];

test("every documented code has words", async () => {
  const rows = (await read("../../docs/http-api.md")).match(/^\| [45]\d\d \|.*$/gm);
  const codes = rows.flatMap((row) => [...row.split("|")[2].matchAll(/`(\w+)`/g)].map(([, code]) => code));
  assert.ok(codes.length >= 24, codes.join(" "));
  for (const code of codes.filter((code) => !SIGNS_OUT.includes(code))) {
    const fallback = problem({ code: "none", detail: "the service's own" });
    assert.notEqual(problem({ code, detail: "the service's own" }), fallback, code);
  }
});

test("a code that is new says what the service says", () => {
  assert.equal(problem({ code: "brand_new", detail: "Something new." }), "Something new.");
});

test("a field that is new says what the service says", () => {
  const wrong = { field: "nickname", type: "value_error", msg: "Value error, Nickname is taken" };
  assert.equal(fieldProblem(wrong), "Nickname is taken.");
});

test("waits and times left are told in whole words", () => {
  assert.deepEqual([0, 1, 2].map(waitLeft), [
    "You can try again now.",
    "You can try again in 1 second.",
    "You can try again in 2 seconds.",
  ]);
  assert.deepEqual([600, 119, 60, 0].map(timeLeft), [
    "There is time: 10 minutes left for this PIN.",
    "There is time: a good minute left for this PIN.",
    "Less than a minute left for this PIN.",
    "The time for this PIN is over. If it is no longer taken, start again.",
  ]);
});

test("the page stays small, and nothing in it is inline", async () => {
  const folder = new URL("../../web/", import.meta.url);
  const sizes = await Promise.all((await readdir(folder)).map(async (name) => (await stat(new URL(name, folder))).size));
  const total = sizes.reduce((sum, size) => sum + size, 0);
  assert.ok(total < 60 * 1024, `${total} bytes`);
  const html = await read("../../web/index.html");
  assert.doesNotMatch(html, /<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)/);
});
