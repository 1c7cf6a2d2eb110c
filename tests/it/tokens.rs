//! Access tokens over HTTP: where they are read from, and which are valid.
//!
//! Also what other services read in the tokens that this service issues.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use discogsography_api::clock::Timestamp;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::harness::actor::send;
use crate::harness::app::JWT_SECRET_KEY;
use crate::harness::{
    Actor, Answer, PASSWORD, Setup, TestApp, on_both_compositions, on_both_setups, user_json,
};

on_both_compositions!(
    every_token_to_accept_is_accepted,
    every_token_to_refuse_is_rejected,
    a_request_without_a_bearer_token_is_not_authenticated,
    the_scheme_is_matched_in_any_case,
    two_authorization_headers_are_invalid,
    text_that_is_not_a_token_is_an_invalid_token,
    tokens_are_read_from_the_header_only,
    a_token_of_another_library_is_accepted,
    a_token_has_exactly_the_shared_header_and_claims,
    another_service_verifies_an_issued_token_by_itself,
);

on_both_setups!(the_life_of_a_token_is_configured, a_previous_secret_is_accepted_and_never_signs);

/// The user of the test vectors.
const SUB: &str = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff";

fn vectors() -> Value {
    let vectors: Value = serde_json::from_str(include_str!("../vectors/tokens.json")).unwrap();
    assert_eq!(vectors["secret"], JWT_SECRET_KEY);
    vectors
}

/// Creates the user of the test vectors.
async fn add_digger(app: &TestApp) {
    let epoch = if app.stores.servers.is_some() { "to_timestamp(0)" } else { "0" };
    app.sql(&format!(
        "insert into users (id, email, hashed_password, created_at, updated_at)
         values ('{SUB}', 'digger@example.com', 'x', {epoch}, {epoch})"
    ))
    .await;
}

fn assert_is_digger(answer: &Answer) {
    let digger = user_json(SUB, "digger@example.com", "1970-01-01T00:00:00.000000+00:00");
    answer.assert(200, &digger);
}

fn assert_not_authenticated(answer: &Answer) {
    answer.assert_error(401, "not_authenticated", "Not authenticated");
}

fn assert_invalid(answer: &Answer) {
    answer.assert_error(401, "invalid_token", "Invalid or expired token");
}

/// Calls `me` with this `Authorization` header.
async fn me_with(app: &TestApp, authorization: impl AsRef<[u8]>) -> Answer {
    let request = app.anonymous().request(Method::GET, "/api/auth/me");
    send(request.header("authorization", authorization.as_ref())).await
}

async fn every_token_to_accept_is_accepted(app: TestApp) {
    add_digger(&app).await;
    for case in vectors()["accept"].as_array().unwrap() {
        let me = app.anonymous().with_token(case["token"].as_str().unwrap()).me().await;
        assert_eq!(me.status, 200, "{}", case["why"]);
        assert_is_digger(&me);
    }
}

async fn every_token_to_refuse_is_rejected(app: TestApp) {
    add_digger(&app).await;
    let vectors = vectors();
    let cases = vectors["refuse"].as_array().unwrap();
    assert!(cases.len() > 40, "only {} tokens", cases.len());
    for case in cases {
        let token = case["token"].as_str().unwrap();
        let me = app.anonymous().with_token(token).me().await;
        assert_eq!(me.status, 401, "{}", case["why"]);
        if token.is_empty() { assert_not_authenticated(&me) } else { assert_invalid(&me) }
    }
}

async fn a_request_without_a_bearer_token_is_not_authenticated(app: TestApp) {
    let token = app.user("alice").await.token.unwrap();
    assert_not_authenticated(&app.anonymous().me().await);
    let others = [
        String::new(),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        "Bearer \t ".to_owned(),
        "Basic ZGlnZ2VyOnNlY3JldA==".to_owned(),
        format!("Token {token}"),
        format!("Basic {token}"),
        format!("Bearer:{token}"),
        format!("BearerX {token}"),
        format!("JWT {token}"),
        token,
    ];
    for other in others {
        assert_not_authenticated(&me_with(&app, &other).await);
    }
}

async fn the_scheme_is_matched_in_any_case(app: TestApp) {
    let token = app.user("alice").await.token.unwrap();
    for scheme in ["Bearer", "bearer", "BEARER", "bEaReR", "Bearer  "] {
        assert_eq!(me_with(&app, format!("{scheme} {token}")).await.status, 200, "{scheme}");
    }
}

async fn two_authorization_headers_are_invalid(app: TestApp) {
    let alice = app.user("alice").await;
    let authorization = format!("Bearer {}", alice.token.as_deref().unwrap());
    for second in [&authorization, "Basic ZGlnZ2VyOnNlY3JldA==", ""] {
        let request = app.anonymous().request(Method::GET, "/api/auth/me");
        let request = request.header("authorization", &authorization);
        assert_invalid(&send(request.header("authorization", second)).await);
    }
}

async fn text_that_is_not_a_token_is_an_invalid_token(app: TestApp) {
    let token = app.user("alice").await.token.unwrap();
    assert_invalid(&me_with(&app, format!("Bearer {}", "x".repeat(60_000))).await);
    assert_invalid(&me_with(&app, format!("Bearer {token} {token}")).await);
    assert_invalid(&me_with(&app, format!("Bearer {token},")).await);
    assert_invalid(&me_with(&app, format!("Bearer \"{token}\"")).await);
    assert_invalid(&me_with(&app, b"Bearer \xff\xfe").await);
    assert_invalid(&me_with(&app, "Bearer ü.ü.ü").await);
}

