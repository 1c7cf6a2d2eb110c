//! The signature base string: RFC 5849 section 3.4.1.
//!
//! The URL is split by hand, because its path must enter the base string exactly as it is sent. Must
//! not know secrets.

use thiserror::Error;

use crate::encoding::{encode, form_parameters};

/// The signed part of a request: everything but its headers.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// The HTTP method, in any case.
    pub method: &'a str,
    /// The absolute URL with its query, as it is sent.
    pub url: &'a str,
    /// The body if its content type is `application/x-www-form-urlencoded`, otherwise `None`.
    pub form: Option<&'a str>,
}

/// Why a URL can't be signed or checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum UrlError {
    /// Not `http://…` or `https://…`.
    #[error("URL is not absolute, or neither http nor https")]
    Scheme,
    /// No host, an invalid port, or a user name before the host.
    #[error("URL has no usable host and port")]
    Authority,
    /// Spaces, control characters or non-ASCII characters, which must be percent-encoded.
    #[error("URL holds a character that must be percent-encoded")]
    Character,
    /// The query or the form body has an `oauth_…` parameter that was not collected.
    #[error("protocol parameter outside the Authorization header")]
    ProtocolParameter,
}

impl<'a> Target<'a> {
    /// A request without a form body.
    #[must_use]
    pub fn new(method: &'a str, url: &'a str) -> Self {
        Self { method, url, form: None }
    }

    /// Builds the base string of a request that has all its protocol parameters in the header.
    ///
    /// `parameters` are unencoded, without `realm` and `oauth_signature` (section 3.4.1.3.1).
    ///
    /// # Errors
    ///
    /// If the URL has no base string; see [`UrlError`].
    pub fn signature_base_string<'p>(
        &self,
        protocol: impl IntoIterator<Item = (&'p str, &'p str)>,
    ) -> Result<String, UrlError> {
        if self.protocol_parameters()?.next().is_some() {
            return Err(UrlError::ProtocolParameter);
        }
        self.base_string_with(protocol)
    }

    /// The protocol parameters of the query and the form body, percent-encoded.
    pub(crate) fn protocol_parameters(
        &self,
    ) -> Result<impl Iterator<Item = (String, String)>, UrlError> {
        let (_, query) = split_url(self.url)?;
        Ok(self.parameters(query).filter(|(name, _)| name.starts_with("oauth_")))
    }

    /// Builds the base string from the request's own parameters and these unencoded ones.
    pub(crate) fn base_string_with<'p>(
        &self,
        header: impl IntoIterator<Item = (&'p str, &'p str)>,
    ) -> Result<String, UrlError> {
        let (base, query) = split_url(self.url)?;
        let signed = self.parameters(query).filter(|(name, _)| name != "oauth_signature");
        let header = header.into_iter().map(|(name, value)| (encode(name), encode(value)));
        Ok(format!(
            "{}&{}&{}",
            encode(self.method.to_ascii_uppercase()),
            encode(base),
            encode(normalized(signed.chain(header).collect())),
        ))
    }

    /// The parameters of the query and the form body, percent-encoded (section 3.4.1.3.1).
    fn parameters(&self, query: &'a str) -> impl Iterator<Item = (String, String)> + use<'a> {
        form_parameters(query).chain(form_parameters(self.form.unwrap_or_default()))
    }
}

/// Sorts by encoded name, then by encoded value (section 3.4.1.3.2).
fn normalized(mut parameters: Vec<(String, String)>) -> String {
    parameters.sort_unstable();
    let pairs = parameters.iter().map(|(name, value)| format!("{name}={value}"));
    pairs.collect::<Vec<_>>().join("&")
}

/// The base string URI (section 3.4.1.2), and the query as sent.
fn split_url(url: &str) -> Result<(String, &str), UrlError> {
    if !url.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(UrlError::Character);
    }
    let (scheme, rest) = url.split_once("://").ok_or(UrlError::Scheme)?;
    let scheme = scheme.to_ascii_lowercase();
    let default_port = match scheme.as_str() {
        "http" => "80",
        "https" => "443",
        _ => return Err(UrlError::Scheme),
    };
    let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let path_start = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(path_start);
    let authority = normalized_authority(authority, default_port)?;
    let path = if path.is_empty() { "/" } else { path };
    Ok((format!("{scheme}://{authority}{path}"), query))
}

fn normalized_authority(authority: &str, default_port: &str) -> Result<String, UrlError> {
    let bracketed = authority.find(']').map_or(0, |end| end + 1);
    let port_start = authority.rfind(':').filter(|colon| *colon >= bracketed);
    let (host, port) = match port_start {
        Some(colon) => (
            authority.get(..colon).unwrap_or_default(),
            authority.get(colon + 1..).unwrap_or_default(),
        ),
        None => (authority, ""),
    };
    let open = host.contains(':') && bracketed == 0;
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    if host.is_empty() || host.contains('@') || open || !digits {
        return Err(UrlError::Authority);
    }
    let host = host.to_ascii_lowercase();
    Ok(if port.is_empty() || port == default_port { host } else { format!("{host}:{port}") })
}

#[cfg(test)]
mod tests {
    use super::{UrlError, split_url};

    #[test]
    fn scheme_and_host_are_lower_cased_and_the_path_is_unchanged() {
        let (base, query) = split_url("HTTP://EXAMPLE.COM:80/r%20v/../X?id=123#top").unwrap();
        assert_eq!(base, "http://example.com/r%20v/../X");
        assert_eq!(query, "id=123");
    }

    #[test]
    fn only_the_default_port_of_the_scheme_is_dropped() {
        for (url, base) in [
            ("https://www.example.net:8080/?q=1", "https://www.example.net:8080/"),
            ("https://example.net:443", "https://example.net/"),
            ("http://example.net:443/", "http://example.net:443/"),
            ("http://example.net:/", "http://example.net/"),
            ("http://[::1]:80/a", "http://[::1]/a"),
            ("http://[::1]:8004/a", "http://[::1]:8004/a"),
            ("http://[::1]/a", "http://[::1]/a"),
        ] {
            assert_eq!(split_url(url).unwrap().0, base, "{url}");
        }
    }

    #[test]
    fn urls_that_have_no_base_string_are_refused() {
        for (url, error) in [
            ("/oauth/identity", UrlError::Scheme),
            ("ftp://example.com/", UrlError::Scheme),
            ("https:///path", UrlError::Authority),
            ("https://user@example.com/", UrlError::Authority),
            ("https://example.com:x/", UrlError::Authority),
            ("https://::1/", UrlError::Authority),
            ("https://example.com/a b", UrlError::Character),
            ("https://example.com/é", UrlError::Character),
        ] {
            assert_eq!(split_url(url), Err(error), "{url}");
        }
    }
}
