//! Every error that a client can get: from a variant to its row in the table.
//!
//! The only place that turns inner errors into answers. A client gets a fixed sentence; the cause goes
//! to the request's log line (see `Report`).

pub(crate) mod responses;
pub(crate) mod table;

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::request::input::FieldError;
use super::schema;
use crate::accounts::password::PasswordError;
use crate::connect::ConnectError;
use crate::discogs::DiscogsError;
use crate::expiring::ExpiringError;
use crate::rate_limits::LimitError;
use crate::storage::StorageError;
use crate::telemetry::chain;
use table::Row;

/// The `Retry-After` if no better estimate is known.
pub(crate) const RETRY_SOON: Duration = Duration::from_secs(2);

/// An error for a client. A `String` is the cause: logged, and never sent to the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ApiError {
    /// 400: the head of the request is invalid.
    InvalidRequest,
    /// 400: the state is unknown, expired or used.
    StateUnknown,
    /// 400: another request is finishing the same state.
    StateBusy,
    /// 400: Discogs rejects the PIN.
    VerifierRejected(String),
    /// 401: no bearer token.
    NotAuthenticated,
    /// 401: an invalid token, or one of a user who may not sign in.
    InvalidToken,
    /// 401: wrong email address or password.
    InvalidCredentials,
    /// 403: the user is not an admin.
    AdminRequired,
    /// 403: the state belongs to another user.
    StateNotYours,
    /// 404: no such path.
    NotFound,
    /// 404: no such config key.
    UnknownConfigKey,
    /// 405
    MethodNotAllowed,
    /// 413
    BodyTooLarge,
    /// 415
    NotJson,
    /// 409: the email address is registered.
    EmailTaken,
    /// 422: every invalid field of the body.
    InvalidInput(Vec<FieldError>),
    /// 429: a request limit is reached.
    RateLimited(Duration),
    /// 500: a bug in the service.
    Internal(String),
    /// 502: Discogs rejects the app's credentials.
    DiscogsCredentialsRejected(String),
    /// 502: Discogs's CDN blocks the service.
    DiscogsBlocked(String),
    /// 502: Discogs is unavailable or sent an invalid response.
    DiscogsUnavailable(String),
    /// 503: the service is overloaded.
    Overloaded(String, Duration),
    /// 503: the database is unavailable.
    DatabaseUnavailable(String),
    /// 503: the state store is unavailable.
    StateStoreUnavailable(String),
    /// 503: the app's credentials are not set; the sentence depends on the route.
    DiscogsNotConfigured(FlowStep),
    /// 503: Discogs asks the service to wait.
    DiscogsRateLimited(Duration),
    /// 503: a stored secret can't be decrypted.
    SecretUnreadable(String),
    /// 503: the password is right, but the user has two-factor sign-in.
    SecondFactorUnavailable,
}

/// The two routes of the Discogs flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FlowStep {
    /// `authorize`
    Authorize,
    /// `verify`
    Verify,
}

/// An error as the request's log line shows it; travels in the response's extensions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) code: &'static str,
    /// The error with all its causes; `None` if the code says everything.
    pub(crate) chain: Option<String>,
}

