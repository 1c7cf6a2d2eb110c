//! Files embedded in the program, served plain or compressed with gzip.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::Read as _;
use std::sync::OnceLock;

use axum::body::Bytes;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use flate2::Compression;
use flate2::read::{GzDecoder, GzEncoder};

use crate::http::error::ApiError;

/// The file name in a path; an error if it is not text.
pub(crate) type Name = Result<Path<String>, PathRejection>;

/// Browsers revalidate a file each time, since its name does not change with its content.
const CACHING: HeaderValue = HeaderValue::from_static("no-cache");

/// The request header that chooses between the two forms of a file.
const VARY: HeaderValue = HeaderValue::from_static("Accept-Encoding");

/// An embedded file.
pub(crate) struct Asset {
    name: &'static str,
    content_type: &'static str,
    /// As it is embedded.
    content: &'static [u8],
    embedded: Form,
    plain: OnceLock<Sent>,
    gzip: OnceLock<Sent>,
}

/// The form in which a file is embedded or sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Plain,
    Gzip,
}

/// One form of a file, made at its first request.
struct Sent {
    content: Bytes,
    tag: HeaderValue,
}

impl Asset {
    /// A file that is embedded as it is.
    pub(crate) const fn plain(
        name: &'static str,
        content_type: &'static str,
        content: &'static [u8],
    ) -> Self {
        Self::new(name, content_type, content, Form::Plain)
    }

    /// A file that is embedded compressed.
    pub(crate) const fn gzipped(
        name: &'static str,
        content_type: &'static str,
        content: &'static [u8],
    ) -> Self {
        Self::new(name, content_type, content, Form::Gzip)
    }

    const fn new(
        name: &'static str,
        content_type: &'static str,
        content: &'static [u8],
        embedded: Form,
    ) -> Self {
        Self {
            name,
            content_type,
            content,
            embedded,
            plain: OnceLock::new(),
            gzip: OnceLock::new(),
        }
    }

    /// Answers a request for it, under a content security policy.
    pub(crate) fn answer(&'static self, request: &HeaderMap, policy: &HeaderValue) -> Response {
        let form = if accepts_gzip(request) { Form::Gzip } else { Form::Plain };
        let Sent { content, tag } = self.sent(form);
        let common: [(HeaderName, HeaderValue); 4] = [
            (header::CACHE_CONTROL, CACHING),
            (header::CONTENT_SECURITY_POLICY, policy.clone()),
            (header::ETAG, tag.clone()),
            (header::VARY, VARY),
        ];
        if is_known(request, tag) {
            return (StatusCode::NOT_MODIFIED, common).into_response();
        }
        let content_type = [(header::CONTENT_TYPE, HeaderValue::from_static(self.content_type))];
        let mut response = (common, content_type, content.clone()).into_response();
        if form == Form::Gzip {
            let encoding = HeaderValue::from_static("gzip");
            response.headers_mut().insert(header::CONTENT_ENCODING, encoding);
        }
        response
    }

    fn sent(&self, form: Form) -> &Sent {
        let sent = match form {
            Form::Plain => &self.plain,
            Form::Gzip => &self.gzip,
        };
        sent.get_or_init(|| {
            let content = match (self.embedded, form) {
                (Form::Plain, Form::Plain) | (Form::Gzip, Form::Gzip) => {
                    Bytes::from_static(self.content)
                }
                // Neither fails for an embedded file.
                (Form::Plain, Form::Gzip) => compress(self.content).unwrap_or_default().into(),
                (Form::Gzip, Form::Plain) => decompress(self.content).unwrap_or_default().into(),
            };
            let tag = make_tag(&content);
            Sent { content, tag }
        })
    }
}

fn compress(plain: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut gzip = Vec::new();
    GzEncoder::new(plain, Compression::best()).read_to_end(&mut gzip)?;
    Ok(gzip)
}

fn decompress(gzip: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    GzDecoder::new(gzip).read_to_end(&mut plain)?;
    Ok(plain)
}

/// Returns the same tag in every replica of a build.
fn make_tag(content: &[u8]) -> HeaderValue {
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    // Hex digits always fit in a header.
    HeaderValue::try_from(format!("\"{:016x}\"", hasher.finish())).unwrap_or(CACHING)
}

/// Answers a request for the file of this name.
pub(crate) fn answer(
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

/// Whether `Accept-Encoding` accepts gzip (RFC 9110 section 12.5.3), by name or as `*`.
///
/// Without the header a client may not be able to decompress, so it does not.
fn accepts_gzip(request: &HeaderMap) -> bool {
    let lists = request.get_all(header::ACCEPT_ENCODING).iter();
    let codings = lists.filter_map(|list| list.to_str().ok()).flat_map(|list| list.split(','));
    let (mut by_name, mut as_any) = (None, None);
    for coding in codings {
        let mut parts = coding.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let is_refused = parts.any(is_zero_weight);
        if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") {
            by_name = Some(!is_refused);
        } else if name == "*" {
            as_any = Some(!is_refused);
        }
    }
    by_name.or(as_any).unwrap_or(false)
}

/// Whether a parameter is a weight of 0: `q=0`, `q=0.000`, or `q` with anything but a number.
fn is_zero_weight(parameter: &str) -> bool {
    let weight =
        parameter.split_once('=').filter(|(name, _)| name.trim().eq_ignore_ascii_case("q"));
    weight.is_some_and(|(_, value)| !value.trim().parse::<f32>().is_ok_and(|weight| weight > 0.0))
}

/// Whether `If-None-Match` lists the tag or is `*` (RFC 9110 section 13.1.2), compared weakly.
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

    use super::{accepts_gzip, is_known};

    #[test]
    fn gzip_is_accepted_by_name_or_wildcard() {
        let accepts = |lists: &[&'static str]| {
            let lists = lists.iter().map(|list| HeaderValue::from_static(list));
            let lists = lists.map(|list| (header::ACCEPT_ENCODING, list));
            let mut headers = HeaderMap::new();
            lists.for_each(|(name, list)| {
                headers.append(name, list);
            });
            accepts_gzip(&headers)
        };
        for lists in [
            &["gzip"][..],
            &["gzip, deflate, br, zstd"],
            &["br", "GZip"],
            &["x-gzip"],
            &["*"],
            &["gzip;q=0.001"],
            &["gzip ; q=1"],
            &["identity;q=0.5, *;q=0.1"],
            &["*;q=0, gzip"],
        ] {
            assert!(accepts(lists), "{lists:?}");
        }
        for lists in [
            &[][..],
            &[""],
            &["identity"],
            &["br"],
            &["gzip;q=0"],
            &["gzip;q=0.000"],
            &["gzip; Q=0, *"],
            &["gzip;q=x"],
            &["*;q=0"],
            &["gzipped"],
        ] {
            assert!(!accepts(lists), "{lists:?}");
        }
    }

    #[test]
    fn a_tag_is_known_alone_in_a_list_or_by_wildcard() {
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
