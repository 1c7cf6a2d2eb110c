//! Which calls the sandbox refuses, and with which text.

use std::time::Duration;

use discogs_sandbox::{BadSignature, RefusedStatus, TokenSteps};
use oauth1::{Consumer, Token};
use reqwest::Method;
use secrecy::SecretString;

use crate::harness::{App, USER_AGENT, With, assert_message, assert_plain};

const START: &str = "/oauth/request_token";
const UNKNOWN_TOKEN: &str = "The request token is unknown, has expired, or was exchanged before.";
const UNAUTHENTICATED: &str = "You must authenticate to access this resource.";

const OOB: With<'_> = With { token: None, callback: Some("oob"), verifier: None };

async fn start_with_header(app: &App, header: &str) -> reqwest::Response {
    app.call(Method::GET, START, header).send().await.unwrap()
}

fn with_other_secret(token: &Token) -> Token {
    Token { token: token.token.clone(), secret: SecretString::from("another secret") }
}

#[tokio::test]
async fn a_call_without_user_agent_is_refused() {
    let app = App::start().await;
    for agent in [None, Some(" ")] {
        let header = app.header(&Method::GET, START, OOB);
        let call = app.client.get(app.url(START)).header("authorization", header);
        let call = match agent {
            Some(agent) => call.header("user-agent", agent),
            None => call,
        };
        let text = "Please send a User-Agent header that is unique to your application.";
        assert_plain(call.send().await.unwrap(), 403, text).await;
    }
}

#[tokio::test]
async fn an_unknown_consumer_is_refused() {
    let app = App::start().await;
    let stranger =
        Consumer { key: "stranger".to_owned(), secret: SecretString::from("sandbox-secret") };
    let header = app.header_by(&stranger, &Method::GET, START, OOB);
    assert_plain(start_with_header(&app, &header).await, 401, "Invalid consumer.").await;
}

#[tokio::test]
async fn a_wrong_consumer_secret_is_refused() {
    let app = App::start().await;
    let wrong = Consumer { key: "sandbox-key".to_owned(), secret: SecretString::from("wrong") };
    let header = app.header_by(&wrong, &Method::GET, START, OOB);
    assert_plain(start_with_header(&app, &header).await, 401, "Invalid signature.").await;
}

#[tokio::test]
async fn calls_without_oauth_parameters_are_refused() {
    let app = App::start().await;
    let missing = "Parameter not found: oauth_consumer_key";
    let call = app.client.get(app.url(START)).header("user-agent", USER_AGENT);
    assert_plain(call.send().await.unwrap(), 401, missing).await;
    assert_plain(start_with_header(&app, "Bearer x").await, 401, missing).await;
    assert_plain(start_with_header(&app, "OAuth oauth_nonce=\"x\"").await, 401, missing).await;
    let header = app.header(&Method::GET, START, OOB);
    for name in ["oauth_nonce", "oauth_timestamp", "oauth_signature_method", "oauth_signature"] {
        let header = header.replace(&format!("{name}="), "other=");
        let missing = format!("Parameter not found: {name}");
        assert_plain(start_with_header(&app, &header).await, 401, &missing).await;
    }
}

#[tokio::test]
async fn malformed_oauth_requests_are_refused() {
    let app = App::start().await;
    let header = app.header(&Method::GET, START, OOB);
    let now = app.now().to_string();
    for (from, to, why) in [
        ("\"1.0\"", "\"2.0\"", "unsupported OAuth version"),
        ("HMAC-SHA1", "HMAC-SHA256", "unsupported signature method"),
        (now.as_str(), "now", "oauth_timestamp must be a number of seconds"),
        ("oauth_nonce=\"", "oauth_nonce=\"%z", "malformed Authorization header"),
        ("oauth_version", "oauth_nonce", "parameter given twice: oauth_nonce"),
    ] {
        let header = header.replace(from, to);
        let text = format!("The OAuth request could not be understood: {why}.");
        assert_plain(start_with_header(&app, &header).await, 400, &text).await;
    }
}

#[tokio::test]
async fn a_callback_must_be_out_of_band() {
    let app = App::start().await;
    let text = "The OAuth request could not be understood: \
                oauth_callback must be oob; this sandbox knows no other.";
    for callback in ["", "OOB", "https://example.com/ready"] {
        let with = With { callback: Some(callback), ..With::default() };
        let header = app.header(&Method::GET, START, with);
        assert_plain(start_with_header(&app, &header).await, 400, text).await;
    }
}

#[tokio::test]
async fn two_authorization_headers_are_refused() {
    let app = App::start().await;
    let header = app.header(&Method::GET, START, OOB);
    let call = app.call(Method::GET, START, &header).header("authorization", "Bearer x");
    let text = "The OAuth request could not be understood: more than one Authorization header.";
    assert_plain(call.send().await.unwrap(), 400, text).await;
}

