//! Which web pages may call the API from a browser: the Fetch standard's CORS protocol, without
//! credentials.
//!
//! No library does it: a preflight is answered only if the route exists, and an `OPTIONS` that is not
//! a preflight is refused like every other wrong method (docs/decisions/0006-cors-by-hand.md).

use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use crate::config::CorsOrigins;

const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, PUT, DELETE");
const REQUEST_HEADERS: HeaderValue = HeaderValue::from_static("Authorization, Content-Type");
const EXPOSED: HeaderValue =
    HeaderValue::from_static("Retry-After, WWW-Authenticate, X-Request-Id");

/// How long a browser may cache a preflight, in seconds.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// The origins that may call.
#[derive(Debug, Clone)]
pub(crate) enum Cors {
    Any,
    Only(Vec<HeaderValue>),
}

impl Cors {
    pub(crate) fn new(origins: &CorsOrigins) -> Self {
        match origins {
            CorsOrigins::Any => Self::Any,
            CorsOrigins::Only(origins) => Self::Only(
                origins.iter().filter_map(|origin| HeaderValue::try_from(origin).ok()).collect(),
            ),
        }
    }

    /// Adds the headers that do not depend on the request.
    pub(crate) fn add_common(&self, headers: &mut HeaderMap) {
        match self {
            Self::Any => allow(headers, HeaderValue::from_static("*")),
            // The answer depends on the page.
            Self::Only(_) => {
                headers.insert(header::VARY, HeaderValue::from_static("Origin"));
            }
        }
    }

    /// Returns the request's origin if it may read the answer and must be named in it.
    pub(crate) fn allowed_origin(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        match self {
            Self::Any => None,
            Self::Only(origins) => {
                let origin = headers.get(header::ORIGIN)?;
                origins.contains(origin).then(|| origin.clone())
            }
        }
    }
}

/// Lets pages of this origin read the answer.
pub(crate) fn allow(headers: &mut HeaderMap, origin: HeaderValue) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
}

/// Returns the answer to a preflight of an existing route.
pub(crate) fn preflight() -> Response {
    let headers = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, METHODS),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS),
        (header::ACCESS_CONTROL_MAX_AGE, MAX_AGE),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

pub(crate) fn is_preflight<B>(request: &Request<B>) -> bool {
    let headers = request.headers();
    request.method() == Method::OPTIONS
        && headers.contains_key(header::ORIGIN)
        && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}
