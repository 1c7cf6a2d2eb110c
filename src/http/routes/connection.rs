//! Connecting a Discogs account with OAuth 1.0a, out of band.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::clock::Timestamp;
use crate::flows::STATE_LIFE;
use crate::http::error::responses::{BODY, DISCOGS, LIMITED, SIGNED_IN, STORED, operation_errors};
use crate::http::error::table;
use crate::http::error::{ApiError, FlowStep};
use crate::http::json::Json;
use crate::http::request::extract::{CurrentUser, JsonBody, RequestClient};
use crate::http::request::input::{Fields, Input, Refusal};
use crate::http::schema;
use crate::http::state::AppState;
use crate::model::Verifier;
use crate::rate_limits::Action;

/// The code (PIN) that Discogs showed.
#[derive(ToSchema)]
#[schema(as = VerifyRequest)]
pub(crate) struct VerifyRequest {
    /// The `state` from `authorize`. An unknown or expired one is a 400.
    #[schema(min_length = 1, example = "hKyGDJhNkqRbWzTXYuVc")]
    state: String,
    #[schema(rename = "oauth_verifier", inline)]
    verifier: Verifier,
}

/// A started connection.
#[derive(Serialize, ToSchema)]
#[schema(as = StartedConnection)]
pub(crate) struct AuthorizeAnswer {
    /// The page on Discogs on which the user presses Authorize and gets the code (PIN).
    #[schema(example = "https://www.discogs.com/oauth/authorize?oauth_token=hKyGDJhNkqRbWzTXYuVc")]
    authorize_url: String,
    /// To be sent with the code. It is the request token.
    #[schema(example = "hKyGDJhNkqRbWzTXYuVc")]
    state: String,
    /// The life of the state in seconds.
    #[schema(example = 600)]
    expires_in: u64,
}

/// A finished connection.
#[derive(Serialize, ToSchema)]
#[schema(as = FinishedConnection)]
pub(crate) struct VerifyAnswer {
    #[schema(schema_with = schema::always_true)]
    connected: bool,
    /// As Discogs returns it, any Unicode.
    #[schema(example = "digger")]
    discogs_username: String,
    /// A number as text, since it may be larger than JavaScript's numbers can hold.
    #[schema(example = "1234567")]
    discogs_user_id: String,
}

/// Whether a Discogs account is connected, and which.
#[derive(Serialize, ToSchema)]
#[schema(as = Connection)]
#[serde(untagged)]
pub(crate) enum StatusAnswer {
    /// With a connection.
    #[schema(title = "Connected")]
    Connected {
        #[schema(schema_with = schema::always_true)]
        connected: bool,
        /// As Discogs returned it; null if it was never stored.
        #[schema(required = true, example = "digger")]
        discogs_username: Option<String>,
        /// A number as text; null if it was never stored.
        #[schema(required = true, example = "1234567")]
        discogs_user_id: Option<String>,
        /// When the user last connected.
        #[schema(value_type = String, format = DateTime, example = "2026-11-23T10:15:30.123456+00:00")]
        connected_at: Timestamp,
    },
    /// Without one.
    #[schema(title = "NotConnected")]
    NotConnected {
        #[schema(schema_with = schema::always_false)]
        connected: bool,
    },
}

/// A deleted connection.
#[derive(Serialize, ToSchema)]
#[schema(as = RevokedConnection)]
pub(crate) struct RevokeAnswer {
    #[schema(schema_with = schema::always_true)]
    revoked: bool,
}

operation_errors!(
    AuthorizeErrors: SIGNED_IN,
    LIMITED,
    &[&table::DISCOGS_NOT_CONFIGURED_AT_AUTHORIZE],
    STORED,
    DISCOGS,
);

/// Start connection
///
/// Asks Discogs for a request token. The user then opens `authorize_url`, presses Authorize, and
/// gets a code (PIN).
#[utoipa::path(
    get,
    path = "/api/oauth/authorize/discogs",
    operation_id = "startConnection",
    tag = "Discogs",
    security(("access_token" = [])),
    responses(
        (status = 200, description = "Where to authorize.", body = AuthorizeAnswer),
        AuthorizeErrors
    )
)]
pub(crate) async fn authorize(
    CurrentUser(user): CurrentUser,
    RequestClient(client): RequestClient,
    State(app): State<AppState>,
) -> Result<Json<AuthorizeAnswer>, ApiError> {
    app.limits.take(Action::Authorize(user.id, client)).await?;
    let started = app.connect.start(user.flow_owner()).await;
    let started = started.map_err(|error| ApiError::of_flow(error, FlowStep::Authorize))?;
    Ok(Json(AuthorizeAnswer {
        authorize_url: started.authorize_url,
        state: started.state,
        expires_in: STATE_LIFE.as_secs(),
    }))
}

