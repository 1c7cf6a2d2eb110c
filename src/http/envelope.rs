//! What every request goes through: an id, a log line, counts, and headers.
//!
//! A panic in a handler ends here as a 500. One function around the router instead of layers
//! inside it, since it is on the way of every request.

mod cors;
mod headers;
mod trace;

use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, HttpBody as _};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use http_door::{Answer, Arrival, RequestBody};
use tower_service::Service as _;
use tracing::{debug, error, info, warn};

use super::Routes;
use super::error::{ApiError, RETRY_SOON, Report};
use super::request::extract::Caller;
use super::request::host;
use super::state::AppState;
use crate::metrics::{Method, Route};
use crate::panics;
use headers::{CommonHeaders, REQUEST_ID};
use trace::Trace;

pub(super) use cors::Cors;

/// The longest id that is taken over from a request.
const REQUEST_ID_LENGTH: usize = 64;

/// The routes of a port, with what every request and answer go through; clones share them.
#[derive(Debug, Clone)]
pub struct Port(Arc<Parts>);

#[derive(Debug, Clone)]
struct Parts {
    app: AppState,
    router: Router,
    known: Vec<Known>,
    /// What a path is that there is no route for.
    unknown: Known,
    /// `None` on a port that no web page calls.
    cors: Option<Cors>,
    headers: CommonHeaders,
}

/// A route, as the log and the metrics call it.
#[derive(Debug, Clone)]
struct Known {
    /// The template and not the path, which may hold anything; empty where there is no route.
    template: &'static str,
    /// What stands before and after its parameter, if it has one.
    parameter: Option<(&'static str, &'static str)>,
    counts: Arc<Route>,
}

/// What the log line says about a request, and the metrics count.
struct Line<'a> {
    method: Method,
    logged_method: &'static str,
    route: &'a Known,
    request_id: HeaderValue,
    trace: Option<Trace>,
    caller: Caller,
    begun: Instant,
    is_written: bool,
}

impl Port {
    pub(super) fn new(app: AppState, known: Routes, cors: Option<Cors>) -> Self {
        let Routes { router, templates } = known;
        let router = router
            .fallback(async || ApiError::NotFound)
            .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
            .with_state(app.clone());
        let headers = CommonHeaders::new(cors.as_ref());
        let known = |template| Known::new(template, app.metrics.route(template));
        let (unknown, known) = (known(""), templates.into_iter().map(known).collect());
        Self(Arc::new(Parts { app, router, known, unknown, cors, headers }))
    }
}

impl Answer for Port {
    type Body = Body;

    async fn answer(self, arrival: Arrival, request: axum::http::Request<RequestBody>) -> Response {
        let parts = &*self.0;
        let path = request.uri().path();
        let is_api = path == "/api" || path.starts_with("/api/");
        let line = Line::new(arrival.peer, arrival.read_at, &request, parts);
        let origin = parts.cors.as_ref().and_then(|cors| cors.allowed_origin(request.headers()));
        let is_known = !line.route.template.is_empty();
        let is_clear = host::is_clear(&request);
        let answers_pages = is_clear && is_known && parts.cors.is_some();
        let mut response = if answers_pages && cors::is_preflight(&request) {
            cors::preflight()
        } else {
            // An empty body is the usual one, and needs no allocation.
            let in_body = |body: RequestBody| {
                if body.is_end_stream() { Body::empty() } else { Body::new(body) }
            };
            let mut request = request.map(in_body);
            if is_api {
                request.extensions_mut().insert(line.caller.clone());
            }
            if !is_clear {
                ApiError::InvalidRequest.into_response()
            } else if arrival.is_surplus {
                let cause = "every connection is busy".to_owned();
                ApiError::Overloaded(cause, RETRY_SOON).into_response()
            } else {
                catch_panic(pin!(parts.router.clone().call(request))).await
            }
        };
        let request_id = line.finish(&mut response);
        parts.headers.add(&mut response, is_api, request_id, origin);
        response
    }
}

impl Parts {
    fn route(&self, path: &str) -> &Known {
        self.known.iter().find(|known| known.is_of(path)).unwrap_or(&self.unknown)
    }
}

impl Known {
    fn new(template: &'static str, counts: Arc<Route>) -> Self {
        let parameter = template
            .split_once('{')
            .map(|(before, after)| (before, after.split_once('}').map_or("", |(_, after)| after)));
        Self { template, parameter, counts }
    }

    /// Whether a path is one of the template's, in which `{name}` stands for a segment.
    fn is_of(&self, path: &str) -> bool {
        let Some((before, after)) = self.parameter else {
            return path == self.template;
        };
        let segment = path.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
        segment.is_some_and(|segment| !segment.is_empty() && !segment.contains('/'))
    }
}

