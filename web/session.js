/**
 * The session and the pending connection.
 *
 * Both are in `sessionStorage`, which survives a reload and ends with the tab. If the user chose to
 * stay signed in, the access token is in `localStorage`, which all tabs share and which survives a
 * restart of the browser. If the browser blocks storage, both last until the next reload. Must not
 * know the page.
 */

import { ApiError, call } from "./api.js";

const ACCESS_TOKEN = "discogsography.access_token";
const EXPIRES_AT = "discogsography.expires_at";
const PENDING = "discogsography.pending_authorization";

const fallback = new Map();

/** Runs `work` with a storage; returns undefined if the browser blocks it. */
function withStorage(name, work) {
  try {
    return work(window[name]);
  } catch {
    return undefined;
  }
}

function read(name) {
  const found = (storage) => withStorage(storage, (it) => it.getItem(name));
  return found("sessionStorage") ?? found("localStorage") ?? fallback.get(name) ?? null;
}

function write(name, value, { storage = "sessionStorage" } = {}) {
  const isWritten = withStorage(storage, (it) => {
    it.setItem(name, value);
    return true;
  });
  if (!isWritten) fallback.set(name, value);
}

function erase(name) {
  for (const storage of ["sessionStorage", "localStorage"]) {
    withStorage(storage, (it) => it.removeItem(name));
  }
  fallback.delete(name);
}

/** Returns the access token, or null if no user is signed in. */
export const accessToken = () => read(ACCESS_TOKEN);

/** Returns when the access token expires, in milliseconds; null if unknown. */
export const expiresAt = () => Number(read(EXPIRES_AT)) || null;

const isIn = (storage) => Boolean(withStorage(storage, (it) => it.getItem(ACCESS_TOKEN)));

/** Whether the session outlives this tab. */
export const staysSignedIn = () => isIn("localStorage") && !isIn("sessionStorage");

/** Starts a session with the answer to a login. `stay`: keep it after the tab is closed. */
export function rememberSession({ access_token, expires_in }, { stay }) {
  forgetSession();
  const place = { storage: stay ? "localStorage" : "sessionStorage" };
  write(EXPIRES_AT, String(Date.now() + expires_in * 1000), place);
  write(ACCESS_TOKEN, access_token, place);
}

/** Ends the session. A pending connection is kept: its user may sign in again. */
export function forgetSession() {
  erase(ACCESS_TOKEN);
  erase(EXPIRES_AT);
}

/**
 * Returns the pending connection, `{userId, state, authorizeUrl, expiresAt, refusals, pin}`, or null.
 * `expiresAt` is in milliseconds; `pin` is the current input.
 */
export function pendingAuthorization() {
  try {
    return JSON.parse(read(PENDING));
  } catch {
    return null;
  }
}

export const rememberPending = (pending) => write(PENDING, JSON.stringify(pending));
export const forgetPending = () => erase(PENDING);

let sessionEnded = () => {};

/** Sets the listener for when the service rejects the access token. */
export function whenSessionEnds(listener) {
  sessionEnded = listener;
}

/** Sets the listener for when another tab signs in or out for all tabs. */
export function whenSessionChanges(listener) {
  addEventListener("storage", ({ key }) => {
    if (key === ACCESS_TOKEN && !isIn("sessionStorage")) listener();
  });
}

/**
 * Calls the service as the signed-in user.
 *
 * Throws `superseded` if the user signs out meanwhile or the service rejects the access token: the
 * caller then has nothing to show.
 *
 * @throws {ApiError}
 */
export async function asUser(method, path, body) {
  const token = accessToken();
  const outdated = () => token !== accessToken();
  try {
    const answer = await call(method, path, { body, accessToken: token });
    if (outdated()) throw new ApiError("superseded");
    return answer;
  } catch (error) {
    if (outdated()) throw new ApiError("superseded");
    if (error.code !== "invalid_token" && error.code !== "not_authenticated") throw error;
    forgetSession();
    sessionEnded();
    throw new ApiError("superseded");
  }
}
