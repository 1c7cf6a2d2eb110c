//! The four steps of a successful flow.

use discogs_sandbox::Identity;
use reqwest::Method;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::harness::{App, With, pairs_in, token_in};

#[tokio::test]
async fn a_whole_flow_ends_with_an_identity() {
    let app = App::start().await;
    let started = pairs_in(app.start_call().send().await.unwrap()).await;
    assert_eq!(started["oauth_callback_confirmed"], "true");
    assert_eq!(started["oauth_token"].len(), 40);
    assert_eq!(started.len(), 3);

    let token = app.access_token().await;
    assert_ne!(token.token, started["oauth_token"]);
    assert_eq!(token.secret.expose_secret().len(), 40);

    let response = app.identity_call(&token).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/json");
    let identity: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    assert_eq!(
        identity,
        json!({
            "id": 1001,
            "username": "sandbox_digger",
            "resource_url": app.url("/users/sandbox_digger"),
            "consumer_name": "Sandbox application",
        })
    );
}

#[tokio::test]
async fn a_request_token_can_be_requested_with_post() {
    let app = App::start().await;
    let path = "/oauth/request_token";
    let with = With { callback: Some("oob"), ..With::default() };
    let header = app.header(&Method::POST, path, with);
    let call = app.call(Method::POST, path, &header);
    assert_eq!(token_in(call.send().await.unwrap()).await.token.len(), 40);
}

#[tokio::test]
async fn any_user_can_approve() {
    let app = App::start().await;
    for (id, username) in [(u64::MAX, "Größe 日本 🎶".to_owned()), (1, "x".repeat(300))] {
        let token = app.request_token().await;
        let digger = Identity { id, username: username.clone() };
        let verifier = app.sandbox.approve_as(&token.token, digger).unwrap();
        let call = app.exchange_call(&token, &verifier);
        let token = token_in(call.send().await.unwrap()).await;
        let response = app.identity_call(&token).send().await.unwrap();
        let identity: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
        assert_eq!(identity["id"], json!(id));
        assert_eq!(identity["username"], json!(username));
    }
}

#[tokio::test]
async fn a_query_is_signed() {
    let app = App::start().await;
    let token = app.access_token().await;
    let path = "/oauth/identity?b=2&a=%C3%A9+x";
    let with = With { token: Some(&token), ..With::default() };
    let header = app.header(&Method::GET, path, with);
    let response = app.call(Method::GET, path, &header).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let header = app.header(&Method::GET, path, with);
    let other = app.call(Method::GET, "/oauth/identity?b=2", &header);
    assert_eq!(other.send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn two_sandboxes_in_one_process_are_independent() {
    let (one, other) = (App::start().await, App::start_with(|options| options.seed = 8).await);
    let token = one.request_token().await;
    assert!(other.sandbox.approve(&token.token).is_err());
    assert!(one.sandbox.approve(&token.token).is_ok());
}
