//! The table of failures: what Discogs does, and how the client is answered.
//!
//! Rows that apply to every step are here; each step's own rows are in its test.

use std::time::{Duration, UNIX_EPOCH};

use discogs_sandbox::Fault;
use serde_json::json;

use super::{BLOCKED, RATE_LIMITED, Refusal, UNAVAILABLE};
use crate::harness::{Answer, TestApp};

/// A fault of Discogs and its answer.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) fault: Fault,
    pub(crate) refusal: Refusal,
    pub(crate) retry_after: Option<&'static str>,
    /// How often a GET is sent if it always fails; a POST is sent once.
    pub(crate) gets: usize,
}

impl Row {
    /// A failure without a retry.
    pub(crate) fn once(name: &'static str, fault: Fault, refusal: Refusal) -> Self {
        Self { name, fault, refusal, retry_after: None, gets: 1 }
    }

    /// A failure after which a GET is retried.
    fn twice(name: &'static str, fault: Fault, refusal: Refusal) -> Self {
        Self { gets: 2, ..Self::once(name, fault, refusal) }
    }

    fn rate_limited(name: &'static str, given: Option<&str>, retry_after: &'static str) -> Self {
        let row = Self::once(name, Fault::rate_limited(given), RATE_LIMITED);
        Self { retry_after: Some(retry_after), ..row }
    }

    /// Asserts the whole answer.
    #[track_caller]
    pub(crate) fn assert(&self, answer: &Answer) {
        let (status, code, detail) = self.refusal;
        assert_eq!(
            (self.name, answer.status, answer.json(), answer.header("retry-after")),
            (self.name, status, json!({ "detail": detail, "code": code }), self.retry_after),
        );
    }
}

/// Faults after which a retried GET may succeed.
pub(crate) fn worth_a_second_try() -> [Fault; 6] {
    [
        Fault::Reset,
        Fault::Close,
        Fault::HalfAnswer,
        Fault::server_error(),
        Fault::block_page(503),
        Fault::answer_lost(),
    ]
}

/// The rows that apply to every step.
pub(crate) fn rows_of_any_step(app: &TestApp) -> Vec<Row> {
    let mut rows = rate_limits(app);
    rows.extend(block_pages());
    rows.extend(other_statuses(app));
    rows.extend(broken_connections());
    rows.extend(senseless_bodies());
    rows
}

fn rate_limits(app: &TestApp) -> Vec<Row> {
    let date = |seconds: u64| {
        let now = UNIX_EPOCH + Duration::from_secs(app.clock.now().as_seconds());
        httpdate::fmt_http_date(now + Duration::from_secs(seconds))
    };
    vec![
        Row::rate_limited("429 with Retry-After 17", Some("17"), "17"),
        Row::rate_limited("429 with Retry-After 0", Some("0"), "1"),
        Row::rate_limited("429 with Retry-After 300", Some("300"), "300"),
        Row::rate_limited("429 with Retry-After 99999", Some("99999"), "300"),
        Row::rate_limited("429 with a date", Some(&date(42)), "42"),
        Row::rate_limited("429 with a date of now", Some(&date(0)), "1"),
        Row::rate_limited("429 with a date far ahead", Some(&date(86_400)), "300"),
        Row::rate_limited("429 with a date gone by", Some("Sun, 06 Nov 1994 08:49:37 GMT"), "1"),
        Row::rate_limited("429 with words", Some("soon"), "60"),
        Row::rate_limited("429 with a negative number", Some("-5"), "60"),
        Row::rate_limited("429 without Retry-After", None, "60"),
    ]
}

fn block_pages() -> Vec<Row> {
    let page = "\n <!doctype HTML><title>Just a moment</title>";
    vec![
        Row::once("403 with a block page", Fault::block_page(403), BLOCKED),
        Row::twice("503 with a block page", Fault::block_page(503), BLOCKED),
        Row::once(
            "403 with no more than an HTML type",
            Fault::answer(403, "Text/HTML", ""),
            BLOCKED,
        ),
        Row::once("403 with HTML under another name", Fault::plain(403, page), BLOCKED),
        Row::once("403 without HTML", Fault::plain(403, "Forbidden"), UNAVAILABLE),
        Row::once("403 with JSON", Fault::answer(403, "application/json", "{}"), UNAVAILABLE),
        Row::twice("503 without HTML", Fault::plain(503, "busy <html>"), UNAVAILABLE),
    ]
}

