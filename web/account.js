/**
 * The entry point of the account page: chooses the view by the session.
 *
 * `sign-in.js`, `discogs.js` and `credentials.js` are the views; `session.js` keeps the session;
 * `settings.js` reads the operator's settings; `api.js` calls the service; `words.js` has the texts;
 * `page.js` has helpers for the DOM.
 */

import { isAdmin, loadCredentials, resetCredentials } from "./credentials.js";
import { checkDiscogs, loadDiscogs, resetDiscogs, wireDiscogs } from "./discogs.js";
import { act, element, onSubmit, setTime, showError, wireToggles } from "./page.js";
import {
  accessToken, asUser, expiresAt, forgetPending, forgetSession, pendingAuthorization,
  rememberSession, staysSignedIn, whenSessionChanges, whenSessionEnds,
} from "./session.js";
import { settings } from "./settings.js";
import { hideFront, showFront, wireSignIn } from "./sign-in.js";
import { moment } from "./words.js";

/** The longest delay of a browser's timer, in milliseconds. */
const LONGEST_TIMER = 2 ** 31 - 1;

const unreachable = element("unreachable-form");
let expiry;

/** Loads and shows the account of the user, or why that failed. */
async function enter({ focus }) {
  try {
    const user = await asUser("GET", "api/auth/me");
    showAccount(user, focus);
  } catch (error) {
    if (error.code !== "superseded") showUnreachable(error);
  }
}

function showAccount(user, focus) {
  show("account");
  for (const id of ["header-email", "who-email"]) element(id).textContent = user.email;
  setTime(element("who-since"), user.created_at, moment(user.created_at));
  element("who-until").textContent = until();
  document.title = "Your account – Discogsography";
  history.replaceState(null, "", location.pathname + location.search);
  if (focus) element("account-title").focus();
  loadDiscogs(user.id);
  loadCredentials();
  watchExpiry();
}

function until() {
  const end = expiresAt() ? moment(expiresAt(), { withTime: true }) : "the session expires";
  return staysSignedIn()
    ? `You stay signed in on this device until ${end}.`
    : `You stay signed in until you close this tab, or until ${end}.`;
}

/** Calls the service once the access token has expired, so that the page shows it at once. */
function watchExpiry() {
  clearTimeout(expiry);
  const left = expiresAt() - Date.now() + 1000;
  if (!expiresAt() || left > LONGEST_TIMER) return;
  expiry = setTimeout(() => asUser("GET", "api/auth/me").catch(() => {}), Math.max(left, 0));
}

function showUnreachable(error) {
  show("unreachable");
  showError(error, unreachable.querySelector(".message"));
}

function showSignIn(options) {
  show("front");
  clearTimeout(expiry);
  // The next user must not see anything of the previous one.
  for (const id of ["header-email", "who-email"]) element(id).textContent = "";
  resetDiscogs();
  resetCredentials();
  showFront(options);
}

function show(view) {
  for (const id of ["loading", "unreachable", "account"]) element(id).hidden = id !== view;
  if (view !== "front") hideFront();
  element("signed-in").hidden = view === "front" || view === "loading";
  element("tagline").hidden = !element("signed-in").hidden;
}

function signOut() {
  forgetSession();
  forgetPending();
  history.replaceState(null, "", "#sign-in");
  showSignIn({ email: "", notice: "You are signed out." });
}

function sessionEnded() {
  const pending = pendingAuthorization() ? " You can then finish connecting Discogs." : "";
  const notice = `Your session has expired. Sign in again to continue.${pending}`;
  const email = element("who-email").textContent || undefined;
  history.replaceState(null, "", "#sign-in");
  showSignIn({ email, notice });
}

/** Another tab has signed in or out: this tab follows. */
function sessionChanged() {
  forgetPending();
  location.reload();
}

async function applySettings() {
  const { app_base_url: appUrl, sandbox } = await settings;
  element("ribbon").hidden = !sandbox;
  element("app-link").hidden = appUrl === null;
  if (appUrl !== null) element("app-link").querySelector("a").href = appUrl;
}

wireToggles(document);
wireSignIn(async (login, choice) => {
  rememberSession(login, choice);
  await enter({ focus: true });
});
wireDiscogs({ isAdmin, refreshed: loadCredentials });
whenSessionEnds(sessionEnded);
whenSessionChanges(sessionChanged);
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
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible" && !element("account").hidden) checkDiscogs();
});

applySettings();
if (accessToken()) {
  show("loading");
  enter({ focus: false });
} else {
  show("front");
  showFront();
}
