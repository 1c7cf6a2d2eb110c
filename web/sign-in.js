/**
 * The views of a signed-out user: sign in, and create an account.
 *
 * The input is kept until the call succeeds. This module must not depend on Discogs.
 */

import { call } from "./api.js";
import {
  act, announce, anyEmpty, complain, element, hush, onSubmit, showError,
} from "./page.js";
import { problem } from "./words.js";

// These ids differ from `#sign-in` and `#register`: a browser moves the focus to the element named by
// the fragment of the address.
const signIn = { view: element("sign-in-view"), form: element("sign-in-form") };
const register = { view: element("register-view"), form: element("register-form") };
for (const side of [signIn, register]) {
  const { email, password, stay } = side.form.elements;
  Object.assign(side, { email, password, stay });
  side.button = side.form.querySelector(".primary");
  side.box = side.form.querySelector(".message");
  side.title = side.view.querySelector("h1");
}

/** `signedIn` is called with the answer to the login, and whether to stay signed in. */
export function wireSignIn(signedIn) {
  onSubmit(signIn.form, () => submitSignIn(signedIn));
  onSubmit(register.form, () => submitRegister(signedIn));
  addEventListener("hashchange", () => {
    if (!element("front").hidden) showFront();
  });
}

/** Shows the view for the address, `#register` or else sign in, with a notice. */
export function showFront({ email, notice = "" } = {}) {
  const [shown, other] = location.hash === "#register" ? [register, signIn] : [signIn, register];
  element("front").hidden = false;
  shown.view.hidden = false;
  other.view.hidden = true;
  // An email address typed in one view is kept in the other.
  shown.email.value = email ?? (shown.email.value || other.email.value);
  hush(shown.box);
  const line = element("sign-in-notice");
  line.textContent = notice;
  line.hidden = notice === "";
  document.title = `${shown.title.textContent} – Discogsography`;
  (shown.email.value ? shown.password : shown.email).focus();
  announce(notice);
}

export function hideFront() {
  element("front").hidden = true;
}

const typed = ({ email, password }) => ({ email: email.value, password: password.value });

function clear() {
  for (const { form } of [signIn, register]) form.reset();
}

async function finish(signedIn, login, { stay }) {
  const chosen = { stay: stay.checked };
  clear();
  await signedIn(login, chosen);
}

function submitSignIn(signedIn) {
  if (anyEmpty(signIn.form)) return;
  act(signIn.button, {
    box: signIn.box,
    progress: "Signing in…",
    work: async () => {
      const login = await call("POST", "api/auth/login", { body: typed(signIn) });
      await finish(signedIn, login, signIn);
    },
    failed: (error) => {
      showError(error, signIn.box, { form: signIn.form, signingIn: true });
      if (error.code !== "invalid_credentials") return;
      signIn.password.focus();
      signIn.password.select();
    },
  });
}

function submitRegister(signedIn) {
  if (anyEmpty(register.form)) return;
  act(register.button, {
    box: register.box,
    progress: "Creating your account…",
    work: async () => {
      const body = typed(register);
      await call("POST", "api/auth/register", { body });
      const login = await call("POST", "api/auth/login", { body }).catch(offerSignIn);
      if (login) await finish(signedIn, login, register);
    },
    failed: (error) => {
      showError(error, register.box, { form: register.form });
      if (error.code === "email_taken") register.box.append(" ", signInInstead());
    },
  });
}

/** Continues at sign in, filled in: the account was created, but the login failed. */
function offerSignIn(error) {
  const { email, password } = typed(register);
  signIn.stay.checked = register.stay.checked;
  history.replaceState(null, "", "#sign-in");
  showFront({ email });
  signIn.password.value = password;
  register.password.value = "";
  complain(
    signIn.box,
    `Your account was created, but signing in failed. ${problem(error)}`,
    error.retryAfter,
  );
}

function signInInstead() {
  const link = document.createElement("a");
  link.href = "#sign-in";
  link.textContent = "Sign in";
  return link;
}
