/**
 * Who is signed in here, and the connection under way.
 *
 * Both live in `sessionStorage`: they outlast a reload and end with the tab. Where the browser
 * forbids storage, they last until the page is loaded again. Must not know the page.
 */

import { ApiError, call } from "./api.js";

const ACCESS_TOKEN = "discogsography.access_token";
const PENDING = "discogsography.pending_authorization";

const fallback = new Map();

function read(name) {
  try {
    return sessionStorage.getItem(name);
  } catch {
    return fallback.get(name) ?? null;
  }
}

function write(name, value) {
  try {
    if (value === null) sessionStorage.removeItem(name);
    else sessionStorage.setItem(name, value);
  } catch {
    fallback.set(name, value);
  }
}

/** The access token, or null when nobody is signed in. */
export const accessToken = () => read(ACCESS_TOKEN);

export const rememberAccessToken = (token) => write(ACCESS_TOKEN, token);

/** Forgets who is signed in. A connection under way is kept: its user may come back. */
export const forgetAccessToken = () => write(ACCESS_TOKEN, null);

/**
 * The connection under way: `{userId, state, authorizeUrl, expiresAt, refusals, pin}`, or null.
 * `expiresAt` is in milliseconds; `pin` is what has been typed so far.
 */
export function pendingAuthorization() {
  try {
    return JSON.parse(read(PENDING));
  } catch {
    return null;
  }
}

export const rememberPending = (pending) => write(PENDING, JSON.stringify(pending));
export const forgetPending = () => write(PENDING, null);

let sessionEnded = () => {};

/** Says what to do when the service no longer takes the access token. */
export function whenSessionEnds(listener) {
  sessionEnded = listener;
}

/**
 * Calls the service as the user who is signed in.
 *
 * An answer that comes after somebody has signed out, or whose token is no longer taken, is thrown
 * as `superseded`: whoever waits for it has nothing left to show.
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
    forgetAccessToken();
    sessionEnded();
    throw new ApiError("superseded");
  }
}
