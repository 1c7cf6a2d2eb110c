//! The command `token`: what a token says, and why it is refused.

use std::fs;
use std::time::Duration;

use discogsography_api::clock::{Clock, Timestamp};
use discogsography_token::{Claims, Key};
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};
use uuid::Uuid;

use super::assert_failed;
use crate::harness::app::JWT_SECRET_KEY;
use crate::harness::{
    Composition, Outcome, PrivateRedis, Program, Setup, TestApp, on_both_compositions,
};

on_both_compositions!(a_token_is_good_as_long_as_its_user_is);

const PREVIOUS: &str = "previous-0123456789abcdef0123456";
const SUB: &str = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff";
const REFUSED: &str = "error: the service refuses this token";

/// A program with a secret and no database.
fn program() -> Program {
    Program::new().with("JWT_SECRET_KEY", JWT_SECRET_KEY).with("JWT_SECRET_KEY_PREVIOUS", PREVIOUS)
}

/// Returns the time this many seconds from now, in whole seconds.
fn seconds(from_now: i64) -> i64 {
    i64::try_from(Clock::system().now().as_seconds()).unwrap() + from_now
}

fn time(seconds: i64) -> String {
    Timestamp::from_microseconds(seconds * 1_000_000).to_string()
}

fn signed(secret: &str, payload: &Value) -> String {
    let key = EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::encode(&Header::default(), payload, &key).unwrap()
}

/// Returns a token of this user that is valid for an hour, as the service signs it.
fn token_of(user_id: &str, jti: &str) -> String {
    let iat = Clock::system().now();
    Key::new(JWT_SECRET_KEY.as_bytes()).sign(&Claims {
        sub: Uuid::parse_str(user_id).unwrap(),
        email: "digger@example.com".to_owned(),
        iat: iat.as_seconds(),
        exp: iat.plus(Duration::from_secs(3600)).as_seconds(),
        jti: jti.to_owned(),
    })
}

/// Runs a command with the token on stdin; returns its exit code and the JSON that it prints.
#[track_caller]
fn asked(program: &Program, arguments: &[&str], token: &str) -> (Option<i32>, Value) {
    let outcome = program.run_with_input(&[arguments, &["-", "--json"]].concat(), token);
    assert_silent(&outcome, token);
    let json = serde_json::from_str(&outcome.stdout);
    (outcome.code, json.unwrap_or_else(|error| panic!("{error}: {outcome:?}")))
}

/// Asserts that no output contains the token, nor its signature.
#[track_caller]
fn assert_silent(outcome: &Outcome, token: &str) {
    let signature = token.rsplit('.').next().unwrap();
    for text in [&outcome.stdout, &outcome.stderr] {
        assert!(signature.len() < 20 || !text.contains(signature), "{outcome:?}");
    }
}

/// Asserts that the token is refused for this reason, and by which secret it was signed.
#[track_caller]
fn assert_refused(token: &str, code: &str, reason: &str, signed_with: Option<&str>) {
    let (exit_code, json) = asked(&program(), &["token", "verify", "--offline"], token);
    assert_eq!(exit_code, Some(1), "{json}");
    let found = (&json["accepted"], &json["code"], &json["reason"], &json["signed_with"]);
    assert_eq!(found, (&json!(false), &json!(code), &json!(reason), &json!(signed_with)));
}

#[test]
fn every_refusal_has_its_reason() {
    let current = Some("JWT_SECRET_KEY");
    let exp = seconds(3600);
    let good = json!({ "sub": SUB, "exp": exp });
    let with = |name: &str, value: Value| {
        let mut payload = good.clone();
        payload[name] = value;
        signed(JWT_SECRET_KEY, &payload)
    };
    let token = signed(JWT_SECRET_KEY, &good);
    let three = "it does not consist of exactly three parts, separated by dots";
    assert_refused("nonsense", "malformed", three, None);
    let padded = "its signature is not unpadded base64url";
    assert_refused(&format!("{token}="), "malformed", padded, None);
    let (_, rest) = token.split_once('.').unwrap();
    let none = format!("eyJhbGciOiJub25lIn0.{rest}");
    assert_refused(&none, "algorithm", "the `alg` in its header is not HS256", None);
    let unknown = "none of the keys made its signature, or it was changed afterwards";
    assert_refused(&signed("another", &good), "signature", unknown, None);
    let of_type = "it has a `type` claim, so it is not an access token";
    assert_refused(&with("type", json!("2fa_challenge")), "type", of_type, current);
    let nameless = signed(JWT_SECRET_KEY, &json!({ "exp": exp }));
    assert_refused(&nameless, "claim", "it has no `sub` claim", current);
    let no_uuid = "its `sub` claim is not a UUID with hyphens";
    assert_refused(&with("sub", json!("alice")), "claim", no_uuid, current);
    assert_refused(
        &with("exp", json!("soon")),
        "claim",
        "its `exp` claim is not a number",
        current,
    );
    assert_refused(&with("exp", json!(seconds(-60))), "expired", "it has expired", current);
    let early = "it is not valid yet, according to its `nbf` claim";
    assert_refused(&with("nbf", json!(seconds(600))), "not_yet_valid", early, current);
    let old = signed(PREVIOUS, &json!({ "sub": SUB, "exp": seconds(-60) }));
    let previous = Some("JWT_SECRET_KEY_PREVIOUS entry 1");
    assert_refused(&old, "expired", "it has expired", previous);
}

