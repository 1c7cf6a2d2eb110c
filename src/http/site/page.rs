//! The account page: the files of `web/`.
//!
//! Its content security policy allows its own scripts and calls to this service only, and no inserted
//! markup.

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::http::json::Json;
use crate::http::site::asset::{self, Asset, Name};
use crate::http::state::AppState;

const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
     form-action 'none'; base-uri 'none'; frame-ancestors 'none'; \
     require-trusted-types-for 'script'; trusted-types 'none'",
);

macro_rules! file {
    ($name:literal, $content_type:literal) => {
        Asset::plain($name, $content_type, include_bytes!(concat!("../../../web/", $name)))
    };
}

static INDEX: Asset = file!("index.html", "text/html; charset=utf-8");

/// The files of the page, under `/web/`.
static FILES: [Asset; 12] = [
    file!("account.css", "text/css; charset=utf-8"),
    file!("account.js", "text/javascript; charset=utf-8"),
    file!("api.js", "text/javascript; charset=utf-8"),
    file!("credentials.js", "text/javascript; charset=utf-8"),
    file!("discogs.js", "text/javascript; charset=utf-8"),
    file!("discogs-tab.js", "text/javascript; charset=utf-8"),
    file!("favicon.svg", "image/svg+xml"),
    file!("page.js", "text/javascript; charset=utf-8"),
    file!("session.js", "text/javascript; charset=utf-8"),
    file!("settings.js", "text/javascript; charset=utf-8"),
    file!("sign-in.js", "text/javascript; charset=utf-8"),
    file!("words.js", "text/javascript; charset=utf-8"),
];

/// `GET /`
pub(crate) async fn index(headers: HeaderMap) -> Response {
    INDEX.answer(&headers, &POLICY)
}

/// The operator's settings for the page.
#[derive(Serialize)]
struct Settings {
    /// The front end to which the page links.
    app_base_url: Option<String>,
    /// Whether a stand-in is used instead of Discogs.
    sandbox: bool,
}

/// `GET /web/settings.json`
pub(crate) async fn settings(State(app): State<AppState>) -> impl IntoResponse {
    let settings = Settings {
        app_base_url: app.app_base_url.as_ref().map(ToString::to_string),
        sandbox: app.is_sandbox(),
    };
    ([(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"))], Json(settings))
}

/// `GET /web/{file}`
pub(crate) async fn file(name: Name, headers: HeaderMap) -> Response {
    asset::answer(&FILES, name, &headers, &POLICY)
}
