//! Signed queries and form bodies: the base string equals a slow reference's.
//!
//! A URL without a base string is refused without a panic.
//!
//! The input is a method, a URL and a form body, each on a line.

#[path = "../../crates/oauth1/tests/reference/mod.rs"]
mod reference;

use std::collections::BTreeSet;

use oauth1::{Consumer, Request, Target, Token, UrlError};
use secrecy::SecretString;

pub(crate) fn holds(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let mut lines = text.splitn(3, '\n');
    let mut line = || lines.next().unwrap_or_default();
    let (method, url, form) = (line(), line(), line());
    let target = Target { method, url, form: Some(form) };
    let protocol = [("oauth_token", form), ("oauth_nonce", url), ("&=%", method)]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let given = protocol.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    match target.signature_base_string(given) {
        Ok(base_string) => {
            assert_eq!(base_string, reference::base_string(method, url, form, &protocol));
            assert_eq!(base_string.split('&').count(), 3);
        }
        Err(UrlError::Character) => assert!(!url.bytes().all(|byte| byte.is_ascii_graphic())),
        Err(UrlError::ProtocolParameter) => {
            let query = url.split('#').next().unwrap_or_default().split_once('?');
            let sent = [query.map_or("", |(_, query)| query), form];
            let sent: Vec<_> = sent.into_iter().flat_map(reference::parameters).collect();
            assert!(sent.iter().any(|(name, _)| name.starts_with("oauth_")), "{url}");
        }
        Err(UrlError::Scheme | UrlError::Authority) => {}
    }
    what_is_signed_is_accepted(target);
    what_is_read_is_there_once(target);
}

/// The protocol parameters of the query and the form body are refused, or read with one value each.
fn what_is_read_is_there_once(target: Target<'_>) {
    let Ok(read) = oauth1::Authorization::of_request(None, target) else {
        return;
    };
    let names: BTreeSet<_> = read.parameters().map(|(name, _)| name).collect();
    assert_eq!(names.len(), read.parameters().count(), "a name stands there twice");
    assert!(names.iter().all(|name| name.starts_with("oauth_")));
    assert!(read.signature_base_string(target).is_ok());
}

/// A request that can be signed is accepted with its secret, and with no other.
fn what_is_signed_is_accepted(target: Target<'_>) {
    let form = target.form.unwrap_or_default();
    let consumer = Consumer { key: form.to_owned(), secret: target.method.into() };
    let token = Token { token: target.url.to_owned(), secret: form.into() };
    let request = Request {
        target,
        consumer: &consumer,
        token: Some(&token),
        callback: Some(target.url),
        verifier: Some(form),
        nonce: target.method,
        timestamp: u64::MAX,
    };
    let Ok(header) = request.authorization() else {
        return;
    };
    let Ok(header) = oauth1::Authorization::parse(&header) else {
        assert!(header.len() > 8 * 1024, "{header}");
        return;
    };
    assert_eq!(header.parameter("oauth_verifier"), Some(form));
    assert_eq!(header.verify(target, &consumer.secret, Some(&token.secret)), Ok(()));
    let other = SecretString::from(format!("{form}x"));
    assert!(header.verify(target, &consumer.secret, Some(&other)).is_err());
    assert!(header.verify(target, &consumer.secret, None).is_err() || form.is_empty());
}

#[cfg(test)]
#[test]
fn the_corpus_holds() {
    crate::corpus::replay("oauth_base_string", holds);
}
