//! The log line of a request, and its counts: one of each for every request, however it ends.

use std::time::Duration;

use axum::http::{HeaderValue, Method as HttpMethod, Request, StatusCode};
use axum::response::Response;
use tracing::{debug, error, info, warn};

use super::trace::Trace;
use crate::http::error::Report;
use crate::http::request::context::RequestContext;
use crate::metrics::{Method, Route};

/// What the log line says about a request, and the metrics count.
pub(super) struct RequestLine<'a> {
    method: Method,
    logged_method: &'static str,
    counts: &'a Route,
    request_id: HeaderValue,
    trace: Option<Trace>,
    context: RequestContext,
    is_written: bool,
}

/// Writes the request line at one level; the message must be a literal that begins with a mark.
macro_rules! request_line {
    ($level:ident, $line:expr, $took:expr, $status:expr, $report:expr, $message:literal) => {
        $level!(
            http.method = $line.logged_method,
            // The template, since a path may hold anything; empty where no route matched.
            http.route = $line.counts.template(),
            http.status = $status.map(|status| status.as_u16()),
            duration_ms = milliseconds($took),
            request.id = $line.request_id.to_str().unwrap_or_default(),
            trace.id = $line.trace.as_ref().map(Trace::id),
            trace.parent_id = $line.trace.as_ref().map(Trace::parent_id),
            user.id = $line.context.user_id().map(tracing::field::display),
            error.code = $report.map(|report| report.code),
            error.chain = $report.and_then(|report| report.chain.as_deref()),
            $message
        )
    };
}

impl<'a> RequestLine<'a> {
    pub(super) fn new<B>(
        request: &Request<B>,
        context: RequestContext,
        counts: &'a Route,
        request_id: HeaderValue,
    ) -> Self {
        let logged_method = method_for_log(request.method());
        let method = Method::of(request.method().as_str());
        let trace = Trace::of(request.headers());
        Self { method, logged_method, counts, request_id, trace, context, is_written: false }
    }

    /// Writes the line and counts the request; returns the request's id.
    pub(super) fn finish(mut self, response: &mut Response) -> HeaderValue {
        let report = response.extensions_mut().remove::<Report>();
        self.write(response.status(), report.as_ref());
        self.is_written = true;
        std::mem::replace(&mut self.request_id, HeaderValue::from_static(""))
    }

    fn write(&self, status: StatusCode, report: Option<&Report>) {
        let (took, said) = (self.count(Some(status)), Some(status));
        let template = self.counts.template();
        let is_probe = template.starts_with("/health") || template.starts_with("/metrics");
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            request_line!(
                error,
                self,
                took,
                said,
                report,
                "❌ Internal error while handling a request"
            );
        } else if status.is_server_error() {
            request_line!(warn, self, took, said, report, "⚠️ Request could not be served");
        } else if is_probe && status.is_success() {
            request_line!(debug, self, took, said, report, "🏥 Probe answered");
        } else {
            request_line!(info, self, took, said, report, "📊 Request answered");
        }
    }

    /// Counts the request and returns how long it took.
    fn count(&self, status: Option<StatusCode>) -> Duration {
        let took = self.context.arrival().read_at.elapsed();
        self.counts.count(self.method, status.map(|status| status.as_u16()), took);
        took
    }
}

impl Drop for RequestLine<'_> {
    /// A request is dropped before it is answered when its client has closed the connection, or
    /// when the service gave it up: while stopping, or to make room for other clients.
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
                "📊 Request ended before it was answered: the client disconnected, was too slow, or \
                 the service stopped"
            );
        }
    }
}

/// Returns the method if HTTP defines it (RFC 9110, RFC 5789): a client may invent one of any
/// length.
fn method_for_log(method: &HttpMethod) -> &'static str {
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
