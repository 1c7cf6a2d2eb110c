//! No secret, token, password, PIN or email address gets into a log line, an error, or `Debug`.
//!
//! The real program runs at `TRACE` through the whole flow and through failures, and all its output
//! is searched for the secrets that it received. This is the only test that reads log lines; those
//! in JSON are also checked against docs/logging.md.

use std::time::Duration;

use discogs_sandbox::{Fault, Step};
use serde_json::json;

use crate::harness::actor::send;
use crate::harness::{Actor, Answer, Composition, Opened, Program, Setup, TestApp, new_user};
use crate::logging;

const EMAIL: &str = "canary-address@example.com";
const PASSWORD: &str = "canary-password";
const WRONG: &str = "canary-wrong-password";
const PIN: &str = "canaryPIN";
const BODY: &str = "canary-body-of-discogs";
const CONSUMER: &str = "canary-consumer-secret";
const ADMIN_EMAIL: &str = "canary-admin@example.com";
const ADMIN_PASSWORD: &str = "canary-admin-password";
const JWT_SECRET: &str = "canary-jwt-secret-of-thirty-two-bytes";

const PREVIOUS: &str = "canary-previous-secret-of-32-bytes";

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// The program, beside the service whose servers and sandbox it shares.
fn program(app: &TestApp, format: &str) -> Program {
    let variables = app.stores.variables().into_iter().filter(|(name, _)| name != "DATA_DIR");
    variables
        .fold(Program::new(), |program, (name, value)| program.with(&name, &value))
        .with("JWT_SECRET_KEY", JWT_SECRET)
        .with("JWT_SECRET_KEY_PREVIOUS", PREVIOUS)
        .with("ADMIN_EMAIL", ADMIN_EMAIL)
        .with("ADMIN_PASSWORD", ADMIN_PASSWORD)
        .with("DISCOGS_API_URL", &app.sandbox.url())
        .with("DISCOGS_WEB_URL", &app.sandbox.url())
        .with("LOG_LEVEL", "TRACE")
        .with("LOG_FORMAT", format)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_secret_is_written_on_the_embedded_store() {
    let app = setup(Composition::Embedded).start().await;
    nothing_secret_is_written(&app, "json").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn nothing_secret_is_written_on_servers() {
    let app = setup(Composition::Servers).start().await;
    nothing_secret_is_written(&app, "pretty").await;
}

/// The program uses the machine's clock, so the sandbox accepts any timestamp.
fn setup(composition: Composition) -> Setup {
    Setup::new(composition)
        .unconfigured()
        .sandbox(|options| options.timestamp_window = Duration::from_secs(u64::from(u32::MAX)))
}

async fn nothing_secret_is_written(app: &TestApp, format: &str) {
    let program = program(app, format);
    let service = program.serve(&[]);
    let anonymous = service.anonymous();
    let mut secrets: Vec<String> = [
        EMAIL,
        PASSWORD,
        WRONG,
        PIN,
        BODY,
        CONSUMER,
        ADMIN_EMAIL,
        ADMIN_PASSWORD,
        JWT_SECRET,
        PREVIOUS,
    ]
    .map(str::to_owned)
    .to_vec();
    let mut refusals = failed_sign_ins(&anonymous).await;

    let canary = anonymous.sign_in(EMAIL, PASSWORD).await;
    secrets.extend(canary.token.clone());
    assert_eq!(program.run(&["admin", "grant", EMAIL]).code, Some(0));
    set_credentials(app, &canary).await;
    follow_a_trace(app, &canary).await;
    refusals.extend(failed_connections(app, &canary, &mut secrets).await);
    take_servers_away(app, &canary).await;

    let ended = service.end("TERM");
    assert_eq!(ended.code, Some(0));
    if format == "json" {
        logging::assert_documented(&ended.stderr);
    }
    let written = ended.stdout + &ended.stderr;
    assert!(written.contains(TRACE), "{written}");
    for secret in &secrets {
        assert!(!written.contains(secret.as_str()), "{secret} was written");
        for refusal in &refusals {
            assert!(!refusal.body.contains(secret.as_str()), "{secret} is in {refusal:?}");
        }
    }
}

async fn failed_sign_ins(anonymous: &Actor) -> Vec<Answer> {
    assert_eq!(anonymous.register(EMAIL, PASSWORD).await.status, 201);
    let broken = format!(r#"{{"email": "{EMAIL}", "password": "{PASSWORD}", "#);
    let mistyped = json!({ "email": [EMAIL], "password": { "x": PASSWORD } });
    vec![
        anonymous.register(EMAIL, WRONG).await,
        anonymous.register(&format!("{EMAIL} x"), "short").await,
        anonymous.login(EMAIL, WRONG).await,
        anonymous.send_body(reqwest::Method::POST, "/api/auth/login", broken).await,
        anonymous.post("/api/auth/login", &mistyped).await,
        anonymous.with_token(WRONG).me().await,
        anonymous.get(&format!("/api/{PASSWORD}?token={PASSWORD}")).await,
    ]
}

async fn set_credentials(app: &TestApp, admin: &Actor) {
    admin.put_config("discogs_consumer_key", "sandbox-key").await;
    admin.put_config("discogs_consumer_secret", CONSUMER).await;
    app.sandbox.order(Step::RequestToken, Fault::plain(401, BODY));
    assert_eq!(admin.authorize().await.status, 502);
    admin.put_config("discogs_consumer_secret", "sandbox-secret").await;
}

/// The trace of a request is logged, and not sent to Discogs.
async fn follow_a_trace(app: &TestApp, user: &Actor) {
    let traceparent = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let request = user.request(reqwest::Method::GET, "/api/oauth/authorize/discogs");
    assert_eq!(send(request.header("traceparent", traceparent)).await.status, 200);
    let call = app.sandbox.calls(Step::RequestToken).pop().unwrap();
    assert!(!call.header_names.contains("traceparent"), "{call:?}");
}

async fn failed_connections(app: &TestApp, user: &Actor, secrets: &mut Vec<String>) -> Vec<Answer> {
    let state = user.start().await;
    let verifier = app.sandbox.approve(&state).unwrap();
    let mut refusals = Vec::new();
    for fault in [
        Fault::plain(400, BODY),
        Fault::plain(500, BODY),
        Fault::plain(401, &format!("{BODY} consumer")),
    ] {
        app.sandbox.order(Step::AccessToken, fault);
        refusals.push(user.verify(&state, PIN).await);
    }
    refusals.push(user.verify(WRONG, PIN).await);
    refusals.push(user.verify(&state, &format!("{PIN} {PIN}")).await);
    for fault in [Fault::plain(500, BODY), Fault::plain(500, BODY), Fault::plain(401, BODY)] {
        app.sandbox.order(Step::Identity, fault);
    }
    for _ in 0..2 {
        refusals.push(user.verify(&state, &verifier).await);
    }
    assert!(refusals.iter().all(|refusal| refusal.status >= 400), "{refusals:?}");
    assert_eq!(user.verify(&state, &verifier).await.status, 200);
    for call in app.sandbox.calls(Step::Identity) {
        secrets.push(call.oauth["oauth_token"].clone());
        secrets.push(call.oauth["oauth_signature"].clone());
    }
    secrets.extend([state, verifier]);
    refusals
}

/// Makes the servers unavailable; the embedded store has none.
async fn take_servers_away(app: &TestApp, user: &Actor) {
    if app.stores.servers.is_none() {
        return;
    }
    app.stores.redis().close();
    assert_eq!(user.authorize().await.status, 503);
    app.stores.postgres().close();
    assert_eq!(user.me().await.status, 503);
    app.stores.postgres().open();
    app.stores.redis().open();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn debug_shows_nothing_secret() {
    use discogsography_api::config::{Config, Environment};
    use discogsography_api::flows::PendingAuthorization;
    use discogsography_api::model::{
        DiscogsToken, FlowEpoch, FlowOwner, NewPassword, NewUser, Verifier,
    };
    use oauth1::{Consumer, Token};

    let secret = "canary-secret";
    let token = || Token { token: secret.to_owned(), secret: secret.into() };
    let id = uuid::Uuid::nil();
    let config = Config::load(&Environment::of([
        ("POSTGRES_ADDRESS", "localhost"),
        ("POSTGRES_USERNAME", "user"),
        ("POSTGRES_PASSWORD", secret),
        ("POSTGRES_DATABASE", "database"),
        ("REDIS_URL", "redis://:canary-secret@localhost"),
        ("JWT_SECRET_KEY", secret),
    ]));
    let new = NewUser { hashed_password: secret.into(), ..new_user("canary-secret@example.com") };
    let opened = Opened::new(Composition::Embedded).await;
    let user = opened.storage.create_user(&new).await.unwrap();
    let shown = [
        format!("{config:?}"),
        format!("{:?}", DiscogsToken(token())),
        format!("{:?}", Consumer { key: secret.to_owned(), secret: secret.into() }),
        format!(
            "{:?}",
            PendingAuthorization {
                owner: FlowOwner { user_id: id, epoch: FlowEpoch(0) },
                request_token: token(),
                granted: Some(DiscogsToken(token()))
            }
        ),
        format!("{:?}", NewPassword::parse(secret)),
        format!("{:?}", Verifier::parse(secret)),
        format!("{new:?}"),
        format!("{user:?}"),
        format!("{:?}", discogsography_token::Key::new(secret.as_bytes())),
        format!(
            "{:?}",
            discogsography_token::Claims {
                sub: id,
                email: user.email.clone(),
                iat: 0,
                exp: 0,
                jti: secret.to_owned(),
            }
        ),
    ];
    for shown in shown {
        assert!(!shown.contains("canary"), "{shown}");
    }
}
