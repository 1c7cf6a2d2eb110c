//! What every request goes through: an id, a log line, and the headers that every answer has.
//!
//! A panic in a handler ends here as a 500. One function instead of a stack of layers, since it
//! is on the way of every request.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use tracing::{debug, error, info, warn};

use super::error::{ApiError, Report};
use super::extract::UserOfRequest;
use super::{AppState, body};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest id that is taken over from a request.
const REQUEST_ID_LENGTH: usize = 64;

/// On every answer; only what the service answers with needs a browser's trust, and that is JSON.
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

/// What the log line says about a request.
struct Line {
    method: Method,
    /// The template and not the path, which may hold anything; empty where no route matched.
    route: String,
    request_id: HeaderValue,
    user: UserOfRequest,
    begun: Instant,
}

/// Runs a request and finishes its answer.
pub(super) async fn envelope(
    State(app): State<AppState>,
    mut request: Request,
    next: Next,
) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    let line = Line {
        method: request.method().clone(),
        route: route.map(|route| route.as_str().to_owned()).unwrap_or_default(),
        request_id: request_id(request.headers(), &app),
        user: UserOfRequest::default(),
        begun: Instant::now(),
    };
    let path = request.uri().path();
    let is_api = path == "/api" || path.starts_with("/api/");
    let rest = body::lend(&mut request);
    request.extensions_mut().insert(line.user.clone());
    let mut response = catch_panic(next.run(request)).await;
    if let Some(rest) = rest {
        rest.drop_it().await;
    }
    let headers = response.headers_mut();
    headers.extend(HEADERS);
    if is_api {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    headers.insert(REQUEST_ID, line.request_id.clone());
    let report = response.extensions_mut().remove::<Report>();
    line.write(response.status(), report.as_ref());
    response
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

async fn catch_panic(answer: impl Future<Output = Response>) -> Response {
    let mut answer = pin!(answer);
    std::future::poll_fn(|context| {
        let poll = AssertUnwindSafe(|| answer.as_mut().poll(context));
        match std::panic::catch_unwind(poll) {
            Ok(poll) => poll,
            Err(_) => Poll::Ready(ApiError::Internal("a panic".to_owned()).into_response()),
        }
    })
    .await
}

/// Writes the request line at one level; the message must be a literal that begins with a mark.
macro_rules! request_line {
    ($level:ident, $line:expr, $status:expr, $report:expr, $message:literal) => {
        $level!(
            http.method = $line.method.as_str(),
            http.route = $line.route,
            http.status = $status.as_u16(),
            duration_ms = milliseconds($line.begun.elapsed()),
            request.id = $line.request_id.to_str().unwrap_or_default(),
            user.id = $line.user.id().map(tracing::field::display),
            error.code = $report.map(|report| report.code),
            error.chain = $report.and_then(|report| report.chain.as_deref()),
            $message
        )
    };
}

impl Line {
    fn write(&self, status: StatusCode, report: Option<&Report>) {
        let is_probe = self.route.starts_with("/health");
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            request_line!(error, self, status, report, "❌ A request met a mistake of ours");
        } else if status.is_server_error() {
            request_line!(warn, self, status, report, "⚠️ A request could not be served");
        } else if is_probe && status.is_success() {
            request_line!(debug, self, status, report, "🏥 A probe was answered");
        } else {
            request_line!(info, self, status, report, "📊 A request was answered");
        }
    }
}

fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1_000_000.0).round() / 1_000.0
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use super::catch_panic;

    #[tokio::test]
    async fn a_panic_is_answered_as_an_internal_error() {
        let response = catch_panic(async { panic!("secret") }).await;
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
