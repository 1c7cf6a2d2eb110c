//! What the header parser accepts and refuses, and what `Debug` never shows.

#![expect(clippy::unwrap_used, reason = "a helper of a test may panic")]

use oauth1::{Authorization, CheckError, Consumer, ReadError, Target, Token, UrlError};
use secrecy::SecretString;

fn verify(header: &str, url: &str) -> Result<(), CheckError> {
    let secret = SecretString::from("s");
    Authorization::parse(header).unwrap().verify(Target::new("GET", url), &secret, None)
}

#[test]
fn order_case_realm_and_white_space_are_free() {
    let header = "oauth  realm=\"a, \\\"b\\\"\" ,\toauth_nonce = \"n%20n\",oauth_token=\"\"  ";
    let header = Authorization::parse(header).unwrap();
    let parameters: Vec<_> = header.parameters().collect();
    assert_eq!(parameters, [("realm", "a, \"b\""), ("oauth_nonce", "n n"), ("oauth_token", "")]);
    assert_eq!(header.parameter("oauth_verifier"), None);
}

#[test]
fn other_schemes_are_refused() {
    for header in ["", "OAuth", "Bearer abc", "Discogs token=\"x\"", "OAuth2 a=\"b\""] {
        assert_eq!(Authorization::parse(header), Err(ReadError::NotOAuth), "{header}");
    }
}

#[test]
fn malformed_headers_are_refused() {
    for header in [
        "OAuth a",
        "OAuth a=b",
        "OAuth a=\"b",
        "OAuth a=\"b\\",
        "OAuth =\"b\"",
        "OAuth a=\"b\",",
        "OAuth a=\"b\" c=\"d\"",
        "OAuth a=\"%zz\"",
        "OAuth a=\"%FF\"",
        "OAuth a=\"b\",,c=\"d\"",
    ] {
        assert_eq!(Authorization::parse(header), Err(ReadError::Malformed), "{header}");
    }
}

#[test]
fn a_parameter_given_twice_is_refused() {
    for header in ["OAuth a=\"1\", b=\"2\", a=\"3\"", "OAuth a=\"1\", %61=\"1\""] {
        let duplicate = ReadError::Duplicate("a".to_owned());
        assert_eq!(Authorization::parse(header), Err(duplicate), "{header}");
    }
}

#[test]
fn headers_are_bounded() {
    let long = format!("OAuth a=\"{}\"", "x".repeat(8 * 1024));
    assert_eq!(Authorization::parse(&long), Err(ReadError::TooLong));
    let many: Vec<_> = (0..33).map(|n| format!("p{n}=\"\"")).collect();
    let header = format!("OAuth {}", many.join(","));
    assert_eq!(Authorization::parse(&header), Err(ReadError::TooMany));
    let header = format!("OAuth {}", many[1..].join(","));
    assert!(Authorization::parse(&header).is_ok());
}

#[test]
fn the_check_names_what_it_can_not_use() {
    let url = "https://example.com/";
    for (header, error) in [
        ("OAuth a=\"b\"", CheckError::Missing("oauth_signature_method")),
        ("OAuth oauth_signature_method=\"HMAC-SHA1\"", CheckError::Missing("oauth_signature")),
        (
            "OAuth oauth_signature_method=\"HMAC-SHA256\", oauth_signature=\"s%26\"",
            CheckError::UnsupportedMethod,
        ),
        (
            "OAuth oauth_signature_method=\"PLAINTEXT\", oauth_signature=\"s\"",
            CheckError::WrongSignature,
        ),
        (
            "OAuth oauth_signature_method=\"HMAC-SHA1\", oauth_version=\"2.0\"",
            CheckError::UnsupportedVersion,
        ),
        (
            "OAuth oauth_signature_method=\"HMAC-SHA1\", oauth_signature=\"no base64\"",
            CheckError::WrongSignature,
        ),
    ] {
        assert_eq!(verify(header, url), Err(error), "{header}");
    }
    let header = "OAuth oauth_signature_method=\"HMAC-SHA1\", oauth_signature=\"\"";
    let in_query = verify(header, "https://example.com/?oauth_token=t");
    assert_eq!(in_query, Err(UrlError::ProtocolParameter.into()));
    assert_eq!(verify(header, "example.com"), Err(UrlError::Scheme.into()));
}

#[test]
fn nothing_secret_shows_in_debug() {
    let consumer = Consumer { key: "hush-0".to_owned(), secret: SecretString::from("hush-1") };
    let token = Token { token: "hush-2".to_owned(), secret: SecretString::from("hush-3") };
    let header = Authorization::parse("OAuth oauth_verifier=\"hush-4\"").unwrap();
    let shown = format!("{consumer:?} {token:?} {header:?}");
    assert!(shown.contains("oauth_verifier"), "{shown}");
    assert!(!shown.contains("hush"), "{shown}");
}
