//! The account page: the files of `web/`, kept in the program and served as they are.
//!
//! The page has a policy of its own: it runs its own scripts, asks nobody but this service, and
//! puts nothing in as markup.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use super::error::ApiError;

const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
     form-action 'none'; base-uri 'none'; frame-ancestors 'none'; \
     require-trusted-types-for 'script'; trusted-types 'none'",
);

/// Browsers ask each time whether a file has changed: its name does not say so.
const CACHING: HeaderValue = HeaderValue::from_static("no-cache");

/// A file of the page.
struct File {
    name: &'static str,
    content_type: &'static str,
    content: &'static str,
}

macro_rules! file {
    ($name:literal, $content_type:literal) => {
        File {
            name: $name,
            content_type: $content_type,
            content: include_str!(concat!("../../web/", $name)),
        }
    };
}

const INDEX: &File = &file!("index.html", "text/html; charset=utf-8");

/// What the page is made of, below `/web/`.
const FILES: &[File] = &[
    file!("account.css", "text/css; charset=utf-8"),
    file!("account.js", "text/javascript; charset=utf-8"),
    file!("api.js", "text/javascript; charset=utf-8"),
    file!("credentials.js", "text/javascript; charset=utf-8"),
    file!("discogs.js", "text/javascript; charset=utf-8"),
    file!("favicon.svg", "image/svg+xml"),
    file!("page.js", "text/javascript; charset=utf-8"),
    file!("session.js", "text/javascript; charset=utf-8"),
    file!("sign-in.js", "text/javascript; charset=utf-8"),
    file!("words.js", "text/javascript; charset=utf-8"),
];

/// `GET /`
pub(super) async fn index(headers: HeaderMap) -> Response {
    INDEX.answer(&headers)
}

/// `GET /web/{file}`
pub(super) async fn file(
    name: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Response {
    let name = name.map(|Path(name)| name).unwrap_or_default();
    match FILES.iter().find(|file| file.name == name) {
        Some(file) => file.answer(&headers),
        None => ApiError::NotFound.into_response(),
    }
}

impl File {
    fn answer(&self, headers: &HeaderMap) -> Response {
        let tag = self.tag();
        let common: [(HeaderName, HeaderValue); 3] = [
            (header::CACHE_CONTROL, CACHING),
            (header::CONTENT_SECURITY_POLICY, POLICY),
            (header::ETAG, tag.clone()),
        ];
        if headers.get(header::IF_NONE_MATCH) == Some(&tag) {
            return (StatusCode::NOT_MODIFIED, common).into_response();
        }
        let content_type = [(header::CONTENT_TYPE, HeaderValue::from_static(self.content_type))];
        (common, content_type, self.content).into_response()
    }

    /// The same in every replica of one build, which is all that a tag has to be.
    fn tag(&self) -> HeaderValue {
        let mut hasher = DefaultHasher::new();
        self.content.hash(&mut hasher);
        // Hex digits always fit in a header.
        HeaderValue::try_from(format!("\"{:016x}\"", hasher.finish())).unwrap_or(CACHING)
    }
}
