//! The table of errors: status, `code` for programs, `detail` for people (docs/http-api.md).
//!
//! Existing clients show some of the sentences: those never change. The others say what to do next.

use axum::http::StatusCode;

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) detail: &'static str,
}

/// Declares the rows, and the list of them.
macro_rules! rows {
    ($($name:ident: $status:ident $code:literal $detail:literal;)*) => {
        $(
            pub(crate) const $name: Row =
                Row { status: StatusCode::$status, code: $code, detail: $detail };
        )*

        /// Every row.
        pub(crate) const ALL: &[Row] = &[$($name),*];
    };
}

rows! {
    INVALID_REQUEST: BAD_REQUEST "invalid_request" "The request must have exactly one Host header.";
    STATE_UNKNOWN: BAD_REQUEST "state_unknown"
        "OAuth state not found or expired. Please restart the OAuth flow.";
    STATE_BUSY: BAD_REQUEST "state_busy"
        "This code (PIN) is already being checked. Please wait a moment.";
    VERIFIER_REJECTED: BAD_REQUEST "verifier_rejected" "Invalid verifier code or OAuth flow failed";
    NOT_AUTHENTICATED: UNAUTHORIZED "not_authenticated" "Not authenticated";
    INVALID_TOKEN: UNAUTHORIZED "invalid_token" "Invalid or expired token";
    INVALID_CREDENTIALS: UNAUTHORIZED "invalid_credentials" "Incorrect email or password";
    ADMIN_REQUIRED: FORBIDDEN "admin_required" "Admin access required";
    STATE_NOT_YOURS: FORBIDDEN "state_not_yours"
        "This connection was started by another user. Please start your own.";
    NOT_FOUND: NOT_FOUND "not_found" "Not Found";
    UNKNOWN_CONFIG_KEY: NOT_FOUND "unknown_config_key"
        "Unknown config key. The known keys are discogs_consumer_key and discogs_consumer_secret.";
    METHOD_NOT_ALLOWED: METHOD_NOT_ALLOWED "method_not_allowed" "Method Not Allowed";
    BODY_TOO_LARGE: PAYLOAD_TOO_LARGE "body_too_large" "The request body is larger than 64 KiB.";
    NOT_JSON: UNSUPPORTED_MEDIA_TYPE "not_json"
        "The request body must be JSON, sent with Content-Type: application/json.";
    EMAIL_TAKEN: CONFLICT "email_taken" "Email address already registered";
    INVALID_INPUT: UNPROCESSABLE_ENTITY "invalid_input" "";
    RATE_LIMITED: TOO_MANY_REQUESTS "rate_limited" "Too many requests. Please try again later.";
    INTERNAL: INTERNAL_SERVER_ERROR "internal"
        "Something went wrong on our side. Please try again.";
    DISCOGS_CREDENTIALS_REJECTED: BAD_GATEWAY "discogs_credentials_rejected"
        "Discogs does not accept this app's credentials. Please ask an admin to check them.";
    DISCOGS_BLOCKED: BAD_GATEWAY "discogs_blocked"
        "Discogs is blocking this service. Please try again later, and tell an admin if it continues.";
    DISCOGS_UNAVAILABLE: BAD_GATEWAY "discogs_unavailable"
        "Discogs is unavailable. Please try again in a moment.";
    OVERLOADED: SERVICE_UNAVAILABLE "overloaded"
        "The service is very busy. Please try again in a moment.";
    DATABASE_UNAVAILABLE: SERVICE_UNAVAILABLE "database_unavailable"
        "The service can't reach its database. Please try again in a moment.";
    STATE_STORE_UNAVAILABLE: SERVICE_UNAVAILABLE "state_store_unavailable"
        "Connecting to Discogs is not possible right now. Please try again in a moment.";
    DISCOGS_NOT_CONFIGURED_AT_AUTHORIZE: SERVICE_UNAVAILABLE "discogs_not_configured"
        "Discogs app credentials not configured. Ask an admin to run discogs-setup on the API container.";
    DISCOGS_NOT_CONFIGURED_AT_VERIFY: SERVICE_UNAVAILABLE "discogs_not_configured"
        "Discogs app credentials not configured";
    DISCOGS_RATE_LIMITED: SERVICE_UNAVAILABLE "discogs_rate_limited"
        "Discogs is getting too many requests from this service. Please wait a moment and try again.";
    SECRET_UNREADABLE: SERVICE_UNAVAILABLE "secret_unreadable"
        "A stored secret can't be decrypted. Please tell an admin: the service's log says which one.";
    SECOND_FACTOR_UNAVAILABLE: SERVICE_UNAVAILABLE "second_factor_unavailable"
        "This account has two-factor sign-in, which this service does not support yet.";
}
