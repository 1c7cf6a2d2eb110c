/**
 * The card of the Discogs connection: connect with a code (PIN), show it, disconnect.
 *
 * Shows one state at a time: loading, unknown, off, pending, over, on, leaving. This module
 * must not depend on how users sign in.
 */

import { openTab, webAddress } from "./discogs-tab.js";
import {
  act, announce, anyEmpty, clearField, complain, element, hush, inputs, markField, onSubmit,
  setTime, showError, tell,
} from "./page.js";
import { asUser, forgetPending, pendingAuthorization, rememberPending } from "./session.js";
import { settings } from "./settings.js";
import { THIRD_REFUSAL, moment, problem, timeLeft } from "./words.js";

const STATUS = "api/oauth/status/discogs";
/** The service ends an attempt with the third code that Discogs rejects. */
const MOST_REFUSALS = 3;

const NOT_CONNECTED = ["off", "pending", "over"];
const WAITING = "Waiting for Discogs. This can take up to 20 seconds.";

const card = element("discogs");
const box = element("discogs-message");
const form = element("pin-form");
const [pin] = inputs(form);
const page = { userId: null, isAdmin: () => false };
let clock;

/** `isAdmin` returns whether the user can set the credentials; `refreshed` runs with a refresh. */
export function wireDiscogs({ isAdmin, refreshed }) {
  page.isAdmin = isAdmin;
  for (const id of ["connect", "start-again", "over-again"]) {
    element(id).addEventListener("click", () => start(element(id)));
  }
  onSubmit(form, finish);
  pin.addEventListener("input", () => rememberPending({ ...pendingAuthorization(), pin: pin.value }));
  for (const id of ["give-up", "over-leave"]) element(id).addEventListener("click", giveUp);
  element("disconnect").addEventListener("click", askWhetherToLeave);
  element("disconnect-no").addEventListener("click", stay);
  element("disconnect-yes").addEventListener("click", disconnect);
  card.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && state() === "leaving") stay();
  });
  element("refresh").addEventListener("click", () => refresh(refreshed));
}

/** Loads the connection of a user; drops a pending attempt of another user. */
export async function loadDiscogs(userId) {
  page.userId = userId;
  if (pendingAuthorization()?.userId !== userId) forgetPending();
  hush(box);
  show("loading");
  try {
    showStatus(await asUser("GET", STATUS));
  } catch (error) {
    if (error.code === "superseded") return;
    show(pendingAuthorization() ? "pending" : "unknown");
    tell(box, problem(error));
  }
}

/** Empties the card, for the next user. */
export function resetDiscogs() {
  pin.value = "";
  element("discogs-username").textContent = "";
  hush(box);
  show("loading");
}

const state = () => card.querySelector("[data-state]:not([hidden])").dataset.state;

function show(wanted) {
  for (const part of card.querySelectorAll("[data-state]")) {
    part.hidden = part.dataset.state !== wanted;
  }
  clearInterval(clock);
  if (wanted === "pending") fillPending();
}

function showStatus(status) {
  if (!status.connected) return show(pendingAuthorization() ? "pending" : "off");
  forgetPending();
  pin.value = "";
  const { discogs_username: username, discogs_user_id: id, connected_at: since } = status;
  // Old connections may lack the name, the number or both.
  element("discogs-username").textContent = username ?? (id ? `Number ${id}` : "Unknown name");
  setTime(element("discogs-since"), since, since ? moment(since, { withTime: true }) : "just now");
  linkOnward(username);
  show("on");
}

/** Links to the app, if the operator has set its address, and to the user's profile on Discogs. */
async function linkOnward(username) {
  const { app_base_url: appUrl, sandbox } = await settings;
  const profile = element("profile-link");
  // A URL must not end in `/.` or `/..`: it would lead to another page.
  profile.hidden = sandbox || !username || /^\.{1,2}$/.test(username);
  if (!profile.hidden) profile.href = `https://www.discogs.com/user/${encodeURIComponent(username)}`;
  element("onward-link").hidden = appUrl === null;
  if (appUrl !== null) element("onward-link").href = appUrl;
  element("onward").hidden = profile.hidden && appUrl === null;
}

/** On return to this tab: shows a change that was made elsewhere. */
export async function checkDiscogs() {
  const before = state();
  const isBusy = () => card.querySelector("[aria-busy=true]") !== null;
  if (isBusy()) return;
  const status = await asUser("GET", STATUS).catch(() => null);
  if (status === null || isBusy() || state() !== before) return;
  const isExpected = before === "leaving" ? status.connected : NOT_CONNECTED.includes(before) && !status.connected;
  if (isExpected) return;
  if (before !== "on" || !status.connected) hush(box);
  const hadFocus = card.contains(document.activeElement);
  showStatus(status);
  if (hadFocus && state() !== before) element("discogs-title").focus();
}

