//! Which web pages may call the API from a browser: the Fetch standard's CORS protocol, without
//! credentials.
//!
//! Our own, since the contract wants a preflight answered only where the route exists, and an
//! `OPTIONS` that is no preflight refused like any other wrong method
//! (docs/decisions/0006-cors-by-hand.md).

use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use crate::config::CorsOrigins;

const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, PUT, DELETE");
const REQUEST_HEADERS: HeaderValue = HeaderValue::from_static("Authorization, Content-Type");
const EXPOSED: HeaderValue =
    HeaderValue::from_static("Retry-After, WWW-Authenticate, X-Request-Id");

/// Seconds for which a browser may remember a preflight.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// The origins that may call, ready to be compared.
#[derive(Debug, Clone)]
pub(super) enum Cors {
    Any,
    Only(Vec<HeaderValue>),
}

impl Cors {
    pub(super) fn new(origins: &CorsOrigins) -> Self {
        match origins {
            CorsOrigins::Any => Self::Any,
            CorsOrigins::Only(origins) => Self::Only(
                origins.iter().filter_map(|origin| HeaderValue::try_from(origin).ok()).collect(),
            ),
        }
    }

    /// Whether the page that asks may read the answer.
    pub(super) fn allowed(&self, headers: &HeaderMap) -> Allowed {
        match self {
            Self::Any => Allowed::Any,
            Self::Only(origins) => {
                let origin = headers.get(header::ORIGIN);
                Allowed::Only(origin.filter(|origin| origins.contains(origin)).cloned())
            }
        }
    }
}

/// Which page may read one answer.
pub(super) enum Allowed {
    Any,
    /// The page that asked, or none; another one would get another answer.
    Only(Option<HeaderValue>),
}

impl Allowed {
    /// Says so in the answer's headers, whatever the answer is.
    pub(super) fn say(&self, headers: &mut HeaderMap) {
        let origin = match self {
            Self::Any => HeaderValue::from_static("*"),
            Self::Only(origin) => {
                headers.append(header::VARY, HeaderValue::from_static("Origin"));
                let Some(origin) = origin else {
                    return;
                };
                origin.clone()
            }
        };
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    }
}

/// The answer to a preflight of a route that exists.
pub(super) fn preflight() -> Response {
    let headers = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, METHODS),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS),
        (header::ACCESS_CONTROL_MAX_AGE, MAX_AGE),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

pub(super) fn is_preflight<B>(request: &Request<B>) -> bool {
    let headers = request.headers();
    request.method() == Method::OPTIONS
        && headers.contains_key(header::ORIGIN)
        && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}