fn other_statuses(app: &TestApp) -> Vec<Row> {
    let page = format!("{}/oauth/authorize", app.sandbox.url());
    vec![
        Row::twice("500", Fault::server_error(), UNAVAILABLE),
        Row::twice("502", Fault::plain(502, "Bad Gateway"), UNAVAILABLE),
        Row::twice("599", Fault::plain(599, ""), UNAVAILABLE),
        Row::once("404", Fault::plain(404, "Not Found"), UNAVAILABLE),
        Row::once("404 with HTML", Fault::answer(404, "text/html", "<html>"), UNAVAILABLE),
        Row::once("405", Fault::plain(405, ""), UNAVAILABLE),
        Row::once("408", Fault::plain(408, ""), UNAVAILABLE),
        Row::once("418", Fault::plain(418, ""), UNAVAILABLE),
        Row::once("301", redirect(301, &page), UNAVAILABLE),
        Row::once("302", Fault::redirect(&page), UNAVAILABLE),
        Row::once("303", redirect(303, &page), UNAVAILABLE),
        Row::once("307", redirect(307, &page), UNAVAILABLE),
        Row::once("308", redirect(308, &page), UNAVAILABLE),
        Row::once("304", Fault::plain(304, ""), UNAVAILABLE),
    ]
}

fn redirect(status: u16, location: &str) -> Fault {
    Fault::plain(status, "").with_header("location", location)
}

fn broken_connections() -> Vec<Row> {
    vec![
        Row::twice("a reset", Fault::Reset, UNAVAILABLE),
        Row::twice("no answer, and the end", Fault::Close, UNAVAILABLE),
        Row::twice("bytes that are no HTTP", Fault::Garbage, UNAVAILABLE),
        Row::twice("half an answer", Fault::HalfAnswer, UNAVAILABLE),
    ]
}

fn senseless_bodies() -> Vec<Row> {
    let late = format!("x={}&oauth_token=a&oauth_token_secret=b", "a".repeat(64 * 1024));
    vec![
        Row::once("a body that never ends", Fault::EndlessBody, UNAVAILABLE),
        Row::once("a body of 4 MiB", Fault::huge_body(4 << 20), UNAVAILABLE),
        Row::once("a token after 64 KiB", Fault::plain(200, &late), UNAVAILABLE),
        Row::once("a body without sense", Fault::nonsense(), UNAVAILABLE),
        Row::once("an HTML page with 200", Fault::answer(200, "text/html", "<html>"), UNAVAILABLE),
        Row::once(
            "bytes that are no text",
            Fault::answer(200, "", vec![0xff, 0, 0xfe]),
            UNAVAILABLE,
        ),
        Row::once("an empty body", Fault::plain(200, ""), UNAVAILABLE),
        Row::once("no body at all", Fault::plain(204, ""), UNAVAILABLE),
        Row::once("an empty object", Fault::identity(&json!({})), UNAVAILABLE),
        Row::once("an empty token", Fault::empty_token(), UNAVAILABLE),
        Row::once("a token without a secret", Fault::plain(200, "oauth_token=a"), UNAVAILABLE),
        Row::once(
            "a secret without a token",
            Fault::plain(200, "oauth_token_secret=b"),
            UNAVAILABLE,
        ),
        Row::once(
            "a token with NUL",
            Fault::plain(200, "oauth_token=a%00&oauth_token_secret=b"),
            UNAVAILABLE,
        ),
        Row::once(
            "a token of 513 characters",
            Fault::plain(200, &format!("oauth_token={}&oauth_token_secret=b", "a".repeat(513))),
            UNAVAILABLE,
        ),
    ]
}