impl ApiError {
    fn row(&self) -> &'static Row {
        match self {
            Self::StateUnknown => &table::STATE_UNKNOWN,
            Self::StateBusy => &table::STATE_BUSY,
            Self::VerifierRejected(_) => &table::VERIFIER_REJECTED,
            Self::NotAuthenticated => &table::NOT_AUTHENTICATED,
            Self::InvalidToken => &table::INVALID_TOKEN,
            Self::InvalidCredentials => &table::INVALID_CREDENTIALS,
            Self::AdminRequired => &table::ADMIN_REQUIRED,
            Self::StateNotYours => &table::STATE_NOT_YOURS,
            Self::NotFound => &table::NOT_FOUND,
            Self::UnknownConfigKey => &table::UNKNOWN_CONFIG_KEY,
            Self::MethodNotAllowed => &table::METHOD_NOT_ALLOWED,
            Self::BodyTooLarge => &table::BODY_TOO_LARGE,
            Self::NotJson => &table::NOT_JSON,
            Self::InvalidRequest => &table::INVALID_REQUEST,
            Self::EmailTaken => &table::EMAIL_TAKEN,
            Self::InvalidInput(_) => &table::INVALID_INPUT,
            Self::RateLimited(_) => &table::RATE_LIMITED,
            Self::Internal(_) => &table::INTERNAL,
            Self::DiscogsCredentialsRejected(_) => &table::DISCOGS_CREDENTIALS_REJECTED,
            Self::DiscogsBlocked(_) => &table::DISCOGS_BLOCKED,
            Self::DiscogsUnavailable(_) => &table::DISCOGS_UNAVAILABLE,
            Self::Overloaded(..) => &table::OVERLOADED,
            Self::DatabaseUnavailable(_) => &table::DATABASE_UNAVAILABLE,
            Self::StateStoreUnavailable(_) => &table::STATE_STORE_UNAVAILABLE,
            Self::DiscogsNotConfigured(FlowStep::Authorize) => {
                &table::DISCOGS_NOT_CONFIGURED_AT_AUTHORIZE
            }
            Self::DiscogsNotConfigured(FlowStep::Verify) => {
                &table::DISCOGS_NOT_CONFIGURED_AT_VERIFY
            }
            Self::DiscogsRateLimited(_) => &table::DISCOGS_RATE_LIMITED,
            Self::SecretUnreadable(_) => &table::SECRET_UNREADABLE,
            Self::SecondFactorUnavailable => &table::SECOND_FACTOR_UNAVAILABLE,
        }
    }

    /// Returns the `Retry-After` and the cause for the log, if there are any.
    fn wait_and_cause(&self) -> (Option<Duration>, Option<&str>) {
        match self {
            Self::Overloaded(cause, wait) => (Some(*wait), Some(cause)),
            Self::DatabaseUnavailable(cause) | Self::StateStoreUnavailable(cause) => {
                (Some(RETRY_SOON), Some(cause))
            }
            Self::RateLimited(wait) | Self::DiscogsRateLimited(wait) => (Some(*wait), None),
            Self::VerifierRejected(cause)
            | Self::Internal(cause)
            | Self::DiscogsCredentialsRejected(cause)
            | Self::DiscogsBlocked(cause)
            | Self::DiscogsUnavailable(cause)
            | Self::SecretUnreadable(cause) => (None, Some(cause)),
            Self::StateUnknown
            | Self::StateBusy
            | Self::NotAuthenticated
            | Self::InvalidToken
            | Self::InvalidCredentials
            | Self::AdminRequired
            | Self::StateNotYours
            | Self::NotFound
            | Self::UnknownConfigKey
            | Self::MethodNotAllowed
            | Self::BodyTooLarge
            | Self::NotJson
            | Self::InvalidRequest
            | Self::EmailTaken
            | Self::InvalidInput(_)
            | Self::DiscogsNotConfigured(_)
            | Self::SecondFactorUnavailable => (None, None),
        }
    }

    /// Converts an error of a flow at one of its two routes.
    pub(crate) fn of_flow(error: ConnectError, step: FlowStep) -> Self {
        match error {
            ConnectError::NotConfigured => Self::DiscogsNotConfigured(step),
            ConnectError::StateUnknown => Self::StateUnknown,
            ConnectError::StateBusy => Self::StateBusy,
            ConnectError::StateNotYours => Self::StateNotYours,
            ConnectError::Flows(error) => error.into(),
            // Discogs sent a username that the database can't store.
            ConnectError::Storage(error @ StorageError::Untranslatable(_)) => {
                Self::DiscogsUnavailable(chain(&error))
            }
            ConnectError::Storage(error) => error.into(),
            ConnectError::Discogs(error) => error.into(),
        }
    }
}

