/**
 * Calls the service: JSON in, JSON out, and one kind of error for every failure.
 *
 * This module must not depend on the session or the page.
 */

/** How long a call may take. The service always answers within 18 seconds. */
const TIME_LIMIT_MS = 25_000;

/** A call that failed. Act on `code`; `detail` is a sentence for people. */
export class ApiError extends Error {
  /**
   * @param {string} code the service's code, or one of the page: `unreachable`, `timed_out`,
   *   `unreadable`, `superseded`
   * @param {{detail?: string, fields?: {field: string, type: string, msg: string}[],
   *   retryAfter?: number | null}} more `fields` are the invalid fields; `retryAfter` is in
   *   seconds, or null
   */
  constructor(code, { detail = "", fields = [], retryAfter = null } = {}) {
    super(`${code} ${detail}`.trim());
    Object.assign(this, { code, detail, fields, retryAfter });
  }
}

/**
 * Calls the service and returns the parsed answer; null for an empty one.
 *
 * `path` is relative to the page, so that it also works below a path of a reverse proxy.
 *
 * @throws {ApiError}
 */
export async function call(method, path, { body, accessToken } = {}) {
  const headers = { Accept: "application/json" };
  if (accessToken) headers.Authorization = `Bearer ${accessToken}`;
  if (body) headers["Content-Type"] = "application/json";
  const limit = new AbortController();
  const timer = setTimeout(() => limit.abort(), TIME_LIMIT_MS);
  try {
    const response = await fetch(path, {
      method,
      headers,
      body: body && JSON.stringify(body),
      signal: limit.signal,
      credentials: "omit",
      cache: "no-store",
    });
    const text = await response.text();
    const answer = parsed(text);
    if (!response.ok) throw refusal(response, answer);
    if (answer === undefined) throw new ApiError("unreadable");
    return answer;
  } catch (error) {
    if (error instanceof ApiError) throw error;
    throw new ApiError(limit.signal.aborted ? "timed_out" : "unreachable");
  } finally {
    clearTimeout(timer);
  }
}

/** Parses a body; null if it is empty, undefined if it is not JSON. */
function parsed(text) {
  if (text === "") return null;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function refusal(response, answer) {
  const retryAfter = seconds(response.headers.get("Retry-After"));
  if (typeof answer?.code !== "string") return new ApiError("unreadable", { retryAfter });
  const { code, detail } = answer;
  if (!Array.isArray(detail)) return new ApiError(code, { detail: String(detail), retryAfter });
  const fields = detail.map(({ type, loc, msg }) => ({ field: String(loc.at(-1)), type, msg }));
  return new ApiError(code, { fields, retryAfter });
}

/** Returns `Retry-After` in seconds: it may be a number or a date. */
function seconds(header) {
  if (!header) return null;
  const number = Number(header);
  if (Number.isFinite(number)) return Math.max(0, Math.ceil(number));
  const date = Date.parse(header);
  return Number.isNaN(date) ? null : Math.max(0, Math.ceil((date - Date.now()) / 1000));
}
