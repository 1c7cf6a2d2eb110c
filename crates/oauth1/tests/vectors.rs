//! Signatures made with another library, and the examples of RFC 5849.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a helper of a test may panic")]

use std::collections::BTreeSet;

use oauth1::{Authorization, CheckError, Consumer, Request, Target, Token};
use secrecy::SecretString;
use serde_json::Value;

fn text<'a>(case: &'a Value, name: &str) -> &'a str {
    case[name].as_str().unwrap()
}

/// Signs one case of the file and passes the request to `check`.
fn with_request(case: &Value, check: impl Fn(&Request<'_>)) {
    let consumer = Consumer {
        key: text(case, "consumer_key").to_owned(),
        secret: SecretString::from(text(case, "consumer_secret")),
    };
    let token = Token {
        token: text(case, "token").to_owned(),
        secret: SecretString::from(text(case, "token_secret")),
    };
    check(&Request {
        target: Target::new(text(case, "method"), text(case, "url")),
        consumer: &consumer,
        token: (!token.token.is_empty()).then_some(&token),
        callback: case["callback"].as_str(),
        verifier: case["verifier"].as_str(),
        nonce: text(case, "nonce"),
        timestamp: text(case, "timestamp").parse().unwrap(),
    });
}

fn cases() -> Vec<Value> {
    let file = include_str!("../../../tests/vectors/oauth1.json");
    let file: Value = serde_json::from_str(file).unwrap();
    let cases = file["cases"].as_array().unwrap().clone();
    assert!(!cases.is_empty());
    cases
}

fn parameter_set(header: &str) -> BTreeSet<String> {
    let parameters = header.strip_prefix("OAuth ").unwrap().split(", ");
    parameters.map(str::to_owned).collect()
}

#[test]
fn base_strings_and_signatures_are_those_of_the_other_library() {
    for case in cases() {
        with_request(&case, |request| {
            assert_eq!(request.signature_base_string().unwrap(), text(&case, "base_string"));
            assert_eq!(request.signature().unwrap(), text(&case, "signature"));
        });
    }
}

#[test]
fn headers_hold_the_same_parameters_as_the_other_library_sends() {
    for case in cases() {
        with_request(&case, |request| {
            let header = request.authorization().unwrap();
            assert_eq!(parameter_set(&header), parameter_set(text(&case, "authorization")));
        });
    }
}

#[test]
fn headers_of_the_other_library_are_accepted() {
    for case in cases() {
        let header = Authorization::parse(text(&case, "authorization")).unwrap();
        let target = Target::new(text(&case, "method"), text(&case, "url"));
        let consumer_secret = SecretString::from(text(&case, "consumer_secret"));
        let token_secret = SecretString::from(text(&case, "token_secret"));
        header.verify(target, &consumer_secret, Some(&token_secret)).unwrap();
        let other = SecretString::from("another secret");
        let refused = header.verify(target, &other, Some(&token_secret));
        assert_eq!(refused, Err(CheckError::WrongSignature));
        let refused = header.verify(target, &consumer_secret, Some(&other));
        assert_eq!(refused, Err(CheckError::WrongSignature));
    }
}

/// Section 3.4.1.1, without its signature, which is wrong according to an erratum.
#[test]
fn base_string_of_the_rfc_includes_query_and_form_body() {
    let header = r#"OAuth realm="Example",
        oauth_consumer_key="9djdj82h48djs9d2",
        oauth_token="kkk9d7dh3k39sjv7",
        oauth_signature_method="HMAC-SHA1",
        oauth_timestamp="137131201",
        oauth_nonce="7d8f3e4a",
        oauth_signature="bYT5CMsGcbgUdFHObYMEfcx6bsw%3D""#;
    let target = Target {
        method: "POST",
        url: "http://EXAMPLE.COM:80/request?b5=%3D%253D&a3=a&c%40=&a2=r%20b",
        form: Some("c2&a3=2+q"),
    };
    let header = Authorization::parse(header).unwrap();
    assert_eq!(
        header.signature_base_string(target).unwrap(),
        "POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D\
         %253D%25253D%26c%2540%3D%26c2%3D%26oauth_consumer_key%3D9djdj82h48djs9d2%26oauth_nonce\
         %3D7d8f3e4a%26oauth_signature_method%3DHMAC-SHA1%26oauth_timestamp%3D137131201%26oauth_\
         token%3Dkkk9d7dh3k39sjv7",
    );
}

/// Section 1.2, the three HMAC-SHA1 requests of the printing example.
#[test]
fn requests_of_the_rfc_are_accepted() {
    let consumer_secret = SecretString::from("kd94hf93k423kf44");
    let initiate = r#"OAuth realm="Photos",
        oauth_consumer_key="dpf43f3p2l4k3l03",
        oauth_signature_method="HMAC-SHA1",
        oauth_timestamp="137131200",
        oauth_nonce="wIjqoS",
        oauth_callback="http%3A%2F%2Fprinter.example.com%2Fready",
        oauth_signature="74KNZJeDHnMBp0EMJ9ZHt%2FXKycU%3D""#;
    Authorization::parse(initiate)
        .unwrap()
        .verify(Target::new("POST", "https://photos.example.net/initiate"), &consumer_secret, None)
        .unwrap();
    let token = r#"OAuth realm="Photos",
        oauth_consumer_key="dpf43f3p2l4k3l03",
        oauth_token="hh5s93j4hdidpola",
        oauth_signature_method="HMAC-SHA1",
        oauth_timestamp="137131201",
        oauth_nonce="walatlh",
        oauth_verifier="hfdp7dh39dks9884",
        oauth_signature="gKgrFCywp7rO0OXSjdot%2FIHF7IU%3D""#;
    Authorization::parse(token)
        .unwrap()
        .verify(
            Target::new("POST", "https://photos.example.net/token"),
            &consumer_secret,
            Some(&SecretString::from("hdhd0244k9j7ao03")),
        )
        .unwrap();
    let photos = r#"OAuth realm="Photos",
        oauth_consumer_key="dpf43f3p2l4k3l03",
        oauth_token="nnch734d00sl2jdk",
        oauth_signature_method="HMAC-SHA1",
        oauth_timestamp="137131202",
        oauth_nonce="chapoH",
        oauth_signature="MdpQcU8iPSUjWoN%2FUDMsK2sui9I%3D""#;
    let url = "http://photos.example.net/photos?file=vacation.jpg&size=original";
    Authorization::parse(photos)
        .unwrap()
        .verify(
            Target::new("GET", url),
            &consumer_secret,
            Some(&SecretString::from("pfkkdhi9sl3r4s00")),
        )
        .unwrap();
}
