/**
 * The texts of the page: errors by their code, invalid input, dates, and remaining time.
 *
 * Pure functions; must not know the page.
 */

const RELOAD = "This page and the service have different versions. Reload the page and try again.";

/** From this wait on, in seconds, it is shown in minutes, with the time of day at which it ends. */
const LONG_WAIT = 90;

/** By `code`. A function receives the whole error and what the page knows about the reader. */
const PROBLEMS = {
  invalid_credentials: "Wrong email address or password. Check both and try again.",
  second_factor_unavailable:
    "This account uses two-factor sign-in, which this service does not support yet.",
  email_taken: "This email address already has an account. Sign in instead.",
  rate_limited: ({ retryAfter }, { signingIn }) => {
    if (retryAfter === null || retryAfter < LONG_WAIT) return "Too many attempts in a short time.";
    const until = clockTime(retryAfter);
    return signingIn
      ? `Too many wrong passwords for this account, perhaps from another person. To protect it, sign-in is blocked until ${until}.`
      : `Too many attempts. Try again at ${until}.`;
  },
  overloaded: "The service is very busy. Try again in a moment.",
  database_unavailable: "The service can't reach its database. Try again in a moment.",
  state_store_unavailable: "Connecting Discogs is not possible right now. Try again in a moment.",
  discogs_not_configured: (_, { isAdmin }) =>
    isAdmin
      ? "The service has no Discogs credentials yet. Set the consumer key and the consumer secret below, then try again."
      : "This service is not set up for Discogs yet. Ask an admin of this service to set its Discogs credentials, then try again.",
  discogs_credentials_rejected: (_, { isAdmin }) =>
    isAdmin
      ? "Discogs rejects the service's credentials. Check the consumer key and the consumer secret below, then try again."
      : "Discogs rejects this service's credentials. You did nothing wrong. Tell an admin of this service.",
  secret_unreadable: "The service can't read its Discogs credentials. Tell an admin of this service.",
  encryption_not_configured:
    "The service can't read its Discogs credentials. Tell an admin of this service.",
  mail_not_configured: "This service can't send mail. Tell an admin of this service.",
  discogs_blocked: "Discogs is blocking this service. That can last for hours. Try again later.",
  discogs_unavailable: "Discogs is unavailable. Try again in a moment. Your progress is saved.",
  discogs_rate_limited: "Discogs is getting too many requests from this service. Your progress is saved.",
  state_unknown: "This attempt has expired or is already finished. Starting again takes a minute.",
  state_not_yours: "Another user started this attempt. Start your own.",
  state_busy:
    "Your code is already being checked. Wait a few seconds, then press the button again.",
  verifier_rejected:
    "Discogs did not accept this code. Compare it with the one in the Discogs tab and try again. If they are the same, or you pressed Deny there, start again to get a new code.",
  admin_required: "You are no longer an admin, so nothing was changed.",
  unknown_config_key: RELOAD,
  body_too_large: "This is longer than the service accepts. Check what you pasted.",
  internal: "Something went wrong in the service. Try again.",
  not_found: RELOAD,
  method_not_allowed: RELOAD,
  not_json: RELOAD,
  invalid_input: RELOAD,
  invalid_request: RELOAD,
  unreachable: "Can't reach the service. Check your internet connection and try again.",
  timed_out:
    "No answer within 25 seconds. The request may still have succeeded. Try again to find out.",
  unreadable: "The service sent an unexpected answer. Try again in a moment.",
};

/**
 * Returns the sentence for an error; the service's own if the page has none.
 *
 * `isAdmin`: whether the reader can change the credentials. `signingIn`: whether this was a sign-in.
 */
export function problem(error, { isAdmin = false, signingIn = false } = {}) {
  const words = PROBLEMS[error.code];
  if (typeof words === "function") {
    return words({ ...error, retryAfter: error.retryAfter ?? null }, { isAdmin, signingIn });
  }
  return words || error.detail || PROBLEMS.internal;
}

/** The sentence for the third code that Discogs rejects. */
export const THIRD_REFUSAL =
  "Discogs has rejected three codes, which ends this attempt. Start again to get a new code.";

/** By field, then by the `type` of its error. */
const FIELDS = {
  email: {
    missing: "Enter your email address.",
    value_error: "This is not a valid email address. Example: digger@example.com.",
  },
  password: {
    missing: "Enter your password.",
    string_too_short: "Use at least 8 characters.",
    string_too_long: "Use at most 1,024 characters.",
    value_error: "The password contains a character that is not allowed.",
  },
  oauth_verifier: {
    missing: "Paste the code (PIN) that Discogs shows.",
    value_error: "This can't be the code. Copy only the code, without other words.",
  },
  value: {
    missing: "Paste the value.",
    value_error: "Paste 1 to 256 letters, digits and signs without spaces between them.",
  },
};

/** Returns the sentence for a field; the service's own if the page has none. */
export function fieldProblem({ field, type, msg }) {
  return FIELDS[field]?.[type] ?? `${msg.replace(/^Value error, /, "")}.`;
}

/** Returns the sentence for a remaining wait, rounded up. */
export function waitLeft(seconds) {
  if (seconds <= 0) return "You can try again now.";
  if (seconds < LONG_WAIT) return `You can try again in ${count(seconds, "second")}.`;
  const minutes = Math.ceil(seconds / 60);
  if (minutes < 90) return `You can try again in ${count(minutes, "minute")}.`;
  return `You can try again in about ${count(Math.round(minutes / 60), "hour")}.`;
}

/** Returns the time left for the code, in whole minutes so that the reader does not feel rushed. */
export function timeLeft(seconds) {
  if (seconds <= 0) return "The time is up. If the code is no longer accepted, start again.";
  if (seconds <= 60) return "Less than a minute left to enter the code.";
  return `${count(Math.floor(seconds / 60), "minute")} left to enter the code.`;
}

const count = (number, unit) => `${number} ${unit}${number === 1 ? "" : "s"}`;

/** Returns the time of day after a number of seconds, with the date if that is not today. */
function clockTime(seconds) {
  const end = new Date(Date.now() + seconds * 1000);
  const isToday = end.toDateString() === new Date().toDateString();
  const style = isToday ? { timeStyle: "short" } : { dateStyle: "medium", timeStyle: "short" };
  return new Intl.DateTimeFormat(undefined, style).format(end);
}

/** Formats a date, and optionally the time of day, in the browser's locale. */
export function moment(time, { withTime = false } = {}) {
  const style = withTime ? { dateStyle: "long", timeStyle: "short" } : { dateStyle: "long" };
  return new Intl.DateTimeFormat(undefined, style).format(new Date(time));
}

/** Returns the display name of a config key. */
export function configKeyName(key) {
  const name = key.replace(/^discogs_/, "").replaceAll("_", " ");
  return name.charAt(0).toUpperCase() + name.slice(1);
}
