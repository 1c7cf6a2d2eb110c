/**
 * The views before somebody is signed in: sign in, and create an account.
 *
 * What was typed stays until it has worked. Must not know about Discogs.
 */

import { call } from "./api.js";
import {
  act, announce, anyEmpty, complain, element, hush, inputs, onSubmit, showError,
} from "./page.js";
import { problem } from "./words.js";

const signIn = { view: element("sign-in"), form: element("sign-in-form") };
const register = { view: element("register"), form: element("register-form") };
for (const side of [signIn, register]) {
  [side.email, side.password] = inputs(side.form);
  side.button = side.form.querySelector(".primary");
  side.box = side.form.querySelector(".message");
  side.title = side.view.querySelector("h1");
}

/** `signedIn` is called with the answer of the login. */
export function wireSignIn(signedIn) {
  onSubmit(signIn.form, () => submitSignIn(signedIn));
  onSubmit(register.form, () => submitRegister(signedIn));
  addEventListener("hashchange", () => {
    if (!element("front").hidden) showFront({ focus: true });
  });
}

/** Shows the view that the address asks for, `#register` or else sign in, with a word why. */
export function showFront({ email, notice = "", focus = false } = {}) {
  const [shown, other] = location.hash === "#register" ? [register, signIn] : [signIn, register];
  element("front").hidden = false;
  shown.view.hidden = false;
  other.view.hidden = true;
  // Who has typed an address on one side need not type it again on the other.
  shown.email.value = email ?? (shown.email.value || other.email.value);
  hush(shown.box);
  const line = element("sign-in-notice");
  line.textContent = notice;
  line.hidden = notice === "";
  document.title = `${shown.title.textContent} – Discogsography`;
  if (focus) shown.title.focus();
  announce(notice);
}

export function hideFront() {
  element("front").hidden = true;
}

const typed = ({ email, password }) => ({ email: email.value, password: password.value });

function clear() {
  for (const { form } of [signIn, register]) form.reset();
}

function submitSignIn(signedIn) {
  if (anyEmpty(signIn.form)) return;
  act(signIn.button, {
    box: signIn.box,
    progress: "Signing in…",
    work: async () => {
      const login = await call("POST", "/api/auth/login", { body: typed(signIn) });
      clear();
      await signedIn(login);
    },
    failed: (error) => showError(error, signIn.box, { form: signIn.form }),
  });
}

function submitRegister(signedIn) {
  if (anyEmpty(register.form)) return;
  act(register.button, {
    box: register.box,
    progress: "Creating your account…",
    work: async () => {
      const body = typed(register);
      await call("POST", "/api/auth/register", { body });
      const login = await call("POST", "/api/auth/login", { body }).catch(offerSignIn);
      if (!login) return;
      clear();
      await signedIn(login);
    },
    failed: (error) => {
      showError(error, register.box, { form: register.form });
      if (error.code === "email_taken") register.box.append(" ", signInInstead());
    },
  });
}

/** The account is there, but the login after it failed: goes on at sign in, with all filled in. */
function offerSignIn(error) {
  const { email, password } = typed(register);
  history.replaceState(null, "", "#sign-in");
  showFront({ email });
  signIn.password.value = password;
  register.password.value = "";
  complain(
    signIn.box,
    `Your account is made, only signing in did not work yet. ${problem(error)}`,
    error.retryAfter,
  );
}

function signInInstead() {
  const link = document.createElement("a");
  link.href = "#sign-in";
  link.textContent = "Sign in";
  return link;
}
