//! `takeover check`: what it finds, and that it changes nothing.

use std::time::Duration;

use discogs_sandbox::Sandbox;
use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::doctor::scene::{self, CONSUMER_KEY, CONSUMER_SECRET, JWT_SECRET, MASTER_KEY};
use crate::harness::{Composition, Outcome, PrivateRedis, Program, TestStores};

const LATER_ROWS: &str = include_str!("later_rows.sql");
const PASSWORD: &str = "a-password-of-a-role";

/// The stores of a Python service, and a program that may only read them.
struct Python {
    stores: TestStores,
    redis: PrivateRedis,
    role: String,
    program: Program,
    /// Stands for Discogs.
    _sandbox: Sandbox,
}

impl Python {
    /// Creates the database of the first version.
    async fn first() -> Self {
        let python = Self::on(super::seeded().await).await;
        let consumer = format!(
            "update app_config set value = '{CONSUMER_KEY}' where key = 'discogs_consumer_key';
             update app_config set value = '{CONSUMER_SECRET}' where key = 'discogs_consumer_secret'"
        );
        python.sql(&consumer).await;
        python
    }

    /// Creates the database of a later version.
    async fn later() -> Self {
        let python = Self::first().await;
        python.sql(super::LATER_SCHEMA).await;
        python.sql(LATER_ROWS).await;
        python
            .sql(&format!("grant select on all tables in schema public to \"{}\"", python.role))
            .await;
        python
    }

    async fn on(stores: TestStores) -> Self {
        let (redis, sandbox) = (PrivateRedis::start().await, scene::sandbox(Duration::ZERO).await);
        let role = format!("reader-of-{}", stores.database().name);
        let mut program = Program::new();
        for (name, value) in stores.variables() {
            program = program.with(&name, &value);
        }
        program = program
            .with("POSTGRES_USERNAME", &role)
            .with("POSTGRES_PASSWORD", PASSWORD)
            .with("REDIS_URL", &redis.url())
            .with("JWT_SECRET_KEY", JWT_SECRET)
            .with("DISCOGS_API_URL", &sandbox.url())
            .with("DISCOGS_WEB_URL", &sandbox.url());
        let python = Self { stores, redis, role, program, _sandbox: sandbox };
        let role = &python.role;
        python
            .sql(&format!(
                "create role \"{role}\" login password '{PASSWORD}';
                 grant select on all tables in schema public to \"{role}\""
            ))
            .await;
        python
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.program = self.program.with(name, value);
        self
    }

    async fn sql(&self, statements: &str) {
        self.stores.database().client().await.batch_execute(statements).await.unwrap();
    }

    /// Returns the report; its exit code has to fit its severity.
    fn check(&self) -> Value {
        let outcome = self.program.run(&["takeover", "check", "--json"]);
        let report = scene::report(&outcome);
        assert_eq!(outcome.code, Some(i32::from(report["severity"] == "error")), "{report:#}");
        report
    }

    /// Drops the role, which would outlive the test's database.
    async fn end(self) {
        let role = &self.role;
        self.sql(&format!("drop owned by \"{role}\"; drop role \"{role}\"")).await;
    }
}

#[track_caller]
fn what(report: &Value, check: &str, severity: &str) -> String {
    scene::finding(report, check, severity)["what"].as_str().unwrap().to_owned()
}

