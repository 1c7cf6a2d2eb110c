//! Access tokens: for any text, the check agrees with a slow reference of RFC 7515 and 7519.
//!
//! The input is a token as it is sent. Since a fuzzer can't guess a MAC, the input is also split at a
//! line break into a header and a payload, which are signed with the right key.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use discogsography_token::{Claims, Inspection, Key, Keys, Outcome, TokenError};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::de::IgnoredAny;
use serde_json::{Map, Value};
use sha2::Sha256;
use uuid::Uuid;

/// The key of `tests/vectors/tokens.json`, whose tokens are in the corpus.
const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef-shared-secret";
const NOW: Duration = Duration::from_secs(1_790_000_000);
const HEADER: &[u8] = br#"{"alg":"HS256","typ":"JWT"}"#;

/// The expected result for a token.
#[derive(Debug, PartialEq, Eq)]
enum Expected {
    Good(Uuid, Option<String>),
    Bad,
    /// An unread claim holds what only some libraries accept as JSON.
    Either,
}

pub(crate) fn holds(input: &[u8]) {
    let key = Key::new(SECRET);
    let line_break = input.iter().position(|byte| *byte == b'\n');
    let (header, payload) =
        line_break.map_or((HEADER, input), |at| (&input[..at], &input[at + 1..]));
    check(&key, &signed(header, payload));
    if let Ok(text) = std::str::from_utf8(input) {
        check(&key, text);
        check_our_own(&key, text);
    }
}

fn check(key: &Key, token: &str) {
    let expected = expected(token).unwrap_or(Expected::Bad);
    let verified = key.verify(token, NOW);
    let keys = Keys::new(Key::new(b"another"), vec![key.clone()]);
    assert_eq!(keys.verify(token, NOW), verified, "{token}");
    check_inspection(token, verified.as_ref().err().copied());
    if expected == Expected::Either {
        return;
    }
    let found = verified.map_or(Expected::Bad, |claims| Expected::Good(claims.sub, claims.email));
    assert_eq!(found, expected, "{token}");
}

/// An inspection finds the reason of a refusal, unless it is the signature.
fn check_inspection(token: &str, error: Option<TokenError>) {
    let inspection = Inspection::new(token, NOW);
    let is_broken = |error| inspection.rules.iter().any(|(_, it)| *it == Outcome::Broken(error));
    match error {
        None => assert!(!inspection.is_refused(), "{token}: {inspection:?}"),
        Some(TokenError::WrongSignature) => {}
        Some(error) => assert!(is_broken(error), "{token}: {inspection:?}"),
    }
}

/// A token is valid until it expires, whatever the address in it.
fn check_our_own(key: &Key, email: &str) {
    let exp = NOW.as_secs() + 1;
    let sub = Uuid::from_u128(0x6f96_19ff_8b86_4d01_b42d_00cf_4fc9_64ff);
    let claims = Claims { sub, email: email.to_owned(), iat: exp - 60, exp, jti: email.to_owned() };
    let token = key.sign(&claims);
    check(key, &token);
    assert!(key.verify(&token, NOW).is_ok_and(|claims| claims.email.as_deref() == Some(email)));
    assert!(key.verify(&token, Duration::from_secs(exp)).is_err());
    assert!(Key::new(b"another").verify(&token, NOW).is_err());
}

fn mac(signed: &str) -> Vec<u8> {
    let mac = Hmac::<Sha256>::new_from_slice(SECRET).unwrap();
    mac.chain_update(signed).finalize().into_bytes().to_vec()
}

fn signed(header: &[u8], payload: &[u8]) -> String {
    let encode = |bytes| URL_SAFE_NO_PAD.encode(bytes);
    let signed = format!("{}.{}", encode(header), encode(payload));
    let mac = URL_SAFE_NO_PAD.encode(mac(&signed));
    format!("{signed}.{mac}")
}

/// The slow reference; `None` for an invalid token.
fn expected(token: &str) -> Option<Expected> {
    let parts: Vec<_> = token.split('.').collect();
    let [header, payload, signature] = parts[..] else {
        return None;
    };
    let decode = |part| URL_SAFE_NO_PAD.decode(part).ok();
    let text = |part| String::from_utf8(decode(part)?).ok();
    let header: Map<String, Value> = serde_json::from_str(&text(header)?).ok()?;
    if header.get("alg") != Some(&Value::from("HS256")) || header.contains_key("crit") {
        return None;
    }
    if decode(signature)? != mac(token.rsplit_once('.')?.0) {
        return None;
    }
    let payload = text(payload)?;
    let Ok(claims) = serde_json::from_str::<Value>(&payload) else {
        let is_json_to_some = serde_json::from_str::<IgnoredAny>(&payload).is_ok();
        return is_json_to_some.then_some(Expected::Either);
    };
    let claims = claims.as_object()?;
    let is_to_come = claims.get("exp")?.as_f64()? > NOW.as_secs_f64();
    let has_begun = match claims.get("nbf") {
        Some(nbf) => nbf.as_f64()? <= NOW.as_secs_f64(),
        None => true,
    };
    if !has_begun || claims.contains_key("type") {
        return None;
    }
    let sub = hyphenated(claims.get("sub")?.as_str()?)?;
    let email = claims.get("email").and_then(Value::as_str).map(str::to_owned);
    is_to_come.then_some(Expected::Good(sub, email))
}

fn hyphenated(text: &str) -> Option<Uuid> {
    let lengths: Vec<_> = text.split('-').map(str::len).collect();
    let digits = text.replace('-', "");
    let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = u128::from_str_radix(&digits, 16).ok()?;
    (lengths == [8, 4, 4, 4, 12] && is_hex).then_some(Uuid::from_u128(number))
}

#[cfg(test)]
#[test]
fn the_corpus_holds() {
    crate::corpus::replay("access_token", holds);
}
