//! Tokens made with other libraries: what must be accepted, and what must be refused.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]

use std::time::Duration;

use discogsography_token::{Claims, Key, TokenError};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use proptest::prelude::{any, proptest};
use serde_json::{Value, json};
use uuid::Uuid;

const NOW: Duration = Duration::from_secs(1_790_000_000);
const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef-shared-secret";

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../../tests/vectors/tokens.json")).unwrap()
}

fn claims() -> Claims {
    Claims {
        sub: Uuid::from_u128(0x6f96_19ff_8b86_4d01_b42d_00cf_4fc9_64ff),
        email: "digger@example.com".to_owned(),
        iat: 1_790_000_000,
        exp: 1_790_086_400,
        jti: "00112233445566778899aabbccddeeff".to_owned(),
    }
}

#[test]
fn every_token_to_accept_is_accepted() {
    let vectors = vectors();
    let key = Key::new(vectors["secret"].as_str().unwrap().as_bytes());
    let accept = vectors["accept"].as_array().unwrap();
    assert!(!accept.is_empty());
    for case in accept {
        let verified = key.verify(case["token"].as_str().unwrap(), NOW);
        let verified = verified.unwrap_or_else(|error| panic!("{}: {error}", case["why"]));
        let sub = case["claims"]["sub"].as_str().unwrap();
        assert_eq!(verified.sub, Uuid::parse_str(sub).unwrap(), "{}", case["why"]);
        assert_eq!(verified.email.as_deref(), case["claims"]["email"].as_str(), "{}", case["why"]);
    }
}

#[test]
fn the_time_of_issue_and_the_id_are_read_tolerantly() {
    let verified = |iat: Value, jti: Value| {
        let claims =
            json!({ "sub": claims().sub, "exp": NOW.as_secs() + 60, "iat": iat, "jti": jti });
        let key = EncodingKey::from_secret(SECRET);
        let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).unwrap();
        let verified = Key::new(SECRET).verify(&token, NOW).unwrap();
        (verified.iat, verified.jti)
    };
    let id = Some("any id".to_owned());
    assert_eq!(verified(json!(1_789_999_999), json!("any id")), (Some(1_789_999_999), id));
    assert_eq!(verified(json!(1_789_999_999.9), Value::Null), (Some(1_789_999_999), None));
    assert_eq!(verified(json!(-0.5), json!("")), (Some(-1), Some(String::new())));
    assert_eq!(verified(json!(u64::MAX), json!(7)), (Some(i64::MAX), None));
    assert_eq!(verified(json!("1789999999"), json!({})), (None, None));
}

#[test]
fn every_token_to_refuse_is_refused() {
    let vectors = vectors();
    let key = Key::new(vectors["secret"].as_str().unwrap().as_bytes());
    let refuse = vectors["refuse"].as_array().unwrap();
    assert!(!refuse.is_empty());
    for case in refuse {
        let verified = key.verify(case["token"].as_str().unwrap(), NOW);
        assert!(verified.is_err(), "{}: {verified:?}", case["why"]);
    }
}

#[test]
fn header_and_claims_are_exactly_the_shared_ones() {
    let token = Key::new(SECRET).sign(&claims());
    let parts: Vec<_> = token.split('.').map(decoded).collect();
    assert_eq!(parts[0], r#"{"alg":"HS256","typ":"JWT"}"#.as_bytes());
    assert_eq!(
        serde_json::from_slice::<Value>(&parts[1]).unwrap(),
        json!({
            "sub": "6f9619ff-8b86-4d01-b42d-00cf4fc964ff",
            "email": "digger@example.com",
            "iat": 1_790_000_000,
            "exp": 1_790_086_400,
            "jti": "00112233445566778899aabbccddeeff",
        })
    );
}

fn decoded(part: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).unwrap()
}

#[test]
fn another_library_accepts_our_token() {
    let token = Key::new(SECRET).sign(&claims());
    let mut validation = Validation::new(Algorithm::HS256);
    validation.validate_exp = false;
    let read =
        jsonwebtoken::decode::<Value>(&token, &DecodingKey::from_secret(SECRET), &validation);
    assert_eq!(read.unwrap().claims, serde_json::to_value(claims()).unwrap());
}

#[test]
fn we_accept_another_librarys_token() {
    let key = EncodingKey::from_secret(SECRET);
    let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims(), &key).unwrap();
    assert_eq!(Key::new(SECRET).verify(&token, NOW).unwrap().sub, claims().sub);
}

