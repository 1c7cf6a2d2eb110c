//! Changing the secret of access tokens while services run, as docs/operations/secrets.md describes.

use std::fs;

use discogsography_api::clock::Clock;
use discogsography_token::Key;

use crate::harness::{Actor, Composition, PASSWORD, Program, Service, TestStores};

const OLD: &str = "old-0123456789abcdef-shared-secret";
const NEW: &str = "new-fedcba9876543210-shared-secret";

/// A replica that signs with `secret`, and also accepts the tokens of `previous`.
fn replica(stores: &TestStores, secret: &str, previous: Option<&str>) -> Program {
    let program = Program::new().with("JWT_SECRET_KEY", secret);
    let program = match previous {
        Some(previous) => program.with("JWT_SECRET_KEY_PREVIOUS", previous),
        None => program,
    };
    stores.variables().iter().fold(program, |program, (name, value)| program.with(name, value))
}

/// Asserts that services accept this user's token, or refuse it as invalid.
async fn assert_status(services: &[&Service], user: &Actor, status: u16) {
    for service in services {
        let me = user.at(&service.url).me().await;
        assert_eq!(me.status, status, "{me:?}");
        if status == 401 {
            me.assert_error(401, "invalid_token", "Invalid or expired token");
        }
    }
}

/// Whether a sibling service with this secret alone accepts the token.
fn sibling_accepts(secret: &str, user: &Actor) -> bool {
    let now = Clock::system().now().since_epoch();
    Key::new(secret.as_bytes()).verify(user.token.as_ref().unwrap(), now).is_ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn the_secret_changes_replica_by_replica_and_everyone_stays_signed_in() {
    let stores = TestStores::new(Composition::Servers).await;
    let migrated = replica(&stores, OLD, None).run(&["migrate"]);
    assert_eq!(migrated.code, Some(0), "{migrated:?}");

    // 1. Every replica accepts the new secret, and still signs with the old one.
    let [first, second] = [(); 2].map(|()| replica(&stores, OLD, Some(NEW)));
    let (first, second) = (first.serve(&[]), second.serve(&[]));
    let early = first.anonymous().register_and_sign_in("early@example.com").await;
    assert_status(&[&first, &second], &early, 200).await;
    assert!(sibling_accepts(OLD, &early) && !sibling_accepts(NEW, &early));

    // 2. They sign with the new one, one replica after the other.
    first.end("TERM");
    let third = replica(&stores, NEW, Some(OLD)).serve(&[]);
    let late = third.anonymous().register_and_sign_in("late@example.com").await;
    let between = second.anonymous().sign_in("late@example.com", PASSWORD).await;
    for user in [&early, &late, &between] {
        assert_status(&[&second, &third], user, 200).await;
    }
    assert!(sibling_accepts(NEW, &late) && !sibling_accepts(OLD, &late));
    assert!(sibling_accepts(OLD, &between) && !sibling_accepts(NEW, &between));

    // 3. Once the old tokens have expired, the old secret is removed.
    second.end("TERM");
    let fourth = replica(&stores, NEW, None).serve(&[]);
    assert_status(&[&third, &fourth], &late, 200).await;
    assert_status(&[&third], &early, 200).await;
    assert_status(&[&fourth], &early, 401).await;
    assert_status(&[&fourth], &between, 401).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_embedded_stores_own_secret_can_be_changed_too() {
    let program = Program::new();
    let service = program.serve(&[]);
    let alice = service.anonymous().register_and_sign_in("alice@example.com").await;
    service.end("TERM");

    let (current, previous) = (program.data("jwt-secret"), program.data("jwt-secret-previous"));
    fs::rename(&current, &previous).unwrap();
    let program = program.with("JWT_SECRET_KEY_PREVIOUS_FILE", previous.to_str().unwrap());
    let service = program.serve(&[]);
    assert_status(&[&service], &alice, 200).await;
    let again = service.anonymous().sign_in("alice@example.com", PASSWORD).await;
    let [new, old] = [&current, &previous].map(|path| fs::read_to_string(path).unwrap());
    assert!(sibling_accepts(new.trim(), &again) && !sibling_accepts(old.trim(), &again));
    service.end("TERM");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_previous_secret_that_still_signs_is_warned_about() {
    let program = Program::new();
    program.serve(&[]).end("TERM");
    let path = program.data("jwt-secret");
    let path = path.to_str().unwrap();
    let program = program.with("JWT_SECRET_KEY_PREVIOUS_FILE", path);
    let ended = program.serve(&[]).end("TERM");
    let warning = format!("⚠️ JWT_SECRET_KEY_PREVIOUS entry 1 is the same as {path}");
    assert!(ended.stderr.contains(&warning), "{ended:?}");
    assert!(!ended.stderr.contains(fs::read_to_string(path).unwrap().trim()), "{ended:?}");
}
