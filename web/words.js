/**
 * What the page says: about errors by their code, bad input, dates, and time left.
 *
 * Pure functions; must not know the page.
 */

const RELOAD = "The page and the service don't understand each other. Please load the page again.";

/** By `code`. A function is told whether the reader is an admin. */
const PROBLEMS = {
  invalid_credentials:
    "This email address and this password don't go together. Please check both, and mind capital letters.",
  second_factor_unavailable:
    "This account has two-factor sign-in, which this service does not support yet. Sign in where you switched it on.",
  email_taken: "This email address has an account already. Please sign in instead.",
  rate_limited: "Those were many tries in a short time. Please take a little break.",
  overloaded: "The service is very busy just now. Please try again in a moment.",
  database_unavailable:
    "The service can't reach its database just now. Please try again in a moment.",
  state_store_unavailable:
    "Connecting Discogs does not work just now. Please try again in a moment.",
  discogs_not_configured: (isAdmin) =>
    isAdmin
      ? "The service has no credentials for Discogs yet. Set the consumer key and the consumer secret below, then try again."
      : "The service has no credentials for Discogs yet. Please tell an admin of this service; once they are set, you can connect.",
  discogs_credentials_rejected: (isAdmin) =>
    isAdmin
      ? "Discogs refuses the service's credentials. Check the consumer key and the consumer secret below, then try again."
      : "Discogs refuses the service's credentials. It is nothing that you did. Please tell an admin of this service.",
  discogs_blocked:
    "Discogs is turning this service away at the door. That can last for hours. Please try again later.",
  discogs_unavailable:
    "Discogs is not answering as it should. Please try again in a moment; what you have begun is kept.",
  discogs_rate_limited:
    "Discogs asks us to slow down. Please wait a little; what you have begun is kept.",
  state_unknown:
    "This attempt has run out of time, or is finished already. Starting again takes a minute.",
  state_not_yours: "This attempt was begun by somebody else. Please start your own.",
  state_busy:
    "Your PIN is being checked already. Please wait a moment, then press the button again.",
  verifier_rejected:
    "Discogs did not take this PIN. Compare it with the one in the Discogs tab, and try once more. If it is the same, or you pressed Deny there, start again for a new one.",
  admin_required: "You are not an admin any more, so nothing was changed.",
  unknown_config_key: RELOAD,
  body_too_large: "That is longer than the service takes. Please check what you pasted.",
  internal: "Something went wrong on our side. Please try again.",
  not_found: RELOAD,
  method_not_allowed: RELOAD,
  not_json: RELOAD,
  invalid_input: RELOAD,
  unreachable:
    "The service can't be reached. Please check your internet connection, and try again.",
  timed_out:
    "There was no answer within 25 seconds. It may have worked all the same; try again to see.",
  unreadable: "The answer made no sense. Please try again.",
};

/** The sentence for an error; the service's own where the page has none. */
export function problem(error, { isAdmin = false } = {}) {
  const words = PROBLEMS[error.code];
  if (typeof words === "function") return words(isAdmin);
  return words || error.detail || PROBLEMS.internal;
}

/** What to say when Discogs has refused a PIN for the third time. */
export const THIRD_REFUSAL =
  "Discogs has refused three PINs, and that ends this attempt. Start again, and you get a new PIN.";

/** By field, then by the `type` of what is wrong with it. */
const FIELDS = {
  email: {
    missing: "Please type your email address.",
    value_error: "This does not look like an email address, such as digger@example.com.",
  },
  password: {
    missing: "Please type your password.",
    string_too_short: "Please take at least 8 characters.",
    string_too_long: "Please take at most 1,024 characters.",
    value_error: "One of these characters can't be part of a password.",
  },
  oauth_verifier: {
    missing: "Please paste the PIN that Discogs has shown you.",
  },
  value: {
    missing: "Please paste the value.",
    value_error: "Please paste 1 to 256 letters, digits and signs, without blanks between them.",
  },
};

/** The sentence for a field; the service's own where the page has none. */
export function fieldProblem({ field, type, msg }) {
  return FIELDS[field]?.[type] ?? `${msg.replace(/^Value error, /, "")}.`;
}

/** How long a wait still is. */
export function waitLeft(seconds) {
  if (seconds <= 0) return "You can try again now.";
  if (seconds === 1) return "You can try again in 1 second.";
  return `You can try again in ${seconds} seconds.`;
}

/** How long the PIN is still good: told in steps, so that nobody feels chased. */
export function timeLeft(seconds) {
  if (seconds <= 0) return "The time for this PIN is over. If it is no longer taken, start again.";
  if (seconds <= 60) return "Less than a minute left for this PIN.";
  const minutes = Math.floor(seconds / 60);
  return `There is time: ${minutes === 1 ? "a good minute" : `${minutes} minutes`} left for this PIN.`;
}

/** A moment as a date and, where asked, the time of day, in the reader's own time zone. */
export function moment(rfc3339, { withTime = false } = {}) {
  const style = withTime ? { dateStyle: "long", timeStyle: "short" } : { dateStyle: "long" };
  return new Intl.DateTimeFormat("en-GB", style).format(new Date(rfc3339));
}

/** What a config key is called. */
export function configKeyName(key) {
  const name = key.replace(/^discogs_/, "").replaceAll("_", " ");
  return name.charAt(0).toUpperCase() + name.slice(1);
}
