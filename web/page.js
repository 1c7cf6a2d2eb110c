/**
 * Helpers for the DOM: messages, errors at fields, and buttons that run one action at a time.
 *
 * Everything is inserted as text, never as markup. This module must not depend on the views.
 */

import { fieldProblem, problem, waitLeft } from "./words.js";

export const element = (id) => document.getElementById(id);

/** Announces a text to screen readers. */
export function announce(text) {
  element("announcer").textContent = text;
}

/** Sets a `<time>` element, whose text is in the browser's language. */
export function setTime(time, rfc3339, words) {
  time.dateTime = rfc3339 ?? "";
  time.textContent = words;
  time.lang = rfc3339 ? navigator.language : "";
}

const countdowns = new WeakMap();

/** Clears a message. */
export function hush(box) {
  clearInterval(countdowns.get(box));
  box.classList.remove("error", "good");
  box.replaceChildren();
}

/** Shows and announces a message that needs no attention. */
export function tell(box, text, { good = false } = {}) {
  hush(box);
  box.classList.toggle("good", good);
  box.append(paragraph(text));
  announce(text);
}

/** Shows an error as an alert, with a countdown if there is a wait. Keeps the focus. */
export function complain(box, text, wait = null) {
  hush(box);
  box.classList.add("error");
  const alert = paragraph(text);
  alert.setAttribute("role", "alert");
  box.append(alert);
  if (wait !== null) countDown(box, wait);
  announce(wait === null ? "" : waitLeft(wait));
  box.scrollIntoView({ block: "nearest" });
}

function paragraph(text) {
  const made = document.createElement("p");
  made.textContent = text;
  return made;
}

function countDown(box, wait) {
  const end = Date.now() + wait * 1000;
  const line = paragraph(waitLeft(wait));
  box.append(" ", line);
  const tick = () => {
    const left = Math.ceil((end - Date.now()) / 1000);
    line.textContent = waitLeft(left);
    if (left > 0) return;
    clearInterval(countdowns.get(box));
    announce(line.textContent);
  };
  countdowns.set(box, setInterval(tick, 1000));
}

const errorOf = (input) => input.closest(".field").querySelector(".field-error");

/** Shows an error at a field. */
export function markField(input, text) {
  input.setAttribute("aria-invalid", "true");
  errorOf(input).textContent = text;
}

export function clearField(input) {
  input.removeAttribute("aria-invalid");
  errorOf(input).textContent = "";
}

/** Marks empty fields and focuses the first; returns whether there was one. */
export function anyEmpty(form) {
  // Only a password may consist of white space.
  const blank = ({ name, value }) => (name === "password" ? value : value.trim()) === "";
  const empty = inputs(form).filter(blank);
  for (const input of empty) markField(input, fieldProblem({ field: input.name, type: "missing" }));
  empty[0]?.focus();
  return empty.length > 0;
}

/** Returns the text fields of a form. */
export const inputs = (form) => [...form.querySelectorAll("input:not([type=checkbox])")];

/** Shows an error at the fields that it names, or else in the message. */
export function showError(error, box, { form, ...reader } = {}) {
  if (error.code === "superseded") return;
  if (!error.code) console.error(error);
  let first = null;
  for (const wrong of error.fields ?? []) {
    const input = form?.elements.namedItem(wrong.field);
    if (!input) continue;
    markField(input, fieldProblem(wrong));
    first ??= input;
  }
  if (!first) return complain(box, problem(error, reader), error.retryAfter);
  hush(box);
  announce("");
  first.focus();
}

/**
 * Runs the action of a button, unless another one is running in the same card.
 *
 * The button keeps its focus and its size. `work` starts in the click handler, so it may open a tab.
 * Its errors go to `failed`.
 */
export async function act(button, { box, progress, work, failed }) {
  const place = button.closest(".slip, .card");
  if (place.querySelector("[aria-busy=true]")) return;
  tell(box, progress);
  button.setAttribute("aria-busy", "true");
  button.setAttribute("aria-disabled", "true");
  const before = box.firstChild;
  try {
    await work();
    if (box.firstChild === before) hush(box);
  } catch (error) {
    if (box.firstChild === before) hush(box);
    await failed(error);
  } finally {
    button.removeAttribute("aria-busy");
    button.removeAttribute("aria-disabled");
  }
}

/** Handles a form in the script: the browser never submits it, so no input ends up in a URL. */
export function onSubmit(form, listener) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    listener();
  });
  form.addEventListener("input", ({ target }) => {
    if (target.closest(".field")) clearField(target);
  });
}

/**
 * Makes every "Show" button in `root` show and hide the password beside it.
 *
 * It is hidden again before it is sent: browsers remember the input of plain text fields. The class
 * `concealed` hides input that password managers should ignore.
 */
export function wireToggles(root) {
  for (const toggle of root.querySelectorAll(".toggle")) {
    const input = toggle.parentElement.querySelector("input");
    const isPassword = input.type === "password";
    const of = toggle.getAttribute("aria-label").replace(/^Show /, "");
    let isShown = false;
    const set = (shown) => {
      isShown = shown;
      if (isPassword) input.type = shown ? "text" : "password";
      else input.classList.toggle("concealed", !shown);
      toggle.textContent = shown ? "Hide" : "Show";
      toggle.setAttribute("aria-label", `${toggle.textContent} ${of}`);
    };
    toggle.addEventListener("click", () => set(!isShown));
    for (const event of ["submit", "reset"]) input.form.addEventListener(event, () => set(false));
    if (isPassword) hintAtCapsLock(input);
  }
}

/** Says below a password while Caps Lock is on. */
function hintAtCapsLock(input) {
  const hint = paragraph("");
  hint.className = "hint";
  hint.setAttribute("role", "status");
  input.closest(".field").append(hint);
  const check = (event) => {
    hint.textContent = event.getModifierState?.("CapsLock") ? "Caps Lock is on." : "";
  };
  for (const event of ["keydown", "keyup"]) input.addEventListener(event, check);
  input.addEventListener("blur", () => {
    hint.textContent = "";
  });
}
