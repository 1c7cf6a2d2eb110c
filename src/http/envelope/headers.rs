//! The headers of every answer.
//!
//! They are cloned as whole maps, which is cheaper than inserting one header after another.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::Response;

use crate::http::envelope::cors::{self, Cors};

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// On every answer; pages replace the policy with their own.
const HEADERS: [(HeaderName, HeaderValue); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::REFERRER_POLICY, HeaderValue::from_static("strict-origin-when-cross-origin")),
    (
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static("geolocation=(), microphone=(), camera=()"),
    ),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
    ),
];

/// Set by most answers. The maps have room for them, so that they need not grow.
const USUALLY_OWN: [HeaderName; 2] = [header::CONTENT_TYPE, header::CONTENT_LENGTH];

/// The headers of a port's answers.
#[derive(Debug, Clone)]
pub(crate) struct CommonHeaders {
    of_api: HeaderMap,
    of_others: HeaderMap,
    /// Whether they include `Vary`, to which that of an answer is added.
    vary: bool,
}

impl CommonHeaders {
    /// `cors` is `None` on a port that no web page calls.
    pub(crate) fn new(cors: Option<&Cors>) -> Self {
        let mut of_others = HeaderMap::from_iter(HEADERS);
        if let Some(cors) = cors {
            cors.add_common(&mut of_others);
        }
        for name in USUALLY_OWN.into_iter().chain([REQUEST_ID]) {
            of_others.insert(name, HeaderValue::from_static(""));
        }
        let mut of_api = of_others.clone();
        of_api.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        let vary = of_others.contains_key(header::VARY);
        Self { of_api, of_others, vary }
    }

    /// Adds them to an answer, whose own headers take precedence.
    pub(crate) fn add(
        &self,
        response: &mut Response,
        is_api: bool,
        request_id: HeaderValue,
        allowed_origin: Option<HeaderValue>,
    ) {
        let mut headers = if is_api { &self.of_api } else { &self.of_others }.clone();
        headers.insert(REQUEST_ID, request_id);
        if let Some(origin) = allowed_origin {
            cors::allow(&mut headers, origin);
        }
        let mut own = std::mem::take(response.headers_mut());
        for name in USUALLY_OWN {
            if !own.contains_key(&name) {
                headers.remove(name);
            }
        }
        if self.vary
            && let Some(vary) = own.remove(header::VARY)
        {
            headers.append(header::VARY, vary);
        }
        headers.extend(own);
        *response.headers_mut() = headers;
    }
}
