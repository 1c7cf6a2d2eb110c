//! Several keys, and why a token is refused.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]

use std::time::Duration;

use discogsography_token::{
    Claims, Inspection, Key, Keys, Outcome, Part, Rule, Signer, TokenError,
};
use jsonwebtoken::{EncodingKey, Header};
use proptest::prelude::{any, proptest};
use serde_json::{Value, json};
use uuid::Uuid;

const NOW: Duration = Duration::from_secs(1_790_000_000);
const SECRETS: [&[u8]; 3] = [
    b"current-0123456789abcdef01234567",
    b"previous-0123456789abcdef0123456",
    b"oldest-0123456789abcdef012345678",
];

fn keys() -> Keys {
    let [current, previous @ ..] = SECRETS.map(Key::new);
    Keys::new(current, previous.to_vec())
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

/// Signs these claims with the current key.
fn token_with(payload: &Value) -> String {
    let key = EncodingKey::from_secret(SECRETS[0]);
    jsonwebtoken::encode(&Header::default(), payload, &key).unwrap()
}

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../../tests/vectors/tokens.json")).unwrap()
}

fn tokens(vectors: &Value, list: &str) -> Vec<String> {
    let cases = vectors[list].as_array().unwrap();
    assert!(!cases.is_empty());
    cases.iter().map(|case| case["token"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_token_of_every_key_is_accepted_and_its_key_is_known() {
    let signers = [Signer::Current, Signer::Previous(1), Signer::Previous(2)];
    for (secret, signer) in SECRETS.into_iter().zip(signers) {
        let token = Key::new(secret).sign(&claims());
        assert_eq!(keys().verify(&token, NOW).unwrap().sub, claims().sub);
        assert_eq!(keys().signer(&token), Ok(signer));
    }
    let unknown = Key::new(b"another").sign(&claims());
    assert_eq!(keys().verify(&unknown, NOW), Err(TokenError::WrongSignature));
    assert_eq!(keys().signer(&unknown), Err(TokenError::WrongSignature));
}

#[test]
fn only_the_current_key_signs() {
    let token = keys().sign(&claims());
    assert_eq!(token, Key::new(SECRETS[0]).sign(&claims()));
    for previous in &SECRETS[1..] {
        let verified = Key::new(previous).verify(&token, NOW);
        assert_eq!(verified, Err(TokenError::WrongSignature));
    }
}

#[test]
fn a_token_of_a_previous_key_expires_like_any_other() {
    let token = Key::new(SECRETS[1]).sign(&claims());
    let at_exp = keys().verify(&token, Duration::from_secs(claims().exp));
    assert_eq!(at_exp, Err(TokenError::Expired));
    assert_eq!(keys().signer(&token), Ok(Signer::Previous(1)));
}

#[test]
fn previous_keys_follow_every_vector() {
    let vectors = vectors();
    let secret = Key::new(vectors["secret"].as_str().unwrap().as_bytes());
    let keys = Keys::new(Key::new(SECRETS[0]), vec![secret.clone()]);
    for list in ["accept", "refuse"] {
        for token in tokens(&vectors, list) {
            assert_eq!(keys.verify(&token, NOW), secret.verify(&token, NOW), "{token}");
        }
    }
}

#[test]
fn debug_of_keys_shows_no_secret() {
    let shown = format!("{:?}", keys());
    assert_eq!(
        shown,
        "Keys { current: Key([REDACTED]), previous: [Key([REDACTED]), Key([REDACTED])] }"
    );
}

#[test]
fn every_refusal_has_its_own_reason() {
    let good = keys().sign(&claims());
    let [header, payload, signature] = good.split('.').collect::<Vec<_>>()[..] else {
        panic!("{good}");
    };
    let none = "eyJhbGciOiJub25lIn0";
    let crit = "eyJhbGciOiJIUzI1NiIsImNyaXQiOltdfQ";
    for (token, error) in [
        ("nonsense".to_owned(), TokenError::NotThreeParts),
        (format!("{header}.{payload}"), TokenError::NotThreeParts),
        (format!("{good}.{signature}"), TokenError::NotThreeParts),
        (format!("{header}=.{payload}.{signature}"), TokenError::NotBase64(Part::Header)),
        (format!("{good}="), TokenError::NotBase64(Part::Signature)),
        (format!("W10.{payload}.{signature}"), TokenError::NotAnObject(Part::Header)),
        (format!("{none}.{payload}."), TokenError::OtherAlgorithm),
        (format!("{crit}.{payload}.{signature}"), TokenError::CriticalExtension),
        (format!("{header}.{payload}."), TokenError::WrongSignature),
        (token_with(&json!([1])), TokenError::NotAnObject(Part::Payload)),
        (token_with(&json!({ "type": null })), TokenError::OtherType),
        (token_with(&json!({ "sub": claims().sub })), TokenError::MissingClaim("exp")),
        (token_with(&json!({ "exp": "soon" })), TokenError::NotANumber("exp")),
        (token_with(&json!({ "exp": 1_790_000_000 })), TokenError::Expired),
        (token_with(&json!({ "exp": 1_790_000_001, "nbf": null })), TokenError::NotANumber("nbf")),
        (token_with(&json!({ "exp": 2e9, "nbf": 1_790_000_001 })), TokenError::NotYetValid),
        (token_with(&json!({ "exp": 2e9 })), TokenError::MissingClaim("sub")),
        (token_with(&json!({ "exp": 2e9, "sub": "alice" })), TokenError::NotAUserId),
    ] {
        assert_eq!(keys().verify(&token, NOW), Err(error), "{token}");
    }
}

/// Asserts that an inspection finds what the check finds, except for the signature.
#[track_caller]
fn assert_agreement(keys: &Keys, token: &str) {
    let inspection = Inspection::new(token, NOW);
    match keys.verify(token, NOW) {
        Ok(_) => assert!(!inspection.is_refused(), "{token}: {inspection:?}"),
        Err(TokenError::WrongSignature) => {}
        Err(error) => {
            let mut outcomes = inspection.rules.iter().map(|(_, outcome)| *outcome);
            assert!(outcomes.any(|it| it == Outcome::Broken(error)), "{token}: {inspection:?}");
        }
    }
    if !inspection.is_refused() {
        let error = keys.verify(token, NOW).err();
        assert!(error.is_none_or(|it| it == TokenError::WrongSignature), "{token}: {error:?}");
    }
}

#[test]
fn an_inspection_agrees_with_the_check() {
    let vectors = vectors();
    let secret = Key::new(vectors["secret"].as_str().unwrap().as_bytes());
    let keys = Keys::new(secret, Vec::new());
    for list in ["accept", "refuse"] {
        for token in tokens(&vectors, list) {
            assert_agreement(&keys, &token);
        }
    }
}

#[test]
fn an_inspection_shows_the_content_and_names_every_broken_rule() {
    let token = token_with(&json!({ "type": "admin", "exp": 1, "nbf": 2e9, "sub": 7 }));
    let inspection = Inspection::new(&token, NOW);
    assert_eq!(
        inspection.rules,
        [
            (Rule::Form, Outcome::Kept),
            (Rule::Header, Outcome::Kept),
            (Rule::Payload, Outcome::Kept),
            (Rule::Type, Outcome::Broken(TokenError::OtherType)),
            (Rule::Expiry, Outcome::Broken(TokenError::Expired)),
            (Rule::NotBefore, Outcome::Broken(TokenError::NotYetValid)),
            (Rule::User, Outcome::Broken(TokenError::NotAUserId)),
        ]
    );
    assert_eq!(inspection.header.unwrap()["alg"], "HS256");
    assert_eq!(inspection.claims.unwrap()["type"], "admin");
    let (header, _) = token.split_once('.').unwrap();
    let cut = Inspection::new(header, NOW);
    assert_eq!(cut.rules[0], (Rule::Form, Outcome::Broken(TokenError::NotThreeParts)));
    assert_eq!(cut.rules[1], (Rule::Header, Outcome::Kept));
    assert!(cut.rules[2..].iter().all(|(_, outcome)| *outcome == Outcome::Unknown), "{cut:?}");
    assert!(cut.header.is_some() && cut.claims.is_none());
}

proptest! {
    #[test]
    fn any_claims_are_inspected_as_they_are_checked(
        text in any::<String>(), number in any::<f64>(), begin in any::<Option<i64>>()
    ) {
        let mut payload = json!({ "sub": claims().sub, "exp": number, "email": text });
        if let Some(begin) = begin {
            payload["nbf"] = begin.into();
        }
        assert_agreement(&keys(), &token_with(&payload));
    }

    #[test]
    fn any_text_is_inspected_as_it_is_checked(text in any::<String>(), part in "[a-zA-Z0-9_-]{0,9}") {
        assert_agreement(&keys(), &text);
        assert_agreement(&keys(), &format!("{part}.{text}.{part}"));
        assert_agreement(&keys(), &keys().sign(&claims()).replacen('.', &format!("{part}."), 1));
    }
}
