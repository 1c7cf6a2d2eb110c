//! Where a request becomes somebody, and its body something: the only extractors there are.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use axum::body::HttpBody as _;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use uuid::Uuid;

use crate::http::error::ApiError;
use crate::http::request::body;
use crate::http::request::input::{self, Input};
use crate::http::state::AppState;

use crate::model::User;

/// Whoever holds the access token that came with the request, loaded and active.
pub(crate) struct CurrentUser(pub(crate) User);

/// A current user who may use `/api/admin`.
pub(crate) struct AdminUser;

/// The body, read from JSON.
pub(crate) struct JsonBody<T>(pub(crate) T);

/// Who sent a request: known to the extractors, and in the end to its log line.
#[derive(Debug, Clone)]
pub(crate) struct Caller(Arc<(IpAddr, OnceLock<Uuid>)>);

impl Caller {
    pub(crate) fn new(peer: IpAddr) -> Self {
        Self(Arc::new((peer.to_canonical(), OnceLock::new())))
    }

    /// The other end of the connection.
    pub(crate) fn peer(&self) -> IpAddr {
        self.0.0
    }

    /// The user, once an access token has said who that is.
    pub(crate) fn user_id(&self) -> Option<Uuid> {
        self.0.1.get().copied()
    }

    fn is_user(&self, id: Uuid) {
        // Set once: a request has one user.
        let _ = self.0.1.set(id);
    }
}

impl FromRequestParts<AppState> for CurrentUser {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, ApiError> {
        let token = bearer_token(&parts.headers)?;
        let verified = app.key.verify(token, app.clock.now().since_epoch());
        let user_id = verified.map_err(|_| ApiError::InvalidToken)?.sub;
        let user = app.storage()?.user_by_id(user_id).await?;
        let user = user.filter(|user| user.is_active).ok_or(ApiError::InvalidToken)?;
        if let Some(caller) = parts.extensions.get::<Caller>() {
            caller.is_user(user.id);
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

/// The token of `Authorization: Bearer <token>` (RFC 6750 section 2.1), from nowhere else.
fn bearer_token(headers: &HeaderMap) -> Result<&str, ApiError> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().ok_or(ApiError::NotAuthenticated)?;
    if values.next().is_some() {
        return Err(ApiError::InvalidToken);
    }
    let (scheme, token) = split_at_blank(value.as_bytes());
    if !scheme.eq_ignore_ascii_case(b"bearer") || token.is_empty() {
        return Err(ApiError::NotAuthenticated);
    }
    std::str::from_utf8(token).map_err(|_| ApiError::InvalidToken)
}

fn split_at_blank(value: &[u8]) -> (&[u8], &[u8]) {
    let value = value.trim_ascii();
    let end = value.iter().position(u8::is_ascii_whitespace).unwrap_or(value.len());
    let (scheme, rest) = value.split_at(end);
    (scheme, rest.trim_ascii())
}

/// Whether the body is declared as JSON.
///
/// One that is not declared at all is taken for JSON, but not from a web page, which `Origin` tells:
/// browsers send such a body without a preflight, so any page could register and sign in.
fn is_json(headers: &HeaderMap, is_empty: bool) -> bool {
    let Some(content_type) = headers.get(header::CONTENT_TYPE) else {
        return is_empty || !headers.contains_key(header::ORIGIN);
    };
    let essence = content_type.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
    let essence = essence.trim().to_ascii_lowercase();
    essence == "application/json"
        || (essence.starts_with("application/") && essence.ends_with("+json"))
}