#[tokio::test]
async fn a_nonce_is_bounded() {
    let nonce = |length: usize| format!("oauth_nonce=\"{}\", other=\"", "x".repeat(length));
    let text = |longest: usize| {
        format!(
            "The OAuth request could not be understood: \
             oauth_nonce must have 1 to {longest} characters."
        )
    };
    for (reading, longest) in [(TokenSteps::Strict, 64), (TokenSteps::Lenient, 128)] {
        let app = App::start_with(|options| options.token_steps = reading).await;
        let header = app.header(&Method::GET, START, OOB);
        for length in [0, longest + 1] {
            let header = header.replace("oauth_nonce=\"", &nonce(length));
            assert_plain(start_with_header(&app, &header).await, 400, &text(longest)).await;
        }
        // The nonce is valid, but not the signed one.
        let header = header.replace("oauth_nonce=\"", &nonce(longest));
        assert_plain(start_with_header(&app, &header).await, 401, "Invalid signature.").await;
    }
}

#[tokio::test]
async fn a_nonce_is_valid_once() {
    let app = App::start().await;
    let header = app.header(&Method::GET, START, OOB);
    assert_eq!(start_with_header(&app, &header).await.status(), 200);
    let text = "This oauth_nonce was used before.";
    assert_plain(start_with_header(&app, &header).await, 401, text).await;
}

#[tokio::test]
async fn a_timestamp_is_valid_for_five_minutes() {
    let app = App::start().await;
    let (first, second) =
        (app.header(&Method::GET, START, OOB), app.header(&Method::GET, START, OOB));
    app.pass(Duration::from_mins(5));
    assert_eq!(start_with_header(&app, &first).await.status(), 200);
    app.pass(Duration::from_secs(1));
    let text = "This oauth_timestamp is too far from the present.";
    assert_plain(start_with_header(&app, &second).await, 401, text).await;
}

#[tokio::test]
async fn milliseconds_are_accepted_only_where_tokens_are_issued() {
    let stale = "This oauth_timestamp is too far from the present.";
    for reading in [TokenSteps::Strict, TokenSteps::Lenient] {
        let app = App::start_with(|options| options.token_steps = reading).await;
        let (seconds, token) = (app.now().to_string(), app.access_token().await);
        let in_milliseconds = |header: &str| header.replace(&seconds, &format!("{seconds}000"));
        let header = in_milliseconds(&app.header(&Method::GET, START, OOB));
        let answer = start_with_header(&app, &header).await;
        // The timestamp is recent, but not the signed one.
        let text = if reading == TokenSteps::Lenient { "Invalid signature." } else { stale };
        assert_plain(answer, 401, text).await;

        let path = "/oauth/identity";
        let with = With { token: Some(&token), ..With::default() };
        let header = in_milliseconds(&app.header(&Method::GET, path, with));
        let answer = app.call(Method::GET, path, &header).send().await.unwrap();
        assert_message(answer, 401, UNAUTHENTICATED).await;
    }
}

#[tokio::test]
async fn a_request_token_is_exchanged_once() {
    let app = App::start().await;
    let token = app.request_token().await;
    let verifier = app.sandbox.approve(&token.token).unwrap();
    let first = app.exchange_call(&token, &verifier).send().await.unwrap();
    assert_eq!(first.status(), 200);
    let second = app.exchange_call(&token, &verifier).send().await.unwrap();
    assert_plain(second, 400, UNKNOWN_TOKEN).await;
}

#[tokio::test]
async fn a_request_token_is_valid_for_fifteen_minutes() {
    let app = App::start().await;
    let token = app.request_token().await;
    let verifier = app.sandbox.approve(&token.token).unwrap();
    app.pass(Duration::from_mins(15));
    let late = app.exchange_call(&token, &verifier).send().await.unwrap();
    assert_plain(late, 400, UNKNOWN_TOKEN).await;
}

#[tokio::test]
async fn an_unanswered_request_token_is_not_exchanged() {
    let app = App::start().await;
    let token = app.request_token().await;
    let early = app.exchange_call(&token, "ABCDEFGHIJ").send().await.unwrap();
    assert_plain(early, 400, "The user has not yet authorized this request token.").await;
}

#[tokio::test]
async fn the_options_decide_the_answer_to_a_denied_request_token() {
    for (reading, status) in [(RefusedStatus::BadRequest, 400), (RefusedStatus::Unauthorized, 401)]
    {
        let app = App::start_with(|options| options.refused_status = reading).await;
        let token = app.request_token().await;
        app.sandbox.deny(&token.token).unwrap();
        let denied = app.exchange_call(&token, "ABCDEFGHIJ").send().await.unwrap();
        assert_plain(denied, status, "The user has denied access.").await;
    }
}

