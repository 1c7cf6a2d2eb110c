//! Permissions: every operation of the OpenAPI document, called by every kind of client.
//!
//! The expectation comes from the `security` of the document and from two small tables that a test
//! compares with the document. So an operation of the document can't be left unprotected by mistake;
//! `harness/document.rs` fails a test that calls an operation of the API that the document lacks.

use std::collections::BTreeSet;

use discogs_sandbox::Step;
use discogsography_token::{Claims, Key};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::connect::{
    Refusal, STATE_NOT_YOURS, approved, assert_connected, assert_refusal, calls, connect,
};
use crate::harness::actor::send;
use crate::harness::app::JWT_SECRET_KEY;
use crate::harness::document::paths;
use crate::harness::{Actor, Answer, PASSWORD, TestApp, on_both_compositions};

on_both_compositions!(
    every_operation_rejects_a_missing_or_invalid_token,
    users_may_call_all_operations_but_those_for_admins,
    admins_may_call_every_operation,
    only_the_user_who_started_a_flow_may_finish_it,
    a_refused_request_changes_nothing,
);

const NOT_AUTHENTICATED: Refusal = (401, "not_authenticated", "Not authenticated");
const INVALID_TOKEN: Refusal = (401, "invalid_token", "Invalid or expired token");
const ADMIN_REQUIRED: Refusal = (403, "admin_required", "Admin access required");

/// The operations that need no token.
const WITHOUT_TOKEN: [&str; 5] = ["getHealth", "getLiveness", "getReadiness", "register", "signIn"];

/// The operations for admins.
const FOR_ADMINS: [&str; 3] = ["listConfig", "removeConfig", "setConfig"];

/// An operation of the document.
#[derive(Debug)]
struct Operation {
    id: &'static str,
    method: Method,
    path: String,
    has_body: bool,
    needs_token: bool,
    success: u16,
}

/// What a client sends to the operations.
struct Requests {
    state: String,
    pin: String,
    /// Registered, with [`PASSWORD`].
    email: String,
    new_email: String,
}

fn operations() -> Vec<Operation> {
    let mut operations: Vec<_> = paths()
        .flat_map(|(path, item)| {
            item.iter().map(move |(method, spec)| operation(&path, method, spec))
        })
        .collect();
    assert!(operations.len() >= 13, "only {} operations were found", operations.len());
    // Last, since it ends the flow that another operation finishes.
    operations.sort_by_key(|operation| operation.id == "disconnect");
    operations
}

fn operation(path: &str, method: &str, spec: &'static Value) -> Operation {
    let schemes = spec["security"].as_array().into_iter().flatten();
    let mut successes =
        spec["responses"].as_object().unwrap().keys().filter(|status| status.starts_with('2'));
    Operation {
        id: spec["operationId"].as_str().unwrap(),
        method: Method::from_bytes(method.to_ascii_uppercase().as_bytes()).unwrap(),
        path: path.to_owned(),
        has_body: spec.get("requestBody").is_some(),
        // An empty scheme among them would make the others optional.
        needs_token: schemes.clone().count() > 0
            && schemes.clone().all(|scheme| scheme.get("access_token").is_some()),
        success: successes.next().unwrap().parse().unwrap(),
    }
}

impl Operation {
    fn is_for_admins(&self) -> bool {
        FOR_ADMINS.contains(&self.id)
    }

    /// Sends a request that succeeds if it is allowed.
    async fn ask(&self, actor: &Actor, requests: &Requests) -> Answer {
        let request = actor.request(self.method.clone(), &self.path);
        if !self.has_body {
            return send(request).await;
        }
        let body = requests.body(self.id).to_string();
        send(request.header("content-type", "application/json").body(body)).await
    }
}

impl Requests {
    /// Returns valid input for an operation with a body.
    fn body(&self, id: &str) -> Value {
        match id {
            "register" => json!({ "email": self.new_email, "password": PASSWORD }),
            "signIn" => json!({ "email": self.email, "password": PASSWORD }),
            "finishConnection" => json!({ "state": self.state, "oauth_verifier": self.pin }),
            "setConfig" => json!({ "value": "sandbox-key" }),
            _ => panic!("{id} has a body that this test does not know"),
        }
    }

    /// Returns requests with a flow of this user that waits for its PIN, and an unregistered address.
    async fn of(app: &TestApp, user: &Actor, who: &str) -> Self {
        let (state, pin) = approved(app, user).await;
        let new_email = format!("{}@example.org", who.replace(' ', "-"));
        Self { state, pin, email: user.email.clone(), new_email }
    }
}

/// Calls every operation. Those that need no token succeed; the others return `expected`, where `None`
/// is a success.
async fn call_every_operation(
    actor: &Actor,
    who: &str,
    requests: &Requests,
    expected: impl Fn(&Operation) -> Option<Refusal>,
) {
    for operation in operations() {
        let answer = operation.ask(actor, requests).await;
        let refusal = if operation.needs_token { expected(&operation) } else { None };
        let status = refusal.map_or(operation.success, |(status, ..)| status);
        assert_eq!(answer.status, status, "{who} calls {}: {answer:?}", operation.id);
        if let Some(refusal) = refusal {
            assert_refusal(&answer, refusal);
        }
    }
}

/// Returns a token with the service's header and these claims.
fn signed(secret: &str, user_id: &str, expires_at: u64) -> String {
    Key::new(secret.as_bytes()).sign(&Claims {
        sub: Uuid::parse_str(user_id).unwrap(),
        email: "alice@example.com".to_owned(),
        iat: expires_at - 60,
        exp: expires_at,
        jti: "00112233445566778899aabbccddeeff".to_owned(),
    })
}

