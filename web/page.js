/**
 * The page's own tools: views, messages, errors at fields, and buttons that work once at a time.
 *
 * Everything is put in as text, never as markup. Must not know what the views are about.
 */

import { fieldProblem, problem, waitLeft } from "./words.js";

export const element = (id) => document.getElementById(id);

/** Tells screen readers something in passing. */
export function announce(text) {
  element("announcer").textContent = text;
}

/** Sets a `<time>` element, whose words are in the language of the browser. */
export function setTime(time, rfc3339, words) {
  time.dateTime = rfc3339 ?? "";
  time.textContent = words;
  time.lang = rfc3339 ? navigator.language : "";
}

const countdowns = new WeakMap();

/** Empties a message. */
export function hush(box) {
  clearInterval(countdowns.get(box));
  box.classList.remove("error", "good");
  box.replaceChildren();
}

/** Shows a message that does not ask for attention, and announces it. */
export function tell(box, text, { good = false } = {}) {
  hush(box);
  box.classList.toggle("good", good);
  box.append(paragraph(text));
  announce(text);
}

/** Shows what went wrong, as an alert; counts down if there is a wait. The focus stays. */
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

/** Says under a field what is wrong with it. */
export function markField(input, text) {
  input.setAttribute("aria-invalid", "true");
  errorOf(input).textContent = text;
}

export function clearField(input) {
  input.removeAttribute("aria-invalid");
  errorOf(input).textContent = "";
}

/** Marks the fields that are empty, goes to the first, and says whether there was one. */
export function anyEmpty(form) {
  // A password may well be blanks; anything else may not.
  const blank = ({ name, value }) => (name === "password" ? value : value.trim()) === "";
  const empty = inputs(form).filter(blank);
  for (const input of empty) markField(input, fieldProblem({ field: input.name, type: "missing" }));
  empty[0]?.focus();
  return empty.length > 0;
}

/** The fields of a form into which people type. */
export const inputs = (form) => [...form.querySelectorAll("input:not([type=checkbox])")];

/** Shows an error where it belongs: at the fields that it names, or else in the message. */
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
 * Does the work behind a button, unless something is at work in the same card already.
 *
 * The button keeps its focus and its size. `work` is begun on the click itself, so it may open a
 * tab. Any error that it throws goes to `failed`.
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

/** Sends a form by our own hands: the browser never does, so nothing lands in an address. */
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
 * It is hidden again before it is sent: browsers remember what is typed into fields of plain text.
 * The class `concealed` hides what password managers should leave alone.
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
