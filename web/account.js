/**
 * The account page, from the top: who is signed in decides what is shown.
 *
 * To read on: `sign-in.js`, `discogs.js` and `credentials.js` are the views; `session.js` is who is
 * signed in; `api.js` calls the service; `words.js` is what the page says; `page.js` its tools.
 */

import { isAdmin, loadCredentials, resetCredentials } from "./credentials.js";
import { loadDiscogs, resetDiscogs, wireDiscogs } from "./discogs.js";
import { act, element, onSubmit, setTime, showError, wireToggles } from "./page.js";
import {
  accessToken, asUser, forgetAccessToken, forgetPending, pendingAuthorization, rememberAccessToken,
  whenSessionEnds,
} from "./session.js";
import { hideFront, showFront, wireSignIn } from "./sign-in.js";
import { moment } from "./words.js";

const unreachable = element("unreachable-form");

/** Loads who is signed in, and shows their account, or why that can't be done. */
async function enter({ focus }) {
  try {
    const user = await asUser("GET", "/api/auth/me");
    showAccount(user, focus);
  } catch (error) {
    if (error.code !== "superseded") showUnreachable(error);
  }
}

function showAccount(user, focus) {
  show("account");
  element("who-email").textContent = user.email;
  setTime(element("who-since"), user.created_at, moment(user.created_at));
  document.title = "Your account – Discogsography";
  if (focus) element("account-title").focus();
  loadDiscogs(user.id);
  loadCredentials();
}

function showUnreachable(error) {
  show("unreachable");
  showError(error, unreachable.querySelector(".message"));
}

function showSignIn(options) {
  show("front");
  // The next user must not find a word of the last one.
  element("who-email").textContent = "";
  resetDiscogs();
  resetCredentials();
  showFront(options);
}

function show(view) {
  for (const id of ["loading", "unreachable", "account"]) element(id).hidden = id !== view;
  if (view !== "front") hideFront();
  element("sign-out").hidden = view === "front" || view === "loading";
}

function signOut() {
  forgetAccessToken();
  forgetPending();
  showSignIn({ email: "", notice: "You are signed out.", focus: true });
}

function sessionEnded() {
  const goesOn = pendingAuthorization() ? " Your connection to Discogs then goes on where it was." : "";
  const notice = `You were signed out, because your sign-in has run out. Please sign in again.${goesOn}`;
  history.replaceState(null, "", "#sign-in");
  showSignIn({ email: element("who-email").textContent || undefined, notice, focus: true });
}

wireToggles(document);
wireSignIn(async (login) => {
  rememberAccessToken(login.access_token);
  await enter({ focus: true });
});
wireDiscogs({ isAdmin, refreshed: loadCredentials });
whenSessionEnds(sessionEnded);
element("sign-out").addEventListener("click", signOut);
onSubmit(unreachable, () => {
  const box = unreachable.querySelector(".message");
  act(unreachable.querySelector(".primary"), {
    box,
    progress: "Trying again…",
    work: () => enter({ focus: true }),
    failed: (error) => showError(error, box),
  });
});

if (accessToken()) {
  show("loading");
  enter({ focus: false });
} else {
  show("front");
  showFront();
}
