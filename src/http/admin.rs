//! The app's Discogs credentials, for admins. (The seed's "Admin".)

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use secrecy::ExposeSecret as _;
use serde::Serialize;

use super::AppState;
use super::error::ApiError;
use super::extract::{AdminUser, JsonBody};
use super::input::{Fields, Input};
use crate::clock::Timestamp;
use crate::model::{ConfigKey, ConfigValue, mask};

/// The body of `PUT /api/admin/config/{key}`.
pub(super) struct PutRequest {
    value: ConfigValue,
}

/// A config key with its masked value.
#[derive(Serialize)]
pub(super) struct ConfigAnswer {
    key: &'static str,
    value: String,
    updated_at: Timestamp,
}

/// Every config key.
#[derive(Serialize)]
pub(super) struct ConfigListAnswer {
    config: Vec<ConfigListEntry>,
}

/// A config key, set or not.
#[derive(Serialize)]
pub(super) struct ConfigListEntry {
    key: &'static str,
    is_set: bool,
    value: Option<String>,
    updated_at: Option<Timestamp>,
}

/// `GET /api/admin/config`
pub(super) async fn list(
    AdminUser: AdminUser,
    State(app): State<AppState>,
) -> Result<Json<ConfigListAnswer>, ApiError> {
    let entries = app.storage()?.config().await?;
    let config = ConfigKey::ALL.map(|key| {
        let entry = entries.iter().find(|entry| entry.key == key);
        ConfigListEntry {
            key: key.as_str(),
            is_set: entry.is_some(),
            value: entry.map(|entry| mask(entry.value.expose_secret())),
            updated_at: entry.map(|entry| entry.updated_at),
        }
    });
    Ok(Json(ConfigListAnswer { config: config.into() }))
}

/// `PUT /api/admin/config/{key}`
pub(super) async fn put(
    AdminUser: AdminUser,
    KnownKey(key): KnownKey,
    State(app): State<AppState>,
    JsonBody(request): JsonBody<PutRequest>,
) -> Result<Json<ConfigAnswer>, ApiError> {
    let value = mask(request.value.expose());
    let updated_at = app.storage()?.put_config(&[(key, request.value)]).await?;
    Ok(Json(ConfigAnswer { key: key.as_str(), value, updated_at }))
}

/// `DELETE /api/admin/config/{key}`
pub(super) async fn delete(
    AdminUser: AdminUser,
    KnownKey(key): KnownKey,
    State(app): State<AppState>,
) -> Result<StatusCode, ApiError> {
    app.storage()?.delete_config(&[key]).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The key in the path, where it is one.
pub(super) struct KnownKey(ConfigKey);

impl axum::extract::FromRequestParts<AppState> for KnownKey {
    type Rejection = ApiError;

    async fn from_request_parts(
        parts: &mut axum::http::request::Parts,
        app: &AppState,
    ) -> Result<Self, ApiError> {
        let name: Result<Path<String>, PathRejection> = Path::from_request_parts(parts, app).await;
        let key = name.ok().and_then(|Path(name)| ConfigKey::from_name(&name));
        key.map(Self).ok_or(ApiError::UnknownConfigKey)
    }
}

impl Input for PutRequest {
    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self { value: fields.parse("value", ConfigValue::parse)? })
    }
}
