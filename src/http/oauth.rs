//! Connecting a Discogs account, out of band. (The seed's "Discogs OAuth Flow".)

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::AppState;
use super::error::{ApiError, FlowStep};
use super::extract::{CurrentUser, JsonBody};
use super::input::{Fields, Input, Refusal};
use crate::clock::Timestamp;
use crate::model::{Provider, Verifier};
use crate::state::STATE_LIFE;

/// The body of `verify`.
pub(super) struct VerifyRequest {
    state: String,
    verifier: Verifier,
}

/// The answer of `authorize`.
#[derive(Serialize)]
pub(super) struct AuthorizeAnswer {
    authorize_url: String,
    state: String,
    /// Seconds.
    expires_in: u64,
}

/// The answer of `verify`.
#[derive(Serialize)]
pub(super) struct VerifyAnswer {
    connected: bool,
    discogs_username: String,
    discogs_user_id: String,
}

/// The answer of `status`.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum StatusAnswer {
    NotConnected {
        connected: bool,
    },
    Connected {
        connected: bool,
        discogs_username: Option<String>,
        discogs_user_id: Option<String>,
        connected_at: Timestamp,
    },
}

/// The answer of `revoke`.
#[derive(Serialize)]
pub(super) struct RevokeAnswer {
    revoked: bool,
}

/// `GET /api/oauth/authorize/discogs`
pub(super) async fn authorize(
    CurrentUser(user): CurrentUser,
    State(app): State<AppState>,
) -> Result<Json<AuthorizeAnswer>, ApiError> {
    let started = app.connect.start(user.id).await;
    let started = started.map_err(|error| ApiError::of_flow(error, FlowStep::Authorize))?;
    Ok(Json(AuthorizeAnswer {
        authorize_url: started.authorize_url,
        state: started.state,
        expires_in: STATE_LIFE.as_secs(),
    }))
}

/// `POST /api/oauth/verify/discogs`
pub(super) async fn verify(
    CurrentUser(user): CurrentUser,
    State(app): State<AppState>,
    JsonBody(request): JsonBody<VerifyRequest>,
) -> Result<Json<VerifyAnswer>, ApiError> {
    let identity = app.connect.finish(user.id, request.state, request.verifier).await;
    let identity = identity.map_err(|error| ApiError::of_flow(error, FlowStep::Verify))?;
    Ok(Json(VerifyAnswer {
        connected: true,
        discogs_username: identity.username,
        discogs_user_id: identity.id,
    }))
}

/// `GET /api/oauth/status/discogs`
pub(super) async fn status(
    CurrentUser(user): CurrentUser,
    State(app): State<AppState>,
) -> Result<Json<StatusAnswer>, ApiError> {
    let connection = app.storage()?.connection(user.id, Provider::Discogs).await?;
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

/// `DELETE /api/oauth/revoke/discogs`
pub(super) async fn revoke(
    CurrentUser(user): CurrentUser,
    State(app): State<AppState>,
) -> Result<Json<RevokeAnswer>, ApiError> {
    app.storage()?.delete_connection(user.id, Provider::Discogs).await?;
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