operation_errors!(
    VerifyErrors: SIGNED_IN,
    BODY,
    LIMITED,
    &[
        &table::DISCOGS_NOT_CONFIGURED_AT_VERIFY,
        &table::STATE_UNKNOWN,
        &table::STATE_BUSY,
        &table::STATE_NOT_YOURS,
        &table::VERIFIER_REJECTED,
    ],
    STORED,
    DISCOGS,
);

/// Finish connection
///
/// Exchanges the code (PIN) for permanent tokens, which stay on the server. A `verify` request that
/// fails can be retried with the same `state`, except after the third code that Discogs rejects.
#[utoipa::path(
    post,
    path = "/api/oauth/verify/discogs",
    operation_id = "finishConnection",
    tag = "Discogs",
    security(("access_token" = [])),
    request_body = VerifyRequest,
    responses((status = 200, description = "Connected.", body = VerifyAnswer), VerifyErrors)
)]
pub(crate) async fn verify(
    CurrentUser(user): CurrentUser,
    RequestClient(client): RequestClient,
    State(app): State<AppState>,
    JsonBody(request): JsonBody<VerifyRequest>,
) -> Result<Json<VerifyAnswer>, ApiError> {
    app.limits.take(Action::Verify(user.id, client)).await?;
    let identity = app.connect.finish(user.flow_owner(), request.state, request.verifier).await;
    let identity = identity.map_err(|error| ApiError::of_flow(error, FlowStep::Verify))?;
    Ok(Json(VerifyAnswer {
        connected: true,
        discogs_username: identity.username,
        discogs_user_id: identity.id,
    }))
}

operation_errors!(StatusErrors: SIGNED_IN, STORED);

/// Get connection
///
/// Reads the stored connection. Discogs is not called.
#[utoipa::path(
    get,
    path = "/api/oauth/status/discogs",
    operation_id = "getConnection",
    tag = "Discogs",
    security(("access_token" = [])),
    responses(
        (status = 200, description = "Connected or not.", body = StatusAnswer),
        StatusErrors
    )
)]
pub(crate) async fn status(
    CurrentUser(user): CurrentUser,
    State(app): State<AppState>,
) -> Result<Json<StatusAnswer>, ApiError> {
    let connection = app.storage()?.connection(user.id).await?;
    Ok(Json(match connection {
        None => StatusAnswer::NotConnected { connected: false },
        Some(connection) => StatusAnswer::Connected {
            connected: true,
            discogs_username: connection.provider_username,
            discogs_user_id: connection.provider_user_id,
            connected_at: connection.updated_at,
        },
    }))
}

operation_errors!(RevokeErrors: SIGNED_IN, STORED);

/// Disconnect
///
/// Deletes the stored tokens and ends pending flows: a `verify` already in progress stores nothing.
/// Succeeds even if nothing was connected. The permission on Discogs remains until the user removes
/// it there.
#[utoipa::path(
    delete,
    path = "/api/oauth/revoke/discogs",
    operation_id = "disconnect",
    tag = "Discogs",
    security(("access_token" = [])),
    responses(
        (status = 200, description = "No longer connected.", body = RevokeAnswer),
        RevokeErrors
    )
)]
pub(crate) async fn revoke(
    CurrentUser(user): CurrentUser,
    State(app): State<AppState>,
) -> Result<Json<RevokeAnswer>, ApiError> {
    app.storage()?.delete_connection(user.id).await?;
    Ok(Json(RevokeAnswer { revoked: true }))
}

impl Input for VerifyRequest {
    fn read(fields: &mut Fields) -> Option<Self> {
        let state = fields.parse("state", |raw| {
            if raw.is_empty() { Err(Refusal::EMPTY) } else { Ok(raw.to_owned()) }
        });
        let verifier = fields.parse("oauth_verifier", Verifier::parse);
        Some(Self { state: state?, verifier: verifier? })
    }
}