/// An error.
#[derive(Serialize, ToSchema)]
#[schema(as = Error)]
pub(crate) struct ErrorAnswer {
    /// What is wrong, in a sentence for people.
    detail: &'static str,
    /// With 429 only: the same as `detail`, for clients that read it here.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    error: Option<&'static str>,
    #[schema(schema_with = schema::error_code)]
    code: &'static str,
}

impl ErrorAnswer {
    pub(crate) fn of(row: &Row) -> Self {
        let &Row { status, code, detail } = row;
        let error = (status == StatusCode::TOO_MANY_REQUESTS).then_some(detail);
        Self { detail, error, code }
    }
}

/// The response to an invalid body.
#[derive(Serialize, ToSchema)]
#[schema(as = InvalidInput)]
pub(crate) struct InvalidInputAnswer {
    /// Every invalid field. The input is never echoed.
    detail: Vec<FieldError>,
    #[schema(schema_with = schema::invalid_input)]
    code: &'static str,
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let row = self.row();
        let &Row { status, code, .. } = row;
        let (retry_after, cause) = self.wait_and_cause();
        let chain = cause.map(str::to_owned);
        let body = if let Self::InvalidInput(detail) = self {
            serde_json::to_vec(&InvalidInputAnswer { detail, code })
        } else {
            serde_json::to_vec(&ErrorAnswer::of(row))
        };
        let content_type = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
        // Fixed text and numbers can always be serialized.
        let mut response = (status, content_type, body.unwrap_or_default()).into_response();
        let headers = response.headers_mut();
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(wait) = retry_after {
            let seconds = wait.as_secs_f64().ceil().max(1.0);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(whole_seconds(seconds)));
        }
        response.extensions_mut().insert(Report { code, chain });
        response
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "seconds of a wait: positive, whole, and a cast of a float saturates"
)]
fn whole_seconds(seconds: f64) -> u32 {
    seconds as u32
}

impl From<StorageError> for ApiError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::EmailTaken => Self::EmailTaken,
            StorageError::NoSuchUser => Self::InvalidToken,
            StorageError::FlowEnded => Self::StateUnknown,
            StorageError::Overloaded => Self::Overloaded(chain(&error), RETRY_SOON),
            StorageError::Unavailable(_)
            | StorageError::DiskFull(_)
            | StorageError::Lost(_)
            | StorageError::SchemaBehind { .. }
            | StorageError::Incompatible(_) => Self::DatabaseUnavailable(chain(&error)),
            StorageError::Unreadable { .. } => Self::SecretUnreadable(chain(&error)),
            StorageError::Refused(_) | StorageError::Untranslatable(_) => {
                Self::Internal(chain(&error))
            }
        }
    }
}

impl From<ExpiringError> for ApiError {
    fn from(error: ExpiringError) -> Self {
        match error {
            ExpiringError::Unavailable(_) => Self::StateStoreUnavailable(chain(&error)),
            ExpiringError::Overloaded => Self::Overloaded(chain(&error), RETRY_SOON),
        }
    }
}

impl From<LimitError> for ApiError {
    fn from(error: LimitError) -> Self {
        match error {
            LimitError::Reached(wait) => Self::RateLimited(wait),
            LimitError::Storage(error) => error.into(),
        }
    }
}

impl From<PasswordError> for ApiError {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::Overloaded { wait } => Self::Overloaded(chain(&error), wait),
            PasswordError::Stopped => Self::Overloaded(chain(&error), RETRY_SOON),
        }
    }
}

impl From<DiscogsError> for ApiError {
    fn from(error: DiscogsError) -> Self {
        let cause = chain(&error);
        match error {
            DiscogsError::CredentialsRejected { .. } => Self::DiscogsCredentialsRejected(cause),
            DiscogsError::VerifierRejected { .. } => Self::VerifierRejected(cause),
            DiscogsError::RateLimited { retry_after } => Self::DiscogsRateLimited(retry_after),
            DiscogsError::Blocked { .. } => Self::DiscogsBlocked(cause),
            DiscogsError::Unavailable { .. } => Self::DiscogsUnavailable(cause),
        }
    }
}