/// Returns how often each table was written, once no other connection can still report writes.
async fn writes(client: &Client) -> Vec<(String, i64)> {
    let others = "select count(*) from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid()";
    while client.query_one(others, &[]).await.unwrap().get::<_, i64>(0) > 0 {
        tokio::task::yield_now().await;
    }
    let writes = "select relname::text, n_tup_ins + n_tup_upd + n_tup_del
        from pg_stat_user_tables order by 1";
    let rows = client.query(writes, &[]).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// Returns how often Redis's data was changed.
async fn redis_changes(redis: &PrivateRedis) -> String {
    let client = redis::Client::open(redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut info = redis::cmd("INFO");
    let info: String = info.arg("persistence").query_async(&mut connection).await.unwrap();
    let is_changes = |line: &&str| line.starts_with("rdb_changes_since_last_save:");
    info.lines().find(is_changes).unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn the_first_version_is_described() {
    let python = Python::first().await;
    let report = python.check();
    assert_eq!(report["severity"], "warning", "{report:#}");
    let schema: Vec<_> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|finding| finding["check"] == "schema")
        .map(|finding| (finding["severity"].clone(), finding["what"].clone()))
        .collect();
    let expected = [
        ("ok", "The tables are those of the first release of the Python service".to_owned()),
        (
            "note",
            "The first start adds api_migrations, users.is_admin, known_addresses, \
             users.flow_epoch, users.totp_enabled, api_encryption, users.totp_secret; it changes \
             no row"
                .to_owned(),
        ),
        (
            "note",
            format!("The role {} is enough for this check, but not for the service", python.role),
        ),
    ];
    assert_eq!(schema, expected.map(|(severity, what)| (json!(severity), json!(what))));
    for (check, severity, expected) in [
        ("users", "ok", "2 of 4 users can sign in with their password; deactivated: 1"),
        (
            "users",
            "warning",
            "The password hash of 1 user (unreadable@example.com) is not one of the Python service",
        ),
        ("second_factors", "ok", "No user has two-factor sign-in"),
        ("connections", "ok", "1 user is connected to Discogs"),
        ("stored_secrets", "ok", "The stored secrets are plain text (all 4 rows)"),
        ("pending_flows", "ok", "No user is connecting Discogs now"),
        (
            "python_compat",
            "ok",
            "PYTHON_COMPAT is off, and no newer release of the Python service was found",
        ),
        ("app_credentials", "ok", "Discogs accepts the app's credentials"),
    ] {
        assert_eq!(what(&report, check, severity), expected);
    }
    python.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn a_later_version_is_described() {
    let python = Python::later().await.with("ENCRYPTION_MASTER_KEY", MASTER_KEY);
    python.redis.command(&["set", "revoked:jti:abc", "1", "ex", "600"]).await;
    python.redis.command(&["set", "password_changed:xyz", "1790000000"]).await;
    python.redis.command(&["set", "discogs:oauth:state:token", "secret", "ex", "600"]).await;
    let report = python.check();
    for (check, severity, expected) in [
        ("users", "ok", "1 of 4 users can sign in with their password; deactivated: 1"),
        (
            "second_factors",
            "error",
            "Two-factor sign-in is on, so this service refuses the sign-in: 1 user \
             (localhost-only@localhost)",
        ),
        (
            "pending_flows",
            "note",
            "1 user is connecting Discogs now, and would have to start again",
        ),
        (
            "python_compat",
            "error",
            "PYTHON_COMPAT is off: 2 revocations of the Python service are ignored",
        ),
        ("app_credentials", "ok", "Discogs accepts the app's credentials"),
    ] {
        assert_eq!(what(&report, check, severity), expected);
    }
    let findings = report["findings"].as_array().unwrap();
    let all: Vec<_> = findings.iter().map(|finding| finding["what"].as_str().unwrap()).collect();
    for expected in [
        "The tables are those of a newer release of the Python service, with app_tokens, admin_audit_log, \
         users.password_changed_at, users.totp_enabled, users.totp_secret, \
         users.totp_recovery_codes",
        "The first start adds api_migrations, users.is_admin, known_addresses, users.flow_epoch, api_encryption; it \
         changes no row",
        "1 row of oauth_tokens is plain text",
        "2 rows of app_config are plain text",
    ] {
        assert!(all.contains(&expected), "{expected}\n{all:#?}");
    }
    let python = python.with("PYTHON_COMPAT", "on");
    let report = python.check();
    let compat = "PYTHON_COMPAT is on: 2 revocations of the Python service are respected";
    assert_eq!(what(&report, "python_compat", "ok"), compat);
    python.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn a_missing_or_wrong_key_is_named() {
    let python = Python::later().await;
    python.sql("update users set totp_enabled = false").await;
    let report = python.check();
    let errors = |report: &Value| -> Vec<_> {
        let findings = report["findings"].as_array().unwrap().iter();
        findings
            .filter(|finding| finding["severity"] == "error")
            .map(|finding| {
                let what = finding["what"].as_str().unwrap();
                // A row's id is random.
                (finding["check"].clone(), what.split(": ").next().unwrap().to_owned())
            })
            .collect()
    };
    let of = |why: &str| {
        ["oauth_tokens", "users"].map(|table| {
            let what = format!("1 row of {table} is encrypted, and {why}");
            (json!("stored_secrets"), what)
        })
    };
    assert_eq!(errors(&report), of("there is no key"));
    let other = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let python = python.with("ENCRYPTION_MASTER_KEY", other);
    assert_eq!(errors(&python.check()), of("no configured key decrypts it"));
    let python = python.with("ENCRYPTION_MASTER_KEY_PREVIOUS", MASTER_KEY);
    assert_eq!(errors(&python.check()), []);
    python.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn nothing_is_written() {
    let python = Python::later().await.with("ENCRYPTION_MASTER_KEY", MASTER_KEY);
    python.redis.command(&["set", "revoked:jti:abc", "1", "ex", "600"]).await;
    let client = python.stores.database().client().await;
    let before = (writes(&client).await, redis_changes(&python.redis).await);
    assert!(before.0.iter().any(|(table, count)| table == "users" && *count > 0), "{before:?}");
    python.check();
    assert_eq!((writes(&client).await, redis_changes(&python.redis).await), before);
    python.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn every_row_of_a_large_database_is_counted() {
    let python = Python::first().await;
    python
        .sql(
            "insert into users (email, hashed_password)
             select 'user-' || number || '@example.com', repeat('ab', 32) || ':' || repeat('cd', 32)
             from generate_series(1, 2500) as number;
             insert into oauth_tokens (user_id, provider, access_token, access_secret)
             select id, 'discogs', 'token', 'secret' from users where email like 'user-%'",
        )
        .await;
    let report = python.check();
    assert!(what(&report, "users", "ok").starts_with("2502 of 2504 users "), "{report:#}");
    let secrets = "The stored secrets are plain text (all 2504 rows)";
    assert_eq!(what(&report, "stored_secrets", "ok"), secrets);
    assert_eq!(what(&report, "connections", "ok"), "2501 users are connected to Discogs");
    python.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn a_database_that_can_t_be_taken_over_is_refused() {
    let python = Python::first().await;
    python.sql(&format!("revoke select on users from \"{}\"", python.role)).await;
    let report = python.check();
    let expected = format!("The role {} is not allowed to read the tables", python.role);
    assert_eq!(what(&report, "database", "error"), expected);
    python.end().await;
    for (tables, reason) in [
        ("", "the database has no tables of a Python service"),
        (
            "create table users (number int)",
            "the tables of the database are not those of this service: `users` has no column `created_at`. \
             Use a database of its own",
        ),
    ] {
        let stores = TestStores::new(Composition::Servers).await;
        stores.database().client().await.batch_execute(tables).await.unwrap();
        let python = Python::on(stores).await;
        let report = python.check();
        let expected = format!("This is not the database of a Python service: {reason}");
        assert_eq!(what(&report, "database", "error"), expected);
        python.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn after_the_first_start_nothing_is_left_to_add() {
    let python = Python::later().await.with("ENCRYPTION_MASTER_KEY", MASTER_KEY);
    let owner = crate::harness::test_servers();
    let python = python
        .with("POSTGRES_USERNAME", &owner.postgres_username)
        .with("POSTGRES_PASSWORD", &owner.postgres_password);
    let migrated = python.program.run(&["migrate"]);
    assert_eq!(migrated.code, Some(0), "{migrated:?}");
    let report = python.check();
    let schema: Vec<_> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|finding| finding["check"] == "schema")
        .map(|finding| finding["what"].as_str().unwrap())
        .collect();
    let shape = "The tables are those of a newer release of the Python service, with app_tokens, admin_audit_log, \
                 users.password_changed_at, users.totp_recovery_codes";
    assert_eq!(schema, [shape, "The first start changes nothing in the schema"]);
    python.end().await;
}

#[test]
fn without_servers_there_is_nothing_to_take_over() {
    let program = Program::new();
    let outcome: Outcome = program.run(&["takeover", "check"]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(
        outcome.stdout.contains("  ERROR    No variable names the PostgreSQL of a Python service"),
        "{outcome:?}"
    );
    assert!(program.left_nothing());
    let outcome = program.run(&["--sandbox", "takeover", "check"]);
    let error = "error: takeover check reads the stores of a Python service: omit --sandbox\n";
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(2), error));
}
