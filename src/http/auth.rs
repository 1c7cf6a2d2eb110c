//! Accounts: register, sign in, who am I. (The seed's "Authentication".)

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use discogsography_token::Claims;
use secrecy::SecretString;
use serde::Serialize;
use uuid::Uuid;

use super::AppState;
use super::error::ApiError;
use super::extract::{CurrentUser, JsonBody};
use super::input::{Fields, Input, Refusal};
use crate::clock::Timestamp;
use crate::model::{Email, NewPassword, NewUser, User, normalize_email};

/// The body of `register`.
pub(super) struct RegisterRequest {
    email: Email,
    password: NewPassword,
}

/// The body of `login`, where an address that can't be one is merely an unknown one.
pub(super) struct LoginRequest {
    email: String,
    password: SecretString,
}

/// A user, as `register` and `me` show one.
#[derive(Serialize)]
pub(super) struct UserAnswer {
    id: Uuid,
    email: String,
    is_active: bool,
    created_at: Timestamp,
}

/// The answer of `login`.
#[derive(Serialize)]
pub(super) struct AccessTokenAnswer {
    access_token: String,
    token_type: &'static str,
    /// Seconds.
    expires_in: u64,
}

/// `POST /api/auth/register`
pub(super) async fn register(
    State(app): State<AppState>,
    JsonBody(request): JsonBody<RegisterRequest>,
) -> Result<(StatusCode, Json<UserAnswer>), ApiError> {
    let storage = app.storage()?;
    let hashed_password = app.passwords.hash(request.password).await?;
    let new = NewUser { id: app.random.uuid(), email: request.email, hashed_password };
    let user = storage.create_user(&new).await?;
    Ok((StatusCode::CREATED, Json(user.into())))
}

/// `POST /api/auth/login`
pub(super) async fn login(
    State(app): State<AppState>,
    JsonBody(request): JsonBody<LoginRequest>,
) -> Result<Json<AccessTokenAnswer>, ApiError> {
    let user = app.storage()?.user_by_email(&request.email).await?;
    let hashed_password = user.as_ref().map(|user| &user.hashed_password);
    let is_right = app.passwords.verify(request.password, hashed_password).await?;
    let user = user.filter(|user| is_right && user.is_active);
    let user = user.ok_or(ApiError::InvalidCredentials)?;
    let expires_in = app.access_token_life.as_secs();
    let iat = app.clock.now().as_seconds();
    let access_token = app.key.sign(&Claims {
        sub: user.id,
        email: user.email,
        iat,
        exp: iat + expires_in,
        jti: app.random.hex(),
    });
    Ok(Json(AccessTokenAnswer { access_token, token_type: "bearer", expires_in }))
}

/// `GET /api/auth/me`
pub(super) async fn me(CurrentUser(user): CurrentUser) -> Json<UserAnswer> {
    Json(user.into())
}

impl Input for RegisterRequest {
    fn read(fields: &mut Fields) -> Option<Self> {
        let email = fields.parse("email", Email::parse);
        let password = fields.parse("password", NewPassword::parse);
        Some(Self { email: email?, password: password? })
    }
}

impl Input for LoginRequest {
    fn read(fields: &mut Fields) -> Option<Self> {
        let email = fields.parse("email", |raw| Ok::<_, Refusal>(normalize_email(raw)));
        let password = fields.text("password").map(SecretString::from);
        Some(Self { email: email?, password: password? })
    }
}

impl From<User> for UserAnswer {
    fn from(user: User) -> Self {
        Self {
            id: user.id,
            email: user.email,
            is_active: user.is_active,
            created_at: user.created_at,
        }
    }
}
