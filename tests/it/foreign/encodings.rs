//! Encodings that lack characters.
//!
//! They are refused for a new database. A database that already has the service's tables is used
//! for the text that it can store.

use std::fs;
use std::path::Path;

use discogs_sandbox::Identity;
use serde_json::json;

use super::{SEED, everything, finding, program};
use crate::connect::{UNAVAILABLE, assert_refusal, connect};
use crate::harness::{Composition, PASSWORD, Setup, TestDatabase, TestStores};

/// Only Unicode encodings have all of these characters.
const UNTRANSLATABLE: &str = "ディガー@example.com";

const ENCODING: &str = "❌ The database's encoding can't store every character: move to UTF8";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn an_encoding_that_lacks_characters_is_refused() {
    for (encoding, is_good) in [("LATIN1", false), ("WIN1252", false), ("SQL_ASCII", true)] {
        let database = TestDatabase::with_encoding(encoding).await;
        let before = everything(&database).await;
        let program = program(&database.name);
        if is_good {
            let migrated = program.run(&["migrate"]);
            assert_eq!(migrated.code, Some(0), "{migrated:?}");
            continue;
        }
        let expected = format!(
            "PostgreSQL can't be used: the encoding of the database is {encoding}, which can't \
             represent every character of names and addresses: use a database with the encoding UTF8"
        );
        assert_eq!(finding(&program)["what"], json!(expected));
        let service = program.start(&[], "❌");
        assert_eq!(service.health().await.status, 503);
        assert!(service.end("TERM").stderr.contains(encoding));
        assert_eq!(everything(&database).await, before);
    }
}

/// Creates a LATIN1 database as an earlier version left it: without the last migration.
async fn migrated_before() -> TestDatabase {
    let database = TestDatabase::with_encoding("LATIN1").await;
    let client = database.client().await;
    client.batch_execute(SEED).await.unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/postgres");
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let mut files: Vec<_> = files.collect();
    files.sort();
    files.pop();
    let table = "create table api_migrations (
        number integer primary key,
        name text not null,
        applied_at timestamptz not null default now()
    )";
    client.batch_execute(table).await.unwrap();
    for file in files {
        client.batch_execute(&fs::read_to_string(&file).unwrap()).await.unwrap();
        let (number, name) = file.file_stem().unwrap().to_str().unwrap().split_once('_').unwrap();
        let insert = format!("insert into api_migrations values ({number}, '{name}')");
        client.batch_execute(&insert).await.unwrap();
    }
    database
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn a_database_that_was_migrated_before_is_used_and_the_encoding_is_told() {
    let database = migrated_before().await;
    let program = program(&database.name);
    let outcome = program.run(&["doctor", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
    let findings = report["findings"].as_array().unwrap().iter();
    let errors = findings.filter(|it| it["check"] == "database" && it["severity"] == "error");
    let [error] = errors.collect::<Vec<_>>()[..] else { panic!("{report:#}") };
    let what = "The encoding of the database is LATIN1: users whose email address or Discogs username has \
                a character that it lacks can't register or connect";
    assert_eq!(error["what"], json!(what));
    let program = super::program(&database.name)
        .with("ADMIN_EMAIL", UNTRANSLATABLE)
        .with("ADMIN_PASSWORD", PASSWORD);
    let service = program.serve(&[]);
    assert_eq!(service.health().await.status, 200);
    let log = service.end("TERM").stderr;
    let said: Vec<_> = log.lines().filter(|line| line.contains('❌')).collect();
    let [said] = said[..] else { panic!("{log}") };
    assert!(said.contains(ENCODING) && said.contains("LATIN1"), "{said}");
    assert!(log.contains("can't store ADMIN_EMAIL"), "{log}");
    let show = program.run(&["user", "show", UNTRANSLATABLE]);
    assert_eq!(show.code, Some(1), "{show:?}");
    assert!(show.stderr.contains("no user has the address or id"), "{show:?}");
    let grant = program.run(&["admin", "grant", UNTRANSLATABLE]);
    assert_eq!(grant.code, Some(1), "{grant:?}");
    assert!(grant.stderr.contains("no user is registered as"), "{grant:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn what_the_encoding_lacks_is_refused_and_the_rest_works() {
    let mut stores = TestStores::new(Composition::Servers).await;
    let database = migrated_before().await;
    database.client().await.batch_execute("delete from app_config").await.unwrap();
    stores.servers.as_mut().unwrap().0 = database;
    let app = Setup::new(Composition::Servers).start_on(stores).await;
    let jurgen = app.anonymous().register_and_sign_in("jürgen@example.com").await;
    assert_eq!(jurgen.me().await.json()["email"], "jürgen@example.com");
    for email in [UNTRANSLATABLE, "łukasz@example.com", "digger@example🎧.com"] {
        let registered = app.anonymous().register(email, PASSWORD).await;
        registered.assert_refused("email", "value_error", "Value error, Invalid email address");
        let login = app.anonymous().login(email, PASSWORD).await;
        login.assert_error(401, "invalid_credentials", "Incorrect email or password");
    }
    let state = jurgen.start().await;
    let identity = Identity { id: 7, username: "ディガー".to_owned() };
    let pin = app.sandbox.approve_as(&state, identity).unwrap();
    for _ in 0..2 {
        assert_refusal(&jurgen.verify(&state, &pin).await, UNAVAILABLE);
    }
    jurgen.status().await.assert(200, &json!({ "connected": false }));
    connect(&app, &jurgen).await;
    let metrics = app.client.get(format!("{}/metrics", app.health_url)).send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    assert!(metrics.contains("\ndiscogsography_storage_errors_total 0\n"), "{metrics}");
}