/// Returns invalid tokens for Alice, and tokens of users who may not sign in.
async fn bad_tokens(app: &TestApp, alice: &Actor) -> Vec<(&'static str, String)> {
    let good = alice.token.clone().unwrap();
    let (signed_part, signature) = good.rsplit_once('.').unwrap();
    let now = app.clock.now().as_seconds();
    let another_key = format!("{JWT_SECRET_KEY}x");
    let (gone, admin, deleted) =
        (app.user("gone").await, app.admin().await, app.user("deleted").await);
    for gone in [&gone, &admin] {
        app.sql(&format!("update users set is_active = false where email = '{}'", gone.email))
            .await;
    }
    app.sql("delete from users where email = 'deleted@example.com'").await;
    vec![
        ("an expired token", signed(JWT_SECRET_KEY, &alice.id, now)),
        ("a token of another key", signed(&another_key, &alice.id, now + 60)),
        ("a token with no signature", format!("{signed_part}.")),
        ("a token of two parts", signed_part.to_owned()),
        ("a token turned around", format!("{signature}.{signed_part}")),
        ("a token of algorithm none", format!("eyJhbGciOiJub25lIn0.{}.", payload(&good))),
        ("something else", "not-a-token".to_owned()),
        ("a deactivated user", gone.token.unwrap()),
        ("a deactivated admin", admin.token.unwrap()),
        ("a deleted user", deleted.token.unwrap()),
    ]
}

fn payload(token: &str) -> &str {
    token.split('.').nth(1).unwrap()
}

async fn former_admin(app: &TestApp) -> Actor {
    let former = app.admin().await;
    app.sql(&format!("update users set is_admin = false where email = '{}'", former.email)).await;
    former
}

#[test]
fn the_tables_match_the_document() {
    let operations = operations();
    let ids = |is_meant: fn(&Operation) -> bool| -> BTreeSet<&str> {
        operations.iter().filter(|operation| is_meant(operation)).map(|spec| spec.id).collect()
    };
    assert_eq!(ids(|operation| !operation.needs_token), BTreeSet::from(WITHOUT_TOKEN));
    let below_admin = ids(|operation| operation.path.starts_with("/api/admin/"));
    assert_eq!(below_admin, BTreeSet::from(FOR_ADMINS));
    assert_eq!(ids(|operation| operation.is_for_admins() && operation.needs_token), below_admin);
    let may_forbid: BTreeSet<_> = paths()
        .flat_map(|(_, item)| item.values())
        .filter(|spec| spec["responses"].get("403").is_some())
        .map(|spec| spec["operationId"].as_str().unwrap())
        .collect();
    let finishing = ["finishConnection"];
    assert_eq!(may_forbid, FOR_ADMINS.into_iter().chain(finishing).collect());
}

async fn every_operation_rejects_a_missing_or_invalid_token(app: TestApp) {
    let alice = app.user("alice").await;
    let requests = Requests::of(&app, &alice, "nobody").await;
    call_every_operation(&app.anonymous(), "nobody", &requests, |_| Some(NOT_AUTHENTICATED)).await;
    for (who, token) in bad_tokens(&app, &alice).await {
        let requests = Requests::of(&app, &alice, who).await;
        let actor = app.anonymous().with_token(&token);
        call_every_operation(&actor, who, &requests, |_| Some(INVALID_TOKEN)).await;
    }
}

async fn users_may_call_all_operations_but_those_for_admins(app: TestApp) {
    let users = [
        ("a user", app.user("alice").await),
        ("another user", app.user("bob").await),
        ("a former admin", former_admin(&app).await),
    ];
    for (who, user) in users {
        let requests = Requests::of(&app, &user, who).await;
        call_every_operation(&user, who, &requests, |operation| {
            operation.is_for_admins().then_some(ADMIN_REQUIRED)
        })
        .await;
    }
}

async fn admins_may_call_every_operation(app: TestApp) {
    let admin = app.admin().await;
    let requests = Requests::of(&app, &admin, "an admin").await;
    call_every_operation(&admin, "an admin", &requests, |_| None).await;
}

async fn only_the_user_who_started_a_flow_may_finish_it(app: TestApp) {
    let alice = app.user("alice").await;
    let (state, pin) = approved(&app, &alice).await;
    for other in [app.user("mallory").await, app.admin().await, former_admin(&app).await] {
        assert_refusal(&other.verify(&state, &pin).await, STATE_NOT_YOURS);
        other.status().await.assert(200, &json!({ "connected": false }));
    }
    assert_eq!(calls(&app, Step::AccessToken), 0);
    assert_connected(&alice.verify(&state, &pin).await);
}

async fn a_refused_request_changes_nothing(app: TestApp) {
    let (alice, admin) = (app.user("alice").await, app.admin().await);
    connect(&app, &alice).await;
    let requests = Requests::of(&app, &alice, "nobody").await;
    let before = (alice.status().await.json(), admin.get("/api/admin/config").await.json());
    let sent = [calls(&app, Step::RequestToken), calls(&app, Step::AccessToken)];
    let mut refused = vec![app.anonymous()];
    for (_, token) in bad_tokens(&app, &alice).await {
        refused.push(app.anonymous().with_token(&token));
    }
    for operation in operations().into_iter().filter(|operation| operation.needs_token) {
        for actor in &refused {
            assert_eq!(operation.ask(actor, &requests).await.status, 401, "{}", operation.id);
        }
        if operation.is_for_admins() {
            assert_eq!(operation.ask(&alice, &requests).await.status, 403, "{}", operation.id);
        }
    }
    let after = (alice.status().await.json(), admin.get("/api/admin/config").await.json());
    assert_eq!(after, before);
    assert_eq!([calls(&app, Step::RequestToken), calls(&app, Step::AccessToken)], sent);
    assert_connected(&alice.verify(&requests.state, &requests.pin).await);
}
