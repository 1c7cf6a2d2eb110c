//! The table of errors: status, `code` for programs, `detail` for people (CONTRACT section 1).
//!
//! The sentences that clients have shown so far are kept to the letter; the others say what to do.

use axum::http::StatusCode;

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) detail: &'static str,
}

const fn row(status: StatusCode, code: &'static str, detail: &'static str) -> Row {
    Row { status, code, detail }
}

pub(crate) const INVALID_REQUEST: Row = row(
    StatusCode::BAD_REQUEST,
    "invalid_request",
    "The request must have exactly one Host header.",
);

pub(crate) const STATE_UNKNOWN: Row = row(
    StatusCode::BAD_REQUEST,
    "state_unknown",
    "OAuth state not found or expired. Please restart the OAuth flow.",
);

pub(crate) const STATE_BUSY: Row = row(
    StatusCode::BAD_REQUEST,
    "state_busy",
    "This code (PIN) is already being checked. Please wait a moment.",
);

pub(crate) const VERIFIER_REJECTED: Row =
    row(StatusCode::BAD_REQUEST, "verifier_rejected", "Invalid verifier code or OAuth flow failed");

pub(crate) const NOT_AUTHENTICATED: Row =
    row(StatusCode::UNAUTHORIZED, "not_authenticated", "Not authenticated");

pub(crate) const INVALID_TOKEN: Row =
    row(StatusCode::UNAUTHORIZED, "invalid_token", "Invalid or expired token");

pub(crate) const INVALID_CREDENTIALS: Row =
    row(StatusCode::UNAUTHORIZED, "invalid_credentials", "Incorrect email or password");

pub(crate) const ADMIN_REQUIRED: Row =
    row(StatusCode::FORBIDDEN, "admin_required", "Admin access required");

pub(crate) const STATE_NOT_YOURS: Row = row(
    StatusCode::FORBIDDEN,
    "state_not_yours",
    "This connection was started by another user. Please start your own.",
);

pub(crate) const NOT_FOUND: Row = row(StatusCode::NOT_FOUND, "not_found", "Not Found");

pub(crate) const UNKNOWN_CONFIG_KEY: Row = row(
    StatusCode::NOT_FOUND,
    "unknown_config_key",
    "Unknown config key. Known are discogs_consumer_key and discogs_consumer_secret.",
);

pub(crate) const METHOD_NOT_ALLOWED: Row =
    row(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "Method Not Allowed");

pub(crate) const BODY_TOO_LARGE: Row =
    row(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "The request body is larger than 64 KiB.");

pub(crate) const NOT_JSON: Row = row(
    StatusCode::UNSUPPORTED_MEDIA_TYPE,
    "not_json",
    "The request body must be JSON, sent with Content-Type: application/json.",
);

pub(crate) const EMAIL_TAKEN: Row =
    row(StatusCode::CONFLICT, "email_taken", "Email address already registered");

pub(crate) const INVALID_INPUT: Row = row(StatusCode::UNPROCESSABLE_ENTITY, "invalid_input", "");

pub(crate) const RATE_LIMITED: Row = row(
    StatusCode::TOO_MANY_REQUESTS,
    "rate_limited",
    "Too many requests. Please try again later.",
);

pub(crate) const INTERNAL: Row = row(
    StatusCode::INTERNAL_SERVER_ERROR,
    "internal",
    "Something went wrong on our side. Please try again.",
);

pub(crate) const DISCOGS_CREDENTIALS_REJECTED: Row = row(
    StatusCode::BAD_GATEWAY,
    "discogs_credentials_rejected",
    "Discogs does not accept this app's credentials. Please ask an admin to check them.",
);

pub(crate) const DISCOGS_BLOCKED: Row = row(
    StatusCode::BAD_GATEWAY,
    "discogs_blocked",
    "Discogs is turning our requests away. Please try again later, and tell an admin if it goes on.",
);

pub(crate) const DISCOGS_UNAVAILABLE: Row = row(
    StatusCode::BAD_GATEWAY,
    "discogs_unavailable",
    "Discogs is not answering as it should. Please try again in a moment.",
);

pub(crate) const OVERLOADED: Row = row(
    StatusCode::SERVICE_UNAVAILABLE,
    "overloaded",
    "The service is very busy. Please try again in a moment.",
);

pub(crate) const DATABASE_UNAVAILABLE: Row = row(
    StatusCode::SERVICE_UNAVAILABLE,
    "database_unavailable",
    "The service can't reach its database. Please try again in a moment.",
);

pub(crate) const STATE_STORE_UNAVAILABLE: Row = row(
    StatusCode::SERVICE_UNAVAILABLE,
    "state_store_unavailable",
    "Connecting to Discogs is not possible right now. Please try again in a moment.",
);

pub(crate) const DISCOGS_NOT_CONFIGURED_AT_AUTHORIZE: Row = row(
    StatusCode::SERVICE_UNAVAILABLE,
    "discogs_not_configured",
    "Discogs app credentials not configured. Ask an admin to run discogs-setup on the API container.",
);

pub(crate) const DISCOGS_NOT_CONFIGURED_AT_VERIFY: Row = row(
    StatusCode::SERVICE_UNAVAILABLE,
    "discogs_not_configured",
    "Discogs app credentials not configured",
);

pub(crate) const DISCOGS_RATE_LIMITED: Row = row(
    StatusCode::SERVICE_UNAVAILABLE,
    "discogs_rate_limited",
    "Discogs is getting too many requests from us. Please wait a moment and try again.",
);

pub(crate) const SECOND_FACTOR_UNAVAILABLE: Row = row(
    StatusCode::SERVICE_UNAVAILABLE,
    "second_factor_unavailable",
    "This account has two-factor sign-in, which this service does not support yet.",
);