/// RFC 8725 section 3.10: an attacker may name any key in a header.
#[test]
fn no_key_is_taken_out_of_the_header() {
    let theirs = b"a-key-of-somebody-else-with-32-bytes-or-more";
    let set = r#"{"keys":[{"kty":"oct","k":"YS1rZXktb2Ytc29tZWJvZHk"}]}"#;
    for header in [
        json!({ "kid": "../../dev/null" }),
        json!({ "jwk": { "kty": "oct", "k": "YS1rZXktb2Ytc29tZWJvZHktZWxzZS13aXRoLTMyLWJ5dGVzLW9yLW1vcmU" } }),
        json!({ "jku": format!("data:application/json,{set}"), "x5u": "https://evil.example/" }),
    ] {
        let token = signed_with_header(&header, theirs);
        assert_eq!(
            Key::new(SECRET).verify(&token, NOW),
            Err(TokenError::WrongSignature),
            "{header}"
        );
        assert!(Key::new(theirs).verify(&token, NOW).is_ok(), "{header}");
    }
}

/// A token with more in its header.
fn signed_with_header(more: &Value, secret: &[u8]) -> String {
    use base64::Engine as _;
    let encode = |text: String| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
    let mut header = json!({ "alg": "HS256", "typ": "JWT" });
    header.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let claims = serde_json::to_string(&claims()).unwrap();
    let signed = format!("{}.{}", encode(header.to_string()), encode(claims));
    let key = EncodingKey::from_secret(secret);
    let mac = jsonwebtoken::crypto::sign(signed.as_bytes(), &key, Algorithm::HS256).unwrap();
    format!("{signed}.{mac}")
}

#[test]
fn a_token_is_good_until_the_instant_of_exp() {
    let key = Key::new(SECRET);
    let token = key.sign(&claims());
    assert!(key.verify(&token, Duration::from_millis(1_790_086_399_999)).is_ok());
    let at_exp = key.verify(&token, Duration::from_secs(1_790_086_400));
    assert_eq!(at_exp, Err(TokenError::Expired));
}

/// Signs the usual claims together with these.
fn signed_with(more: &Value) -> String {
    let mut payload = serde_json::to_value(claims()).unwrap();
    payload.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let key = EncodingKey::from_secret(SECRET);
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &payload, &key).unwrap()
}

#[test]
fn a_token_is_good_from_the_instant_of_nbf() {
    let key = Key::new(SECRET);
    let token = signed_with(&json!({ "nbf": 1_790_000_060 }));
    let before = key.verify(&token, Duration::from_millis(1_790_000_059_999));
    assert_eq!(before, Err(TokenError::NotYetValid));
    assert!(key.verify(&token, Duration::from_secs(1_790_000_060)).is_ok());
    let malformed = signed_with(&json!({ "nbf": "1700000000" }));
    assert_eq!(key.verify(&malformed, NOW), Err(TokenError::NotANumber("nbf")));
}

#[test]
fn a_token_with_a_type_is_no_access_token() {
    for value in [json!("2fa_challenge"), json!("admin"), json!(""), Value::Null, json!(1)] {
        let token = signed_with(&json!({ "type": value }));
        assert_eq!(Key::new(SECRET).verify(&token, NOW), Err(TokenError::OtherType), "{value}");
    }
}

#[test]
fn debug_of_a_key_shows_no_secret() {
    assert_eq!(format!("{:?}", Key::new(SECRET)), "Key([REDACTED])");
}

proptest! {
    #[test]
    fn any_email_survives_signing_and_checking(email in any::<String>(), exp in 1_790_000_001_u64..4_102_444_800) {
        let key = Key::new(SECRET);
        let token = key.sign(&Claims { email: email.clone(), exp, ..claims() });
        assert_eq!(key.verify(&token, NOW).unwrap().email, Some(email));
    }

    #[test]
    fn any_changed_byte_is_refused(position in 0_usize..300, other in 33_u8..127) {
        let key = Key::new(SECRET);
        let mut token = key.sign(&claims()).into_bytes();
        let position = position % token.len();
        if token[position] != other {
            token[position] = other;
            assert!(key.verify(&String::from_utf8(token).unwrap(), NOW).is_err());
        }
    }

    #[test]
    fn no_text_makes_the_check_panic(text in any::<String>()) {
        assert!(Key::new(SECRET).verify(&text, NOW).is_err());
    }
}
