//! The API documentation in a browser: Swagger UI to try it, ReDoc to read it.
//!
//! Both are embedded in the program and work offline. Their policy is looser than the account page's,
//! since they create styles at run time. They see only passwords and tokens that a user enters there.

use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};

use crate::http::site::asset::{self, Asset, Name};

const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data:; connect-src 'self'; form-action 'none'; base-uri 'none'; \
     frame-ancestors 'none'",
);

macro_rules! file {
    ($name:literal, $content_type:literal) => {
        Asset::plain($name, $content_type, include_bytes!(concat!("../../../api-docs/", $name)))
    };
}

/// A file that `scripts/vendor-api-docs` downloaded.
macro_rules! vendored {
    ($name:literal, $content_type:literal) => {
        Asset::gzipped(
            $name,
            $content_type,
            include_bytes!(concat!("../../../api-docs/vendor/", $name, ".gz")),
        )
    };
}

static SWAGGER: Asset = file!("swagger.html", "text/html; charset=utf-8");
static REDOC: Asset = file!("redoc.html", "text/html; charset=utf-8");

/// The files of both pages, under `/docs/`.
static FILES: [Asset; 7] = [
    file!("pages.css", "text/css; charset=utf-8"),
    file!("redoc.js", "text/javascript; charset=utf-8"),
    file!("swagger.js", "text/javascript; charset=utf-8"),
    vendored!("redoc.standalone.js", "text/javascript; charset=utf-8"),
    vendored!("swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
    vendored!("swagger-ui.css", "text/css; charset=utf-8"),
    Asset::plain("favicon.svg", "image/svg+xml", include_bytes!("../../../web/favicon.svg")),
];

/// `GET /openapi.json`
pub(crate) fn document(json: &'static str) -> Response {
    let content_type = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    (content_type, json).into_response()
}

/// `GET /docs`
pub(crate) async fn swagger(headers: HeaderMap) -> Response {
    SWAGGER.answer(&headers, &POLICY)
}

/// `GET /redoc`
pub(crate) async fn redoc(headers: HeaderMap) -> Response {
    REDOC.answer(&headers, &POLICY)
}

/// `GET /docs/` and `GET /redoc/`: redirects to the path without the slash, to which the references of
/// the pages are relative. So the pages also work under a path prefix of a reverse proxy.
pub(crate) async fn without_slash(uri: Uri) -> Response {
    let name = if uri.path().starts_with("/docs") { "../docs" } else { "../redoc" };
    (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, HeaderValue::from_static(name))])
        .into_response()
}

/// `GET /docs/{file}`
pub(crate) async fn file(name: Name, headers: HeaderMap) -> Response {
    asset::answer(&FILES, name, &headers, &POLICY)
}