/// The id that came along, if it is harmless, else a new one.
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

/// Writes the request line at one level; the message must be a literal that begins with a mark.
macro_rules! request_line {
    ($level:ident, $line:expr, $took:expr, $status:expr, $report:expr, $message:literal) => {
        $level!(
            http.method = $line.logged_method,
            http.route = $line.route.template,
            http.status = $status.map(|status| status.as_u16()),
            duration_ms = milliseconds($took),
            request.id = $line.request_id.to_str().unwrap_or_default(),
            trace.id = $line.trace.as_ref().map(Trace::id),
            trace.parent_id = $line.trace.as_ref().map(Trace::parent_id),
            user.id = $line.caller.user_id().map(tracing::field::display),
            error.code = $report.map(|report| report.code),
            error.chain = $report.and_then(|report| report.chain.as_deref()),
            $message
        )
    };
}

impl<'a> Line<'a> {
    fn new<B>(
        peer: IpAddr,
        begun: Instant,
        request: &axum::http::Request<B>,
        parts: &'a Parts,
    ) -> Self {
        Self {
            method: Method::of(request.method().as_str()),
            logged_method: method_for_log(request.method()),
            route: parts.route(request.uri().path()),
            request_id: request_id(request.headers(), &parts.app),
            trace: Trace::of(request.headers()),
            caller: Caller::new(peer),
            begun,
            is_written: false,
        }
    }

    /// Writes the line and counts the request; gives the request's id.
    fn finish(mut self, response: &mut Response) -> HeaderValue {
        let report = response.extensions_mut().remove::<Report>();
        self.write(response.status(), report.as_ref());
        self.is_written = true;
        std::mem::replace(&mut self.request_id, HeaderValue::from_static(""))
    }

    fn write(&self, status: StatusCode, report: Option<&Report>) {
        let (took, said) = (self.count(Some(status)), Some(status));
        let is_probe = ["/health", "/metrics"].iter().any(|it| self.route.template.starts_with(it));
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            request_line!(error, self, took, said, report, "❌ A request met a mistake of ours");
        } else if status.is_server_error() {
            request_line!(warn, self, took, said, report, "⚠️ A request could not be served");
        } else if is_probe && status.is_success() {
            request_line!(debug, self, took, said, report, "🏥 A probe was answered");
        } else {
            request_line!(info, self, took, said, report, "📊 A request was answered");
        }
    }

    /// Counts the request, and says how long it took.
    fn count(&self, status: Option<StatusCode>) -> Duration {
        let took = self.begun.elapsed();
        self.route.counts.count(self.method, status.map(|status| status.as_u16()), took);
        took
    }
}

impl Drop for Line<'_> {
    /// A request that is dropped before its answer is there is one whose client went away, or that
    /// took too long while the service stops or while there is no room.
    fn drop(&mut self) {
        if !self.is_written {
            let (status, report) = (None::<StatusCode>, None::<&Report>);
            let took = self.count(status);
            request_line!(
                info,
                self,
                took,
                status,
                report,
                "📊 A request ended before its answer: its client went away, or was given up"
            );
        }
    }
}

/// The method, if it is one that HTTP defines (RFC 9110, RFC 5789): a client may make one up, as long
/// as the head of a request.
fn method_for_log(method: &axum::http::Method) -> &'static str {
    match (Method::of(method.as_str()), method.as_str()) {
        (Method::Other, "PATCH") => "PATCH",
        (Method::Other, "CONNECT") => "CONNECT",
        (Method::Other, "TRACE") => "TRACE",
        (Method::Other, _) => "OTHER",
        (counted, _) => counted.as_str(),
    }
}

fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1_000_000.0).round() / 1_000.0
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use axum::http::StatusCode;

    use super::{Known, catch_panic};
    use crate::metrics::Metrics;

    #[test]
    fn a_path_is_of_the_template_that_the_router_takes() {
        let metrics = Metrics::new();
        let is_of = |path, template| Known::new(template, metrics.route(template)).is_of(path);
        let key = "/api/admin/config/{key}";
        assert!(is_of("/api/admin/config/discogs_consumer_key", key));
        assert!(is_of("/health", "/health"));
        for (path, template) in [
            ("/api/admin/config/", key),
            ("/api/admin/config", key),
            ("/api/admin/config/a/b", key),
            ("/health/", "/health"),
            ("/health/live", "/health"),
        ] {
            assert!(!is_of(path, template), "{path} {template}");
        }
    }

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