#[test]
fn an_accepted_token_is_told_with_its_secret() {
    let iat = seconds(0);
    let payload = json!({ "sub": SUB, "iat": iat, "exp": iat + 3660 });
    for (secret, name) in
        [(JWT_SECRET_KEY, "JWT_SECRET_KEY"), (PREVIOUS, "JWT_SECRET_KEY_PREVIOUS entry 1")]
    {
        let token = signed(secret, &payload);
        let expected = json!({
            "accepted": true,
            "code": null,
            "reason": null,
            "signed_with": name,
            "issued_at": time(iat),
            "expires_at": time(iat + 3660),
            "user_id": SUB,
            "not_checked": ["the user: --offline"],
        });
        let verified = asked(&program(), &["token", "verify", "--offline"], &token);
        assert_eq!(verified, (Some(0), expected));
        let outcome = program().run(&["token", "verify", "--offline", &token]);
        assert_silent(&outcome, &token);
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
        let begin = format!(
            "Accepted, as far as it was checked.\nSigned with  {name}\nIssued       {}, ",
            time(iat)
        );
        assert!(outcome.stdout.starts_with(&begin), "{outcome:?}");
        let expires = format!("Expires      {}, in 1 hour\n", time(iat + 3660));
        assert!(outcome.stdout.contains(&expires), "{outcome:?}");
    }
}

#[test]
fn a_refused_token_is_told_in_plain_words() {
    let token = signed(JWT_SECRET_KEY, &json!({ "sub": SUB, "exp": seconds(-7300) }));
    let outcome = program().run_with_input(&["token", "verify", "-"], &token);
    assert_silent(&outcome, &token);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    let begin = "Refused: it has expired.\nSigned with  JWT_SECRET_KEY\nExpires      ";
    assert!(outcome.stdout.starts_with(begin), "{outcome:?}");
    assert!(outcome.stdout.ends_with(", 2 hours ago\n"), "{outcome:?}");
    assert_eq!(outcome.stderr, format!("{REFUSED}\n"));
}

#[test]
fn a_token_may_be_given_as_it_stands_in_the_header() {
    let token = token_of(SUB, "7");
    for given in [format!("Bearer {token}\r\n"), format!(" bearer  {token}"), token.clone()] {
        let (code, json) = asked(&program(), &["token", "verify", "--offline"], &given);
        assert_eq!((code, &json["accepted"]), (Some(0), &json!(true)), "{given}");
    }
    for nothing in ["", " \n", "Bearer "] {
        let outcome = program().run_with_input(&["token", "verify", "-"], nothing);
        assert_failed(&outcome, 2, "error: there is no token");
    }
    let outcome = program().run_with_input(&["token", "inspect", "-"], &"x".repeat(70_000));
    assert_failed(&outcome, 2, "error: stdin has more than 65536 bytes");
}

#[test]
fn a_content_is_inspected_without_a_secret() {
    let payload = json!({
        "sub": SUB,
        "email": "a\u{1b}[2J@example.com",
        "exp": seconds(90_000),
        "aud": "elsewhere",
    });
    let token = signed("a secret that nobody knows", &payload);
    let outcome = Program::new().run_with_input(&["token", "inspect", "-"], &token);
    assert_silent(&outcome, &token);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let expected = format!(
        "Header
  alg      HS256
  typ      JWT
Claims
  aud      elsewhere
  email    a\\u{{1b}}[2J@example.com
  exp      {exp} = {time}, in 1 day
  sub      {SUB}
Rules
  ok       Exactly three parts of unpadded base64url, with no trailing bits
  ok       A header object whose `alg` is exactly `HS256`, without `crit`
  ok       A payload object
  ok       No `type` claim: such a token is not an access token
  ok       `exp` is a number of seconds, later than now, with no leeway
  ok       `nbf`, if there is one, is a number of seconds, not later than now
  ok       `sub` is the user's id, a UUID with hyphens
  note     `aud` is ignored here, but other services refuse such a token
The signature was not checked: use `token verify`.
",
        exp = payload["exp"],
        time = time(payload["exp"].as_i64().unwrap()),
    );
    assert_eq!(sorted(&outcome.stdout), sorted(&expected));
}

/// Returns the lines in order of the alphabet: the order of the claims is that of the library.
fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    lines
}

