//! Which web pages may call the API from a browser: the Fetch standard's CORS protocol, without
//! credentials.
//!
//! Our own, since the contract wants a preflight answered only where the route exists, and an
//! `OPTIONS` that is no preflight refused like any other wrong method
//! (docs/decisions/0006-cors-by-hand.md).

use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use crate::config::CorsOrigins;

const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, PUT, DELETE");
const REQUEST_HEADERS: HeaderValue = HeaderValue::from_static("Authorization, Content-Type");
const EXPOSED: HeaderValue =
    HeaderValue::from_static("Retry-After, WWW-Authenticate, X-Request-Id");

/// Seconds for which a browser may remember a preflight.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// The origins that may call, ready to be compared.
#[derive(Debug)]
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

    /// The value of `Access-Control-Allow-Origin`; `None` where the page may not read the answer.
    fn allowed(&self, origin: Option<&HeaderValue>) -> Option<HeaderValue> {
        match self {
            Self::Any => Some(HeaderValue::from_static("*")),
            Self::Only(origins) => origin.filter(|origin| origins.contains(origin)).cloned(),
        }
    }
}

/// Says who may read an answer, whatever it is.
pub(super) async fn cors(State(cors): State<Arc<Cors>>, request: Request, next: Next) -> Response {
    let allowed = cors.allowed(request.headers().get(header::ORIGIN));
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    if matches!(*cors, Cors::Only(_)) {
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
    }
    if let Some(origin) = allowed {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    }
    response
}

/// Answers preflights of routes that exist.
pub(super) async fn preflight(request: Request, next: Next) -> Response {
    if !is_preflight(&request) {
        return next.run(request).await;
    }
    let headers = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, METHODS),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS),
        (header::ACCESS_CONTROL_MAX_AGE, MAX_AGE),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

fn is_preflight(request: &Request) -> bool {
    let headers: &HeaderMap = request.headers();
    request.method() == Method::OPTIONS
        && headers.contains_key(header::ORIGIN)
        && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
        && request.extensions().get::<MatchedPath>().is_some()
}
