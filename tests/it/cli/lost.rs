//! A lost database is not replaced by a new one unless the operator requests it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::{SET, SETUP, assert_failed, assert_printed};
use crate::harness::{PASSWORD, Program, Service};
use crate::outages::NO_DATABASE;

const REFUSED: &str = "❌ The database is missing or empty; not creating a new one";

/// Returns the sentence about a missing database.
fn missing(program: &Program) -> String {
    format!(
        "{} is missing, though a service has run in this folder: put it back, or a backup of it \
         (`discogsography-api restore FILE`), or start with an empty one: `serve --new-database`",
        program.data("discogsography.db").display()
    )
}

/// Runs a service, registers alice, and stops it.
async fn with_alice(program: &Program) {
    let service = program.serve(&["serve"]);
    assert_eq!(register(&service, "alice").await, 201);
    assert_eq!(service.end("TERM").code, Some(0));
}

async fn register(service: &Service, name: &str) -> u16 {
    service.anonymous().register(&format!("{name}@example.com"), PASSWORD).await.status
}

async fn sign_in(service: &Service, name: &str) -> u16 {
    service.anonymous().login(&format!("{name}@example.com"), PASSWORD).await.status
}

async fn wait_until_healthy(service: &Service) {
    while service.health().await.status != 200 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_database_is_reported_until_it_is_put_back() {
    let program = Program::new();
    with_alice(&program).await;
    let (path, moved) = (program.data("discogsography.db"), program.folder().join("moved.db"));
    fs::rename(&path, &moved).unwrap();
    let left = ["discogsography.lock", "jwt-secret", "master-key"];
    assert_eq!(program.data_names(), left);

    for arguments in [&["migrate"][..], &["admin", "list"], &["discogs-setup", "--show"]] {
        let error = format!("error: the database is lost: {}", missing(&program));
        assert_failed(&program.run(arguments), 1, &error);
    }
    let service = program.start(&["serve"], REFUSED);
    let health = service.health().await;
    assert_eq!((health.status, &health.json()["status"]), (503, &"unhealthy".into()));
    let refused = service.anonymous().register("bob@example.com", PASSWORD).await;
    refused.assert_error(503, "database_unavailable", NO_DATABASE);
    assert_eq!(program.data_names(), left);

    fs::copy(&moved, &path).unwrap();
    wait_until_healthy(&service).await;
    assert_eq!(sign_in(&service, "alice").await, 200);
    let log = service.end("TERM").stderr;
    assert_eq!(log.matches(REFUSED).count(), 1, "{log}");
    assert!(log.contains(&missing(&program)), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_database_is_replaced_only_on_request() {
    let empty: fn(&Path) = |path| fs::write(path, "").unwrap();
    for (lose, kept) in [(empty, true), (|path: &Path| fs::remove_file(path).unwrap(), false)] {
        let program = Program::new();
        with_alice(&program).await;
        lose(&program.data("discogsography.db"));
        drop(program.start(&["serve"], REFUSED));
        let service = program.serve(&["serve", "--new-database"]);
        assert_eq!(sign_in(&service, "alice").await, 401);
        assert_eq!(register(&service, "bob").await, 201);
        assert_eq!(service.end("TERM").code, Some(0));
        let service = program.serve(&["serve"]);
        assert_eq!(sign_in(&service, "bob").await, 200);
        assert_eq!(program.data("discogsography.db.old-1").exists(), kept);
        assert!(!program.data("first-start").exists());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_database_never_replaces_an_existing_one() {
    let program = Program::new();
    with_alice(&program).await;
    let service = program.serve(&["serve", "--new-database"]);
    assert_eq!(sign_in(&service, "alice").await, 200);
    let log = service.end("TERM").stderr;
    assert!(log.contains("⚠️ --new-database has no effect"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pending_writes_of_a_lost_database_do_not_get_into_a_new_one() {
    let program = Program::new();
    let service = program.serve(&["serve"]);
    assert_eq!(register(&service, "alice").await, 201);
    assert_eq!(service.end("KILL").code, None);
    let wal = fs::read(program.data("discogsography.db-wal")).unwrap();
    assert!(!wal.is_empty());
    // Only the `-wal` file is left as a sign of the database.
    for name in ["discogsography.db", "discogsography.lock", "jwt-secret"] {
        fs::remove_file(program.data(name)).unwrap();
    }
    drop(program.start(&["serve"], REFUSED));
    let service = program.serve(&["serve", "--new-database"]);
    assert_eq!(sign_in(&service, "alice").await, 401);
    assert_eq!(fs::read(program.data("discogsography.db.old-1-wal")).unwrap(), wal);
}

fn make_older(path: &Path, by: Duration) {
    let file = fs::File::options().append(true).open(path).unwrap();
    let written = file.metadata().unwrap().modified().unwrap();
    file.set_modified(written.checked_sub(by).unwrap()).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_start_that_was_killed_is_repeated() {
    // The files that a first start creates, in this order.
    let files = ["first-start", "discogsography.lock", "jwt-secret", "discogsography.db.x.half"];
    for count in 0..=files.len() {
        let program = Program::new();
        fs::create_dir(program.data("")).unwrap();
        for name in &files[..count] {
            let content =
                if *name == "jwt-secret" { "0123456789abcdef0123456789abcdef" } else { "" };
            fs::write(program.data(name), content).unwrap();
            make_older(&program.data(name), Duration::from_secs(2 * 60 * 60));
        }
        let service = program.serve(&["serve"]);
        assert_eq!(register(&service, "alice").await, 201, "after {count} files");
        assert_eq!(service.end("KILL").code, None);
        let service = program.serve(&["serve"]);
        assert_eq!(sign_in(&service, "alice").await, 200, "after {count} files");
        assert_eq!(service.end("TERM").code, Some(0));
        let names = ["discogsography.db", "discogsography.lock", "jwt-secret", "master-key"];
        assert_eq!(program.data_names(), names, "after {count} files");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_start_mark_beside_a_database_is_removed() {
    let program = Program::new();
    with_alice(&program).await;
    fs::write(program.data("first-start"), "").unwrap();
    let service = program.serve(&["serve"]);
    assert_eq!(sign_in(&service, "alice").await, 200);
    assert!(!program.data("first-start").exists());
}

#[test]
fn a_command_may_come_before_the_first_start() {
    let program = Program::new();
    assert_printed(&program.run(&SETUP), SET);
    assert_eq!(program.data_names(), ["discogsography.db"]);
    assert_eq!(program.serve(&["serve"]).end("TERM").code, Some(0));
}

#[test]
fn a_first_start_waits_for_migrate_if_auto_migrate_is_off() {
    let program = Program::new().with("AUTO_MIGRATE", "off");
    let behind = "❌ The schema is behind and AUTO_MIGRATE is off";
    for _ in 0..2 {
        drop(program.start(&["serve"], behind));
    }
    assert_eq!(program.run(&["migrate"]).code, Some(0));
    assert_eq!(program.serve(&["serve"]).end("TERM").code, Some(0));
    assert!(!program.data("first-start").exists());
}
