//! Every extractor of the API: what handlers take from a request.

use axum::body::HttpBody as _;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use discogsography_token::VerifiedClaims;

use super::context::RequestContext;
use super::input::{self, Input};
use super::{body, client};
use crate::http::error::ApiError;
use crate::http::state::AppState;
use crate::model::{Client, ConfigKey, User};

/// The active user whose access token came with the request.
pub(crate) struct CurrentUser(pub(crate) User);

/// Proof that the current user is an admin.
pub(crate) struct AdminUser;

/// The client for which the request is counted.
pub(crate) struct RequestClient(pub(crate) Client);

/// The config key that the path names.
pub(crate) struct PathKey(pub(crate) ConfigKey);

/// The body, parsed from JSON.
pub(crate) struct JsonBody<T>(pub(crate) T);

impl FromRequestParts<AppState> for CurrentUser {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, ApiError> {
        let token = bearer_token(&parts.headers)?;
        let verified = app.keys.verify(token, app.clock.now().since_epoch());
        let claims = verified.map_err(|_| ApiError::InvalidToken)?;
        if is_revoked(app, &claims) {
            return Err(ApiError::InvalidToken);
        }
        let user = app.storage()?.user_by_id(claims.sub).await?;
        let user = user.filter(|user| user.is_active).ok_or(ApiError::InvalidToken)?;
        if let Some(context) = parts.extensions.get::<RequestContext>() {
            context.set_user(user.id);
        }
        Ok(Self(user))
    }
}

impl FromRequestParts<AppState> for AdminUser {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, ApiError> {
        let CurrentUser(user) = CurrentUser::from_request_parts(parts, app).await?;
        if user.is_admin { Ok(Self) } else { Err(ApiError::AdminRequired) }
    }
}

impl FromRequestParts<AppState> for RequestClient {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, ApiError> {
        let context = parts.extensions.get::<RequestContext>();
        let context = context
            .ok_or_else(|| ApiError::Internal("a request without its context".to_owned()))?;
        let (peer, warnings) = (context.peer(), &app.forwarding_warnings);
        Ok(Self(client::client(peer, &parts.headers, &app.trusted_proxies, warnings)))
    }
}

impl FromRequestParts<AppState> for PathKey {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, ApiError> {
        let name: Result<Path<String>, PathRejection> = Path::from_request_parts(parts, app).await;
        let key = name.ok().and_then(|Path(name)| ConfigKey::from_name(&name));
        key.map(Self).ok_or(ApiError::UnknownConfigKey)
    }
}

impl<T: Input> FromRequest<AppState> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &AppState) -> Result<Self, ApiError> {
        if body::is_too_large(request.body()) {
            return Err(ApiError::BodyTooLarge);
        }
        let is_empty = request.body().is_end_stream();
        if !is_json(request.headers(), is_empty) {
            return Err(ApiError::NotJson);
        }
        let body = body::read(request.into_body()).await?;
        input::read(&body).map(Self).map_err(ApiError::InvalidInput)
    }
}

/// Whether a Python service alongside this one has revoked the token.
fn is_revoked(app: &AppState, claims: &VerifiedClaims) -> bool {
    let VerifiedClaims { sub, iat, jti, .. } = claims;
    app.revocations.as_ref().is_some_and(|known| known.is_revoked(*sub, *iat, jti.as_deref()))
}

/// Returns the token of `Authorization: Bearer <token>` (RFC 6750 section 2.1).
fn bearer_token(headers: &HeaderMap) -> Result<&str, ApiError> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().ok_or(ApiError::NotAuthenticated)?;
    if values.next().is_some() {
        return Err(ApiError::InvalidToken);
    }
    let (scheme, token) = split_at_space(value.as_bytes());
    if !scheme.eq_ignore_ascii_case(b"bearer") || token.is_empty() {
        return Err(ApiError::NotAuthenticated);
    }
    std::str::from_utf8(token).map_err(|_| ApiError::InvalidToken)
}

fn split_at_space(value: &[u8]) -> (&[u8], &[u8]) {
    let value = value.trim_ascii();
    let end = value.iter().position(u8::is_ascii_whitespace).unwrap_or(value.len());
    let (scheme, rest) = value.split_at(end);
    (scheme, rest.trim_ascii())
}

/// Whether the body is declared as JSON.
///
/// A body without a `Content-Type` is read as JSON unless a web page sent it, which `Origin` shows:
/// browsers send such a body without a preflight, so any page could register users and sign in.
fn is_json(headers: &HeaderMap, is_empty: bool) -> bool {
    let Some(content_type) = headers.get(header::CONTENT_TYPE) else {
        return is_empty || !headers.contains_key(header::ORIGIN);
    };
    let essence = content_type.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
    let essence = essence.trim().to_ascii_lowercase();
    essence == "application/json"
        || (essence.starts_with("application/") && essence.ends_with("+json"))
}