#[tokio::test]
async fn a_request_token_may_survive_a_wrong_verifier() {
    let wrong = "The oauth_verifier is not the one the user was shown.";
    for survived in [0, 1] {
        let app = App::start_with(|options| options.wrong_verifiers_survived = survived).await;
        let token = app.request_token().await;
        let verifier = app.sandbox.approve(&token.token).unwrap();
        let refused = app.exchange_call(&token, "wrong").send().await.unwrap();
        assert_plain(refused, 400, wrong).await;
        let second = app.exchange_call(&token, &verifier).send().await.unwrap();
        if survived == 0 {
            assert_plain(second, 400, UNKNOWN_TOKEN).await;
        } else {
            assert_eq!(second.status(), 200);
        }
    }
}

#[tokio::test]
async fn an_exchange_needs_token_verifier_and_the_right_secret() {
    let app = App::start().await;
    let path = "/oauth/access_token";
    let header = app.header(&Method::POST, path, With::default());
    let bare = app.call(Method::POST, path, &header).send().await.unwrap();
    let text = "The OAuth request could not be understood: oauth_token is missing.";
    assert_plain(bare, 400, text).await;

    let token = app.request_token().await;
    let with = With { token: Some(&token), ..With::default() };
    let header = app.header(&Method::POST, path, with);
    let bare = app.call(Method::POST, path, &header).send().await.unwrap();
    let text = "The OAuth request could not be understood: oauth_verifier is missing.";
    assert_plain(bare, 400, text).await;

    let forged = app.exchange_call(&with_other_secret(&token), "ABCDEFGHIJ");
    assert_plain(forged.send().await.unwrap(), 401, "Invalid signature.").await;
}

#[tokio::test]
async fn identity_needs_a_valid_access_token() {
    let app = App::start().await;
    let path = app.url("/oauth/identity");
    let anonymous = app.client.get(path).header("user-agent", USER_AGENT);
    assert_message(anonymous.send().await.unwrap(), 401, UNAUTHENTICATED).await;
    let request_token = app.request_token().await;
    let refused = app.identity_call(&request_token).send().await.unwrap();
    assert_message(refused, 401, UNAUTHENTICATED).await;
    let token = app.access_token().await;
    assert!(app.sandbox.revoke(&token.token));
    let revoked = app.identity_call(&token).send().await.unwrap();
    assert_message(revoked, 401, UNAUTHENTICATED).await;
}

#[tokio::test]
async fn the_options_decide_the_answer_to_a_wrong_signature_at_identity() {
    for reading in [BadSignature::Anonymous, BadSignature::Refused, BadSignature::Ignored] {
        let app = App::start_with(|options| options.bad_signature = reading).await;
        let token = with_other_secret(&app.access_token().await);
        let response = app.identity_call(&token).send().await.unwrap();
        match reading {
            BadSignature::Anonymous => assert_message(response, 401, UNAUTHENTICATED).await,
            BadSignature::Refused => assert_plain(response, 401, "Invalid signature.").await,
            BadSignature::Ignored => assert_eq!(response.status(), 200),
        }
    }
}

#[tokio::test]
async fn the_sixty_first_call_in_a_minute_is_refused() {
    let app = App::start_with(|options| options.rate_limit = Some(60)).await;
    let header = |response: &reqwest::Response, name: &str| {
        response.headers()[name].to_str().unwrap().to_owned()
    };
    for used in 1..=60 {
        let response = app.start_call().send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(header(&response, "x-discogs-ratelimit"), "60");
        assert_eq!(header(&response, "x-discogs-ratelimit-used"), used.to_string());
        let remaining = (60 - used).to_string();
        assert_eq!(header(&response, "x-discogs-ratelimit-remaining"), remaining);
    }
    let refused = app.start_call().send().await.unwrap();
    assert_eq!(header(&refused, "x-discogs-ratelimit-remaining"), "0");
    assert!(!refused.headers().contains_key("retry-after"));
    assert_message(refused, 429, "You are making requests too quickly.").await;
    app.pass(Duration::from_mins(1));
    assert_eq!(app.start_call().send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn other_methods_and_paths_are_refused() {
    let app = App::start().await;
    for (method, path, allowed) in [
        (Method::PUT, START, "GET, POST"),
        (Method::DELETE, "/oauth/authorize", "GET, POST"),
        (Method::PUT, "/oauth/access_token", "GET, POST"),
        (Method::POST, "/oauth/identity", "GET"),
        (Method::POST, "/sandbox.css", "GET"),
        (Method::POST, "/sandbox.js", "GET"),
    ] {
        let response = app.call(method, path, "").send().await.unwrap();
        assert_eq!(response.headers()["allow"], allowed);
        assert_message(response, 405, "The requested method is not allowed here.").await;
    }
    let response = app.call(Method::GET, "/", "").send().await.unwrap();
    assert_message(response, 404, "The requested resource was not found.").await;
}
