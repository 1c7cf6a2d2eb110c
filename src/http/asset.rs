//! Files that are kept in the program and served as they are.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::OnceLock;

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use super::error::ApiError;

/// What a path names; none where it is no text.
pub(super) type Name = Result<Path<String>, PathRejection>;

/// Browsers ask each time whether a file has changed: its name does not say so.
const CACHING: HeaderValue = HeaderValue::from_static("no-cache");

/// A file, with what is said about it.
pub(super) struct Asset {
    name: &'static str,
    content_type: &'static str,
    encoding: Option<HeaderValue>,
    content: &'static [u8],
    tag: OnceLock<HeaderValue>,
}

impl Asset {
    /// A file that is kept as it is.
    pub(super) const fn plain(
        name: &'static str,
        content_type: &'static str,
        content: &'static [u8],
    ) -> Self {
        Self { name, content_type, encoding: None, content, tag: OnceLock::new() }
    }

    /// A file that is kept compressed, and sent so to everybody: what shows it are browsers.
    pub(super) const fn gzipped(
        name: &'static str,
        content_type: &'static str,
        content: &'static [u8],
    ) -> Self {
        let encoding = Some(HeaderValue::from_static("gzip"));
        Self { name, content_type, encoding, content, tag: OnceLock::new() }
    }

    /// The answer to a request for it, under a content security policy.
    pub(super) fn answer(&'static self, request: &HeaderMap, policy: &HeaderValue) -> Response {
        let tag = self.tag.get_or_init(|| self.make_tag());
        let common: [(HeaderName, HeaderValue); 3] = [
            (header::CACHE_CONTROL, CACHING),
            (header::CONTENT_SECURITY_POLICY, policy.clone()),
            (header::ETAG, tag.clone()),
        ];
        if is_known(request, tag) {
            return (StatusCode::NOT_MODIFIED, common).into_response();
        }
        let content_type = [(header::CONTENT_TYPE, HeaderValue::from_static(self.content_type))];
        let mut response = (common, content_type, self.content).into_response();
        if let Some(encoding) = &self.encoding {
            response.headers_mut().insert(header::CONTENT_ENCODING, encoding.clone());
        }
        response
    }

    /// The same in every replica of one build, which is all that a tag has to be.
    fn make_tag(&self) -> HeaderValue {
        let mut hasher = DefaultHasher::new();
        self.content.hash(&mut hasher);
        // Hex digits always fit in a header.
        HeaderValue::try_from(format!("\"{:016x}\"", hasher.finish())).unwrap_or(CACHING)
    }
}

/// The answer to a request for one of these files, whichever is named.
pub(super) fn answer(
    files: &'static [Asset],
    name: Name,
    request: &HeaderMap,
    policy: &HeaderValue,
) -> Response {
    let name = name.map(|Path(name)| name).unwrap_or_default();
    match files.iter().find(|file| file.name == name) {
        Some(file) => file.answer(request, policy),
        None => ApiError::NotFound.into_response(),
    }
}

/// Whether `If-None-Match` names the tag (RFC 9110 section 13.1.2): compared weakly, one of a list
/// or `*`.
fn is_known(request: &HeaderMap, tag: &HeaderValue) -> bool {
    let is_it = |listed: &str| listed == "*" || listed.trim_start_matches("W/") == tag;
    let named = request.get_all(header::IF_NONE_MATCH).iter();
    named
        .filter_map(|value| value.to_str().ok())
        .any(|list| list.split(',').map(str::trim).any(is_it))
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue, header};

    use super::is_known;

    #[test]
    fn a_tag_is_known_alone_in_a_list_or_as_any() {
        let tag = HeaderValue::from_static("\"a1\"");
        let named = |value: &'static str| {
            let value = HeaderValue::from_static(value);
            is_known(&HeaderMap::from_iter([(header::IF_NONE_MATCH, value)]), &tag)
        };
        for value in ["\"a1\"", "W/\"a1\"", "*", "\"b2\", W/\"a1\"", "\"b2\",\"a1\""] {
            assert!(named(value), "{value}");
        }
        for value in ["", "a1", "\"a2\"", "\"b2\", \"c3\"", "\"**\""] {
            assert!(!named(value), "{value}");
        }
        assert!(!is_known(&HeaderMap::new(), &tag));
    }
}