#[test]
fn an_inspection_names_every_broken_rule() {
    let token = signed("another", &json!({ "type": "admin", "exp": 1, "sub": SUB }));
    let (code, json) = asked(&Program::new(), &["token", "inspect"], &token);
    assert_eq!(code, Some(1), "{json}");
    assert_eq!(json["header"], json!({ "alg": "HS256", "typ": "JWT" }));
    assert_eq!(json["claims"], json!({ "type": "admin", "exp": 1, "sub": SUB }));
    assert_eq!(json["expires_at"], time(1));
    assert_eq!(json["issued_at"], Value::Null);
    assert_eq!(json["signature"], "not checked");
    let rules = json["rules"].as_array().unwrap();
    let broken: Vec<_> = rules.iter().filter(|rule| rule["kept"] == false).collect();
    let codes: Vec<_> = broken.iter().map(|rule| rule["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["type", "expired"]);
    let (code, json) = asked(&Program::new(), &["token", "inspect"], "not a token");
    assert_eq!((code, &json["header"], &json["claims"]), (Some(1), &Value::Null, &Value::Null));
}

#[test]
fn a_token_can_not_be_verified_without_a_secret() {
    let program = Program::new();
    let sentence = "error: there is no secret to check the token with: set JWT_SECRET_KEY, or \
                    DATA_DIR to the folder of the service";
    assert_failed(&program.run(&["token", "verify", "x"]), 2, sentence);
    assert!(program.left_nothing());
    fs::create_dir(program.data("")).unwrap();
    fs::write(program.data("jwt-secret"), "\n").unwrap();
    let outcome = program.run(&["token", "verify", "x"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(2), ""), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_of_the_embedded_stores_own_secret_is_verified_beside_the_service() {
    let program = Program::new();
    let service = program.serve(&[]);
    let alice = service.anonymous().register_and_sign_in("alice@example.com").await;
    let (code, json) = asked(&program, &["token", "verify"], alice.token.as_ref().unwrap());
    let secret = program.data("jwt-secret");
    assert_eq!((code, &json["not_checked"]), (Some(0), &json!([])), "{json}");
    assert_eq!(json["signed_with"], secret.to_str().unwrap());
    service.end("TERM");
}

#[test]
fn a_token_is_told_even_if_its_user_can_not_be_checked() {
    let program = program();
    let (code, json) = asked(&program, &["token", "verify"], &token_of(SUB, "8"));
    assert_eq!((code, &json["accepted"]), (Some(0), &json!(true)), "{json}");
    let not_checked = json["not_checked"][0].as_str().unwrap();
    let missing = "the user: there is no database at ";
    assert!(not_checked.starts_with(missing), "{not_checked}");
    assert!(not_checked.ends_with(": is DATA_DIR right?"), "{not_checked}");
    assert!(program.left_nothing());
}

/// Returns the program, configured for the stores of a running service.
fn beside(app: &TestApp) -> Program {
    let variables = app.stores.variables();
    variables.iter().fold(program(), |program, (name, value)| program.with(name, value))
}

async fn a_token_is_good_as_long_as_its_user_is(app: TestApp) {
    let (alice, program) = (app.user("alice").await, beside(&app));
    let verdict = |user_id: &str| {
        let (code, json) = asked(&program, &["token", "verify"], &token_of(user_id, "9"));
        assert_eq!(json["not_checked"], json!([]), "{json}");
        (code.unwrap(), json["code"].clone())
    };
    assert_eq!(verdict(&alice.id), (0, Value::Null));
    assert_eq!(verdict(SUB), (1, json!("user_missing")));
    app.sql("update users set is_active = false where email = 'alice@example.com'").await;
    assert_eq!(verdict(&alice.id), (1, json!("user_disabled")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn a_token_that_a_python_service_revoked_is_refused() {
    let app = Setup::new(Composition::Servers).start().await;
    let alice = app.user("alice").await;
    let redis = PrivateRedis::start().await;
    let program = beside(&app).with("PYTHON_COMPAT", "on").with("REDIS_URL", &redis.url());
    let token = token_of(&alice.id, "jti-of-alice");
    assert_eq!(asked(&program, &["token", "verify"], &token).0, Some(0));
    redis.command(&["set", "revoked:jti:jti-of-alice", "1", "ex", "600"]).await;
    let (code, json) = asked(&program, &["token", "verify"], &token);
    assert_eq!((code, &json["code"]), (Some(1), &json!("revoked")), "{json}");
}
