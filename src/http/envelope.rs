//! What every request passes through: an id, a log line, counts, and common headers.
//!
//! A panic in a handler ends here as a 500. One layer around all routes, since every request pays
//! for each further one (docs/decisions/0025-the-envelope-is-one-layer.md).

mod cors;
mod headers;
mod line;
mod trace;

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::body::{Body, HttpBody as _};
use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use http_door::{Answer, Arrival, RequestBody};
use tower::layer::layer_fn;
use tower::{Service as _, service_fn};

use super::error::{ApiError, RETRY_SOON};
use super::request::context::RequestContext;
use super::request::host;
use super::state::AppState;
use crate::metrics::Route;
use crate::panics;
use headers::{CommonHeaders, REQUEST_ID};
use line::RequestLine;

pub(super) use cors::Cors;

/// The longest request id that is accepted from a client, in bytes.
const REQUEST_ID_LENGTH: usize = 64;

/// The routes of one port in their envelope; clones share them.
#[derive(Debug, Clone)]
pub struct Port(Router);

/// What the envelopes of a port's routes share.
#[derive(Debug)]
struct Common {
    app: AppState,
    /// `None` on a port that no web page calls.
    cors: Option<Cors>,
    headers: CommonHeaders,
}

/// One handler in its envelope.
#[derive(Debug)]
struct Enveloped {
    common: Arc<Common>,
    /// Found by the route's path at the first request.
    counts: OnceLock<Arc<Route>>,
    handler: axum::routing::Route,
}

impl Port {
    pub(super) fn new(app: AppState, router: Router<AppState>, cors: Option<Cors>) -> Self {
        let headers = CommonHeaders::new(cors.as_ref());
        let router = router
            .fallback(async || ApiError::NotFound)
            .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
            .with_state(app.clone());
        let common = Arc::new(Common { app, cors, headers });
        Self(router.layer(layer_fn(move |handler| {
            let (common, counts) = (Arc::clone(&common), OnceLock::new());
            let enveloped = Arc::new(Enveloped { common, counts, handler });
            service_fn(move |request| Arc::clone(&enveloped).answer(request))
        })))
    }
}

impl Answer for Port {
    type Body = Body;

    async fn answer(
        mut self,
        arrival: Arrival,
        request: axum::http::Request<RequestBody>,
    ) -> Response {
        // An empty body is the usual one, and needs no allocation.
        let in_body = |body: RequestBody| {
            if body.is_end_stream() { Body::empty() } else { Body::new(body) }
        };
        let mut request = request.map(in_body);
        request.extensions_mut().insert(RequestContext::new(arrival));
        let Ok(mut response) = self.0.call(request).await;
        // axum adds it to every answer to a method without a handler: also to a preflight's.
        if response.status() != StatusCode::METHOD_NOT_ALLOWED {
            response.headers_mut().remove(header::ALLOW);
        }
        response
    }
}

impl Enveloped {
    async fn answer(self: Arc<Self>, request: Request) -> Result<Response, Infallible> {
        let Some(context) = request.extensions().get::<RequestContext>().cloned() else {
            let error = ApiError::Internal("a request without its context".to_owned());
            return Ok(error.into_response());
        };
        let Common { app, cors, headers } = &*self.common;
        let path = request.uri().path();
        let is_api = path == "/api" || path.starts_with("/api/");
        let origin = cors.as_ref().and_then(|cors| cors.allowed_origin(request.headers()));
        let request_id = request_id(request.headers(), app);
        let is_surplus = context.arrival().is_surplus;
        let line = RequestLine::new(&request, context, self.counts(&request), request_id);
        let mut response = self.answer_within(request, is_surplus).await;
        let request_id = line.finish(&mut response);
        headers.add(&mut response, is_api, request_id, origin);
        Ok(response)
    }

    /// Calls the handler unless the request must not reach it.
    async fn answer_within(&self, request: Request, is_surplus: bool) -> Response {
        if !host::is_clear(&request) {
            ApiError::InvalidRequest.into_response()
        } else if self.answers_preflights(&request) && cors::is_preflight(&request) {
            cors::preflight()
        } else if is_surplus {
            let cause = "every connection is busy".to_owned();
            ApiError::Overloaded(cause, RETRY_SOON).into_response()
        } else {
            catch_panic(pin!(self.handler.clone().call(request))).await
        }
    }

    /// Returns the counts of the route, or those of all unknown paths.
    fn counts(&self, request: &Request) -> &Route {
        self.counts.get_or_init(|| {
            let path = request.extensions().get::<MatchedPath>();
            self.common.app.metrics.route(path.map_or("", MatchedPath::as_str))
        })
    }

    /// Whether web pages may call the route.
    fn answers_preflights(&self, request: &Request) -> bool {
        self.common.cors.is_some() && !self.counts(request).template().is_empty()
    }
}

/// Returns the request's own id if it is harmless, and a new one otherwise.
fn request_id(headers: &HeaderMap, app: &AppState) -> HeaderValue {
    let is_harmless = |id: &&HeaderValue| {
        let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
        (1..=REQUEST_ID_LENGTH).contains(&id.len()) && id.as_bytes().iter().all(allowed)
    };
    if let Some(id) = headers.get(REQUEST_ID).filter(is_harmless) {
        return id.clone();
    }
    // Hex digits always fit in a header.
    HeaderValue::try_from(app.random.hex()).unwrap_or(HeaderValue::from_static("none"))
}

async fn catch_panic(
    answer: Pin<&mut impl Future<Output = Result<Response, Infallible>>>,
) -> Response {
    match panics::catch_in(answer).await {
        Ok(Ok(response)) => response,
        Err(panicked) => ApiError::Internal(panicked.to_string()).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use axum::http::StatusCode;

    use super::catch_panic;

    #[tokio::test]
    async fn a_panic_is_answered_as_an_internal_error() {
        let response = catch_panic(pin!(async { panic!("secret") })).await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let body = axum::body::to_bytes(response.into_body(), 1024).await.unwrap();
        assert_eq!(
            serde_json::from_slice::<serde_json::Value>(&body).unwrap(),
            serde_json::json!({
                "detail": "Something went wrong on our side. Please try again.",
                "code": "internal",
            })
        );
    }
}