function refresh(refreshed) {
  act(element("refresh"), {
    box,
    progress: "Checking…",
    work: async () => {
      const [status] = await Promise.all([asUser("GET", STATUS), refreshed()]);
      showStatus(status);
      tell(box, "Up to date.");
    },
    failed,
  });
}

function failed(error) {
  showError(error, box, { form, isAdmin: page.isAdmin() });
  const isFixable = ["discogs_not_configured", "discogs_credentials_rejected"].includes(error.code);
  if (!page.isAdmin() || !isFixable) return;
  const link = document.createElement("a");
  link.href = "#credentials";
  link.textContent = "Go to the app credentials";
  box.append(" ", link);
}

// Connecting

function start(button) {
  act(button, {
    box,
    progress: WAITING,
    work: async () => {
      const tab = openTab(WAITING);
      try {
        const { authorize_url, state, expires_in } = await asUser("GET", "api/oauth/authorize/discogs");
        const expiresAt = Date.now() + expires_in * 1000;
        const authorizeUrl = webAddress(authorize_url);
        rememberPending({ userId: page.userId, state, authorizeUrl, expiresAt, refusals: 0, pin: "" });
      } catch (error) {
        tab?.close();
        throw error;
      }
      show("pending");
      lead(tab);
    },
    failed,
  });
}

/** Sends the tab to Discogs, and prepares for the user's return with the code. */
function lead(tab) {
  if (tab && !tab.closed) {
    tab.location.replace(pendingAuthorization().authorizeUrl);
    tell(box, "Discogs is open in a new tab.");
    // The new tab has the focus now. On return, the user can paste at once.
    return pin.focus();
  }
  complain(box, "Your browser blocked the new tab. Use the link above to open the Discogs page.");
  element("authorize-link").focus();
}

function fillPending() {
  const pending = pendingAuthorization();
  element("authorize-link").href = pending.authorizeUrl;
  pin.value = pending.pin;
  clearField(pin);
  const line = element("time-left");
  line.textContent = "";
  const tick = () => {
    const words = timeLeft(Math.ceil((pending.expiresAt - Date.now()) / 1000));
    if (line.textContent === words) return;
    // Announced near the end only, not every minute.
    if (line.textContent && pending.expiresAt - Date.now() <= 60_000) announce(words);
    line.textContent = words;
  };
  tick();
  clock = setInterval(tick, 1000);
}

function finish() {
  if (anyEmpty(form)) return;
  act(element("finish"), {
    box,
    progress: "Sending your code to Discogs…",
    work: async () => {
      const body = { state: pendingAuthorization().state, oauth_verifier: pin.value };
      const verified = await asUser("POST", "api/oauth/verify/discogs", body);
      connected(verified, "Connected. Happy digging!");
      // The answer has no time; if `status` fails, "just now" is close enough.
      const status = await asUser("GET", STATUS).catch(() => verified);
      if (status.connected) showStatus(status);
    },
    failed: finishFailed,
  });
}

function connected(status, words) {
  showStatus(status);
  tell(box, words, { good: true });
  element("discogs-title").focus();
}

async function finishFailed(error) {
  if (error.code === "verifier_rejected") return refused(error);
  if (error.code !== "state_unknown" && error.code !== "state_not_yours") return failed(error);
  // An earlier attempt may have succeeded although its answer was lost.
  const status = await asUser("GET", STATUS).catch(() => ({ connected: false }));
  if (status.connected) return connected(status, "You are already connected.");
  over(problem(error));
}

function refused(error) {
  const pending = pendingAuthorization();
  const refusals = pending.refusals + 1;
  if (refusals >= MOST_REFUSALS) return over(THIRD_REFUSAL);
  rememberPending({ ...pending, refusals });
  markField(pin, problem(error));
  pin.focus();
}

/** Shows why this attempt can't be finished, and offers a new one. */
function over(why) {
  forgetPending();
  pin.value = "";
  hush(box);
  show("over");
  element("over-why").textContent = why;
  element("over-title").focus();
}

function giveUp() {
  forgetPending();
  pin.value = "";
  show("off");
  tell(box, "Nothing was connected.");
  element("connect").focus();
}

// Disconnecting

function askWhetherToLeave() {
  hush(box);
  show("leaving");
  element("leaving-title").focus();
}

function stay() {
  show("on");
  element("disconnect").focus();
}

function disconnect() {
  act(element("disconnect-yes"), {
    box,
    progress: "Disconnecting…",
    work: async () => {
      await asUser("DELETE", "api/oauth/revoke/discogs");
      show("off");
      tell(box, "Disconnected. The permission on Discogs remains until you remove it there.", { good: true });
      element("discogs-title").focus();
    },
    failed,
  });
}
