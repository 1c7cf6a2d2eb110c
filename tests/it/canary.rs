//! No secret, token, password, PIN or email address gets into a log line, an error, or `Debug`.
//!
//! The real program runs at `TRACE` through the whole story and through what can go wrong, and
//! everything that it wrote is searched for what went in. The only test that reads log lines.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use discogs_sandbox::{Fault, Step};
use serde_json::json;

use crate::harness::{Actor, Answer, Composition, Setup, TestApp};

const EMAIL: &str = "canary-address@example.com";
const PASSWORD: &str = "canary-password";
const WRONG: &str = "canary-wrong-password";
const PIN: &str = "canaryPIN";
const BODY: &str = "canary-body-of-discogs";
const CONSUMER: &str = "canary-consumer-secret";
const JWT_SECRET: &str = "canary-jwt-secret-of-thirty-two-bytes";

/// The program, beside the service whose stores and sandbox it shares.
struct Program {
    child: Child,
    url: String,
    written: PathBuf,
}

/// A test that fails leaves no program behind.
impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Program {
    async fn start(app: &TestApp, format: &str) -> Self {
        let port =
            || std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (api, health) = (port(), port());
        let written = app.stores.folder.path().join("written");
        let file = File::create(&written).unwrap();
        let variables = app.stores.variables().into_iter().filter(|(name, _)| name != "DATA_DIR");
        let child = Command::new(env!("CARGO_BIN_EXE_discogsography-api"))
            .env_clear()
            .envs(variables)
            .env("JWT_SECRET_KEY", JWT_SECRET)
            .env("DISCOGS_API_URL", app.sandbox.url())
            .env("DISCOGS_WEB_URL", app.sandbox.url())
            .env("DATA_DIR", app.stores.folder.path().join("program"))
            .env("API_PORT", api.to_string())
            .env("API_HEALTH_PORT", health.to_string())
            .env("LOG_LEVEL", "TRACE")
            .env("LOG_FORMAT", format)
            .current_dir(app.stores.folder.path())
            .stderr(file.try_clone().unwrap())
            .stdout(file)
            .spawn()
            .unwrap();
        crate::harness::until_healthy(&app.client, &format!("http://127.0.0.1:{health}")).await;
        Self { child, url: format!("http://127.0.0.1:{api}"), written }
    }

    /// Stops the program as an operator does, and gives all that it has written.
    fn stop(mut self) -> String {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        assert!(self.child.wait().unwrap().success());
        fs::read_to_string(&self.written).unwrap()
    }
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

/// The program goes by the clock of the machine, the sandbox by that of the test.
fn setup(composition: Composition) -> Setup {
    Setup::new(composition)
        .unconfigured()
        .sandbox(|options| options.timestamp_window = Duration::from_secs(u64::from(u32::MAX)))
}

async fn nothing_secret_is_written(app: &TestApp, format: &str) {
    let program = Program::start(app, format).await;
    let anonymous = Actor::new(app.client.clone(), program.url.clone(), None);
    let mut secrets: Vec<String> =
        [EMAIL, PASSWORD, WRONG, PIN, BODY, CONSUMER, JWT_SECRET].map(str::to_owned).to_vec();
    let mut refusals = failed_sign_ins(&anonymous).await;

    let canary = anonymous.sign_in(EMAIL, PASSWORD).await;
    secrets.extend(canary.token.clone());
    grant_admin(app, EMAIL);
    set_credentials(app, &canary).await;
    refusals.extend(failed_connections(app, &canary, &mut secrets).await);
    take_servers_away(app, &canary).await;

    let written = program.stop();
    assert!(written.contains("A request was answered"), "{written}");
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

/// As an operator does: with the command, on the program's own stores.
fn grant_admin(app: &TestApp, email: &str) {
    let folder = app.stores.folder.path();
    let granted = Command::new(env!("CARGO_BIN_EXE_discogsography-api"))
        .args(["admin", "grant", email])
        .env_clear()
        .envs(app.stores.variables().into_iter().filter(|(name, _)| name != "DATA_DIR"))
        .env("JWT_SECRET_KEY", JWT_SECRET)
        .env("DATA_DIR", Path::new(folder).join("program"))
        .status();
    assert!(granted.unwrap().success());
}

async fn set_credentials(app: &TestApp, admin: &Actor) {
    admin.put_config("discogs_consumer_key", "sandbox-key").await;
    admin.put_config("discogs_consumer_secret", CONSUMER).await;
    app.sandbox.order(Step::RequestToken, Fault::plain(401, BODY));
    assert_eq!(admin.authorize().await.status, 502);
    admin.put_config("discogs_consumer_secret", "sandbox-secret").await;
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

/// Only servers can go away.
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

#[test]
fn debug_shows_nothing_secret() {
    use discogsography_api::clock::Timestamp;
    use discogsography_api::config::{Config, Environment};
    use discogsography_api::model::{DiscogsToken, Email, NewPassword, NewUser, User, Verifier};
    use discogsography_api::state::PendingAuthorization;
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
    let email = Email::parse("canary-secret@example.com").unwrap();
    let shown = [
        format!("{config:?}"),
        format!("{:?}", DiscogsToken(token())),
        format!("{:?}", Consumer { key: secret.to_owned(), secret: secret.into() }),
        format!(
            "{:?}",
            PendingAuthorization {
                user_id: id,
                request_token: token(),
                granted: Some(DiscogsToken(token()))
            }
        ),
        format!("{:?}", NewPassword::parse(secret)),
        format!("{:?}", Verifier::parse(secret)),
        format!("{:?}", NewUser { id, email: email.clone(), hashed_password: secret.into() }),
        format!(
            "{:?}",
            User {
                id,
                email: email.as_str().to_owned(),
                hashed_password: secret.into(),
                is_active: true,
                is_admin: false,
                created_at: Timestamp::from_microseconds(0),
            }
        ),
        format!("{:?}", discogsography_token::Key::new(secret.as_bytes())),
        format!(
            "{:?}",
            discogsography_token::Claims {
                sub: id,
                email: email.as_str().to_owned(),
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