async fn tokens_are_read_from_the_header_only(app: TestApp) {
    let token = app.user("alice").await.token.unwrap();
    let path = format!("/api/auth/me?access_token={token}&token={token}&Authorization={token}");
    let request = app.anonymous().request(Method::GET, &path);
    let request = request.header("cookie", format!("access_token={token}; session={token}"));
    let request = request.header("x-access-token", &token);
    let request = request.header("proxy-authorization", format!("Bearer {token}"));
    assert_not_authenticated(&send(request).await);
}

async fn a_token_of_another_library_is_accepted(app: TestApp) {
    add_digger(&app).await;
    let now = app.clock.now().as_seconds();
    let claims = json!({ "sub": SUB, "email": "old@example.com", "iat": now, "exp": now + 60 });
    let header = Header::new(Algorithm::HS256);
    let key = EncodingKey::from_secret(JWT_SECRET_KEY.as_bytes());
    let token = jsonwebtoken::encode(&header, &claims, &key).unwrap();
    let digger = app.anonymous().with_token(&token);
    assert_is_digger(&digger.me().await);
    app.clock.advance(Duration::from_secs(60));
    assert_invalid(&digger.me().await);
}

fn decoded(part: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(part).unwrap()
}

fn claims(token: &str) -> Value {
    serde_json::from_slice(&decoded(token.split('.').nth(1).unwrap())).unwrap()
}

async fn a_token_has_exactly_the_shared_header_and_claims(app: TestApp) {
    let alice = app.user("alice").await;
    let token = alice.token.clone().unwrap();
    assert_eq!(decoded(token.split('.').next().unwrap()), br#"{"alg":"HS256","typ":"JWT"}"#);
    let now = app.clock.now().as_seconds();
    let jti = claims(&token)["jti"].clone();
    assert_eq!(
        claims(&token),
        json!({
            "sub": alice.id,
            "email": "alice@example.com",
            "iat": now,
            "exp": now + 86_400,
            "jti": jti,
        })
    );
    assert!(jti.as_str().unwrap().len() >= 16, "{jti}");
    let again = alice.sign_in(&alice.email, PASSWORD).await;
    assert_ne!(claims(&again.token.unwrap())["jti"], jti);
}

/// Verifies a token as Curator does: the MAC over the two parts as sent, then `exp`.
fn other_service_accepts(token: &str, now: Timestamp) -> bool {
    let [header, payload, signature] = token.split('.').collect::<Vec<_>>()[..] else {
        return false;
    };
    let mac = Hmac::<Sha256>::new_from_slice(JWT_SECRET_KEY.as_bytes()).unwrap();
    let mac = mac.chain_update(format!("{header}.{payload}"));
    let Ok(signature) = URL_SAFE_NO_PAD.decode(signature) else {
        return false;
    };
    mac.verify_slice(&signature).is_ok()
        && claims(token)["exp"].as_u64().is_some_and(|exp| exp > now.as_seconds())
}

async fn another_service_verifies_an_issued_token_by_itself(app: TestApp) {
    let token = app.user("alice").await.token.unwrap();
    let now = app.clock.now();
    assert!(other_service_accepts(&token, now));
    assert!(other_service_accepts(&token, now.plus(Duration::from_secs(86_399))));
    assert!(!other_service_accepts(&token, now.plus(Duration::from_secs(86_400))));
    assert!(!other_service_accepts(&token.replacen("eyJ", "eyK", 1), now));
}

async fn the_life_of_a_token_is_configured(setup: Setup) {
    let app = setup.with("JWT_EXPIRE_MINUTES", "1").start().await;
    let alice: Actor = app.user("alice").await;
    let login = app.anonymous().login(&alice.email, PASSWORD).await;
    let token = login.json()["access_token"].clone();
    let expected = json!({ "access_token": token, "token_type": "bearer", "expires_in": 60 });
    login.assert(200, &expected);
    let claims = claims(token.as_str().unwrap());
    assert_eq!(claims["exp"], json!(app.clock.now().as_seconds() + 60));
    app.clock.advance(Duration::from_secs(60));
    assert_invalid(&alice.me().await);
}

async fn a_previous_secret_is_accepted_and_never_signs(setup: Setup) {
    let previous = ["previous-0123456789abcdef0123456", "oldest-0123456789abcdef012345678"];
    let app = setup.with("JWT_SECRET_KEY_PREVIOUS", &previous.join(",")).start().await;
    add_digger(&app).await;
    let now = app.clock.now();
    let claims = json!({ "sub": SUB, "exp": now.as_seconds() + 60 });
    let signed = |secret: &str| {
        let key = EncodingKey::from_secret(secret.as_bytes());
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).unwrap()
    };
    for secret in [JWT_SECRET_KEY].into_iter().chain(previous) {
        assert_is_digger(&app.anonymous().with_token(&signed(secret)).me().await);
    }
    for secret in ["another-0123456789abcdef01234567", &previous.join(",")] {
        assert_invalid(&app.anonymous().with_token(&signed(secret)).me().await);
    }
    let alice = app.user("alice").await;
    assert!(other_service_accepts(&alice.token.unwrap(), now));
    app.clock.advance(Duration::from_secs(60));
    assert_invalid(&app.anonymous().with_token(&signed(previous[0])).me().await);
}
