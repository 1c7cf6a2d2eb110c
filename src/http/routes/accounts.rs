//! Accounts: register, sign in, get the current user.

use axum::extract::State;
use axum::http::StatusCode;
use discogsography_token::Claims;
use secrecy::SecretString;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::accounts::password::Requester;
use crate::clock::Timestamp;
use crate::http::error::ApiError;
use crate::http::error::responses::{BODY, LIMITED, SIGNED_IN, STORED, operation_errors};
use crate::http::error::table;
use crate::http::json::Json;
use crate::http::request::extract::{CurrentUser, JsonBody, RequestClient};
use crate::http::request::input::{self, Fields, Input, Refusal};
use crate::http::schema;
use crate::http::state::AppState;
use crate::metrics::SignIn;
use crate::model::{Client, Email, NewPassword, NewUser, User, normalize_email};
use crate::rate_limits::{Action, SignInEnd};
use crate::storage::{Storage, StorageError};

/// A user to be registered.
#[derive(ToSchema)]
#[schema(as = RegisterRequest)]
pub(crate) struct RegisterRequest {
    #[schema(inline)]
    email: Email,
    #[schema(inline)]
    password: NewPassword,
}

/// Credentials. The address is not validated: a malformed one is treated as unknown.
#[derive(ToSchema)]
#[schema(as = LoginRequest)]
pub(crate) struct LoginRequest {
    /// As at registration.
    #[schema(example = "digger@example.com")]
    email: String,
    /// As at registration.
    #[schema(value_type = String, format = Password, example = "correct horse battery staple")]
    password: SecretString,
}

/// A user.
#[derive(Serialize, ToSchema)]
#[schema(as = User)]
pub(crate) struct UserAnswer {
    /// Also the `sub` of the user's access tokens.
    id: Uuid,
    /// As it is stored.
    #[schema(example = "digger@example.com")]
    email: String,
    /// A user who is not active can't sign in.
    #[schema(example = true)]
    is_active: bool,
    /// When the user registered.
    #[schema(value_type = String, format = DateTime, example = "2026-11-23T10:15:30.123456+00:00")]
    created_at: Timestamp,
}

/// An access token: a JWT signed with HS256.
#[derive(Serialize, ToSchema)]
#[schema(as = AccessToken)]
pub(crate) struct AccessTokenAnswer {
    /// To be sent as `Authorization: Bearer <access_token>`.
    #[schema(example = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiI0ZjU5….…")]
    access_token: String,
    #[schema(schema_with = schema::bearer)]
    token_type: &'static str,
    /// Its life in seconds.
    #[schema(example = 86_400)]
    expires_in: u64,
}

operation_errors!(RegisterErrors: BODY, LIMITED, STORED, &[&table::EMAIL_TAKEN]);

/// Register
///
/// Creates an account. If several requests register the same address at once, exactly one succeeds.
#[utoipa::path(
    post,
    path = "/api/auth/register",
    operation_id = "register",
    tag = "Accounts",
    request_body = RegisterRequest,
    responses((status = 201, description = "The new user.", body = UserAnswer), RegisterErrors)
)]
pub(crate) async fn register(
    State(app): State<AppState>,
    RequestClient(client): RequestClient,
    JsonBody(request): JsonBody<RegisterRequest>,
) -> Result<(StatusCode, Json<UserAnswer>), ApiError> {
    let storage = app.storage()?;
    app.limits.take(Action::Register(client)).await?;
    let requester = Requester::stranger(app.limits.queue_network(client));
    let hashed_password = app.passwords.hash(request.password, requester).await?;
    let new = NewUser { id: app.random.uuid(), email: request.email, hashed_password };
    let user = storage.create_user(&new).await.map_err(|error| match error {
        StorageError::Untranslatable(_) => ApiError::InvalidInput(input::invalid_email()),
        error => error.into(),
    })?;
    Ok((StatusCode::CREATED, Json(user.into())))
}

operation_errors!(
    LoginErrors: BODY,
    LIMITED,
    STORED,
    &[&table::INVALID_CREDENTIALS, &table::SECOND_FACTOR_UNAVAILABLE],
);

/// Sign in
///
/// Returns an access token. An unknown address, a wrong password and a deactivated user get the
/// same response and take equally long. A user with two-factor sign-in, which a newer release of
/// the Python service may have enabled, gets `second_factor_unavailable` after the correct password.
#[utoipa::path(
    post,
    path = "/api/auth/login",
    operation_id = "signIn",
    tag = "Accounts",
    request_body = LoginRequest,
    responses(
        (status = 200, description = "An access token.", body = AccessTokenAnswer),
        LoginErrors
    )
)]
pub(crate) async fn login(
    State(app): State<AppState>,
    RequestClient(client): RequestClient,
    JsonBody(request): JsonBody<LoginRequest>,
) -> Result<Json<AccessTokenAnswer>, ApiError> {
    let answer = sign_in(&app, client, request).await;
    let outcome = match &answer {
        Ok(_) => SignIn::Good,
        Err(ApiError::InvalidCredentials) => SignIn::Refused,
        Err(ApiError::SecondFactorUnavailable) => SignIn::SecondFactor,
        Err(ApiError::RateLimited(_)) => SignIn::Limited,
        Err(ApiError::Overloaded(..)) => SignIn::Overloaded,
        Err(_) => SignIn::Unavailable,
    };
    app.metrics.sign_ins.get_or_create(&outcome).inc();
    answer.map(Json)
}

async fn sign_in(
    app: &AppState,
    client: Client,
    request: LoginRequest,
) -> Result<AccessTokenAnswer, ApiError> {
    let storage = app.storage()?;
    app.limits.take(Action::SignIn(client)).await?;
    let sign_in = app.limits.begin_sign_in(&request.email, client).await?;
    let requester =
        Requester { standing: sign_in.standing(), network: app.limits.queue_network(client) };
    let user = sign_in_user(app, storage, request, requester).await;
    let end = match &user {
        Ok(_) => SignInEnd::Good,
        Err(ApiError::InvalidCredentials) => SignInEnd::Refused,
        Err(_) => SignInEnd::Inconclusive,
    };
    app.limits.end_sign_in(sign_in, end).await;
    let user = user?;
    let expires_in = app.access_token_life.as_secs();
    let iat = app.clock.now().as_seconds();
    let access_token = app.keys.sign(&Claims {
        sub: user.id,
        email: user.email,
        iat,
        exp: iat + expires_in,
        jti: app.random.hex(),
    });
    Ok(AccessTokenAnswer { access_token, token_type: "bearer", expires_in })
}

/// Returns the user with this email address and password.
async fn sign_in_user(
    app: &AppState,
    storage: &dyn Storage,
    request: LoginRequest,
    requester: Requester,
) -> Result<User, ApiError> {
    let found = storage.user_by_email(&request.email).await?;
    let found = app.passwords.sign_in(found, request.password, requester).await?;
    let found = found.ok_or(ApiError::InvalidCredentials)?;
    if found.has_second_factor { Err(ApiError::SecondFactorUnavailable) } else { Ok(found.user) }
}

operation_errors!(MeErrors: SIGNED_IN, STORED);

/// Get current user
///
/// Returns the user that the access token identifies.
#[utoipa::path(
    get,
    path = "/api/auth/me",
    operation_id = "getCurrentUser",
    tag = "Accounts",
    security(("access_token" = [])),
    responses((status = 200, description = "The user.", body = UserAnswer), MeErrors)
)]
pub(crate) async fn me(CurrentUser(user): CurrentUser) -> Json<UserAnswer> {
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
