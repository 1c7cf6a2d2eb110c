//! The app's Discogs credentials, for admins.

use axum::extract::State;
use axum::http::StatusCode;
use secrecy::ExposeSecret as _;
use serde::Serialize;
use utoipa::ToSchema;

use crate::clock::Timestamp;
use crate::http::error::ApiError;
use crate::http::error::responses::{ADMIN, BODY, KEY, SIGNED_IN, STORED, operation_errors};
use crate::http::error::table;
use crate::http::json::Json;
use crate::http::request::extract::{AdminUser, JsonBody, PathKey};
use crate::http::request::input::{Fields, Input};
use crate::http::state::AppState;
use crate::model::{ConfigKey, ConfigValue, mask};

/// A new value.
#[derive(ToSchema)]
#[schema(as = ConfigValue)]
pub(crate) struct PutRequest {
    #[schema(inline)]
    value: ConfigValue,
}

/// A config key with its masked value.
#[derive(Serialize, ToSchema)]
#[schema(as = ConfigEntry)]
pub(crate) struct ConfigAnswer {
    #[schema(inline)]
    key: ConfigKey,
    /// The first and last two characters, with `*` between them.
    #[schema(example = "uL****************sY")]
    value: String,
    /// When it was set.
    #[schema(value_type = String, format = DateTime, example = "2026-11-23T10:15:30.123456+00:00")]
    updated_at: Timestamp,
}

/// Every config key.
#[derive(Serialize, ToSchema)]
#[schema(as = Config)]
pub(crate) struct ConfigListAnswer {
    config: Vec<ConfigListEntry>,
}

/// A config key, set or not.
#[derive(Serialize, ToSchema)]
#[schema(as = KnownConfigKey)]
pub(crate) struct ConfigListEntry {
    #[schema(inline)]
    key: ConfigKey,
    /// An empty value counts as not set.
    #[schema(example = true)]
    is_set: bool,
    /// Masked; null if it is not set.
    #[schema(required = true, example = "uL****************sY")]
    value: Option<String>,
    /// When it was set; null if it is not.
    #[schema(
        required = true,
        value_type = Option<String>,
        format = DateTime,
        example = "2026-11-23T10:15:30.123456+00:00"
    )]
    updated_at: Option<Timestamp>,
}

operation_errors!(ListErrors: SIGNED_IN, ADMIN, STORED, &[&table::SECRET_UNREADABLE]);

/// List the app's credentials
///
/// Returns every known key, with its value masked.
#[utoipa::path(
    get,
    path = "/api/admin/config",
    operation_id = "listConfig",
    tag = "Admin",
    security(("access_token" = [])),
    responses((status = 200, description = "Every known key.", body = ConfigListAnswer), ListErrors)
)]
pub(crate) async fn list(
    AdminUser: AdminUser,
    State(app): State<AppState>,
) -> Result<Json<ConfigListAnswer>, ApiError> {
    let entries = app.storage()?.config().await?;
    let config = ConfigKey::ALL.map(|key| {
        let entry = entries.iter().find(|entry| entry.key == key);
        ConfigListEntry {
            key,
            is_set: entry.is_some(),
            value: entry.map(|entry| mask(entry.value.expose_secret())),
            updated_at: entry.map(|entry| entry.updated_at),
        }
    });
    Ok(Json(ConfigListAnswer { config: config.into() }))
}

operation_errors!(PutErrors: SIGNED_IN, ADMIN, KEY, BODY, STORED);

/// Set one of the app's credentials
///
/// Takes effect at once on every replica.
#[utoipa::path(
    put,
    path = "/api/admin/config/{key}",
    operation_id = "setConfig",
    tag = "Admin",
    security(("access_token" = [])),
    params(("key" = inline(ConfigKey), Path, description = "The config key.", example = "discogs_consumer_key")),
    request_body = PutRequest,
    responses(
        (status = 200, description = "The stored value, masked.", body = ConfigAnswer),
        PutErrors
    )
)]
pub(crate) async fn put(
    AdminUser: AdminUser,
    PathKey(key): PathKey,
    State(app): State<AppState>,
    JsonBody(request): JsonBody<PutRequest>,
) -> Result<Json<ConfigAnswer>, ApiError> {
    let value = mask(request.value.expose());
    let updated_at = app.storage()?.put_config(&[(key, request.value)]).await?;
    Ok(Json(ConfigAnswer { key, value, updated_at }))
}

operation_errors!(DeleteErrors: SIGNED_IN, ADMIN, KEY, STORED);

/// Remove one of the app's credentials
///
/// Succeeds even if it was not set.
#[utoipa::path(
    delete,
    path = "/api/admin/config/{key}",
    operation_id = "removeConfig",
    tag = "Admin",
    security(("access_token" = [])),
    params(("key" = inline(ConfigKey), Path, description = "The config key.", example = "discogs_consumer_key")),
    responses((status = 204, description = "The key is not set (any more)."), DeleteErrors)
)]
pub(crate) async fn delete(
    AdminUser: AdminUser,
    PathKey(key): PathKey,
    State(app): State<AppState>,
) -> Result<StatusCode, ApiError> {
    app.storage()?.delete_config(&[key]).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl Input for PutRequest {
    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self { value: fields.parse("value", ConfigValue::parse)? })
    }
}
