//! Foreign databases and files, and encodings that lack characters.
//!
//! They are left unchanged, and the problem is reported once.

mod encodings;

use std::fs;

use discogsography_api::config::Migrations;
use discogsography_api::storage::StorageError;
use serde_json::json;

use crate::harness::{
    Composition, Opened, Program, TestDatabase, TestStores, free_port, test_servers,
};

const SEED: &str = include_str!("seed_schema.sql");

/// A table with the service's own names and types; each case changes one line.
const USERS: &str = "
    create table users (
        id uuid primary key default gen_random_uuid(),
        email varchar(255) not null constraint users_email_key unique,
        hashed_password varchar(255) not null,
        is_active boolean default true,
        created_at timestamptz default now(),
        updated_at timestamptz default now()
    );";

/// Returns databases of other applications, each with the message about it.
fn others() -> Vec<(String, &'static str)> {
    let differing = |from: &str, to: &str| {
        assert!(USERS.contains(from));
        USERS.replace(from, to)
    };
    vec![
        (
            "create table users (
                 id uuid primary key, email text unique, password_hash text, created_at timestamptz
             );
             insert into users values (gen_random_uuid(), 'theirs@example.com', 'x', now())"
                .to_owned(),
            "`users.email` is text, not character varying(255)",
        ),
        (
            "create table users (id bigserial primary key, name text)".to_owned(),
            "`users` has no column `created_at`",
        ),
        (differing("is_active boolean", "active boolean"), "`users` has no column `is_active`"),
        (
            differing("created_at timestamptz", "created_at timestamp"),
            "`users.created_at` is timestamp without time zone, not timestamp with time zone",
        ),
        (
            differing("is_active boolean", "is_admin text, is_active boolean"),
            "`users.is_admin` is text, not boolean",
        ),
        (
            differing("is_active boolean", "totp_enabled text, is_active boolean"),
            "`users.totp_enabled` is text, not boolean",
        ),
        (
            differing("constraint users_email_key unique", ""),
            "`users` has no unique constraint on (email)",
        ),
        (
            format!(
                "{USERS} create table app_config (id serial primary key, key text, value jsonb)"
            ),
            "`app_config.key` is text, not character varying(255)",
        ),
        (
            "create table oauth_tokens (id uuid primary key, token text)".to_owned(),
            "`oauth_tokens` has no column `access_secret`",
        ),
        (
            "create table known_addresses (id serial primary key, street text)".to_owned(),
            "`known_addresses` has no column `account`",
        ),
        (
            "create table api_migrations (version text primary key)".to_owned(),
            "`api_migrations` has no column `name`",
        ),
        ("create view users as select 1 as id".to_owned(), "`users` is not a table"),
    ]
}

fn not_ours(difference: &str) -> String {
    format!(
        "the tables of the database are not those of this service: {difference}. Use a database of \
         its own"
    )
}

/// Returns the database's relations and columns, and the rows of `users`.
async fn everything(database: &TestDatabase) -> Vec<String> {
    let client = database.client().await;
    let relations = "select coalesce(string_agg(entry::text, '\n' order by entry.oid), '')
        from pg_class as entry
        where relnamespace = 'public'::regnamespace";
    let columns = "select coalesce(string_agg(entry::text, '\n' order by entry::text), '')
        from information_schema.columns as entry
        where table_schema = 'public'";
    let rows =
        "select coalesce(query_to_xml('select xmin, * from users', true, true, '')::text, '')";
    let mut found = Vec::new();
    for query in [relations, columns, rows] {
        if let Ok(row) = client.query_one(query, &[]).await {
            found.push(row.get(0));
        }
    }
    found
}

fn program(database: &str) -> Program {
    let servers = test_servers();
    let mut program = Program::new();
    for (name, value) in [
        ("POSTGRES_ADDRESS", servers.postgres_address.as_str()),
        ("POSTGRES_USERNAME", &servers.postgres_username),
        ("POSTGRES_PASSWORD", &servers.postgres_password),
        ("POSTGRES_DATABASE", database),
        ("REDIS_URL", &servers.redis_url),
        ("JWT_SECRET_KEY", "0123456789abcdef0123456789abcdef"),
        ("DISCOGS_API_URL", &format!("https://127.0.0.1:{}", free_port())),
    ] {
        program = program.with(name, value);
    }
    program
}

/// Returns the only finding about the database.
fn finding(program: &Program) -> serde_json::Value {
    let outcome = program.run(&["doctor", "--json"]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    let report: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
    let findings = report["findings"].as_array().unwrap().iter();
    let [finding] = findings.filter(|it| it["check"] == "database").collect::<Vec<_>>()[..] else {
        panic!("{report:#}");
    };
    finding.clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn tables_of_another_application_are_left_alone() {
    for (tables, difference) in others() {
        let opened = Opened::unprepared(TestStores::new(Composition::Servers).await);
        let database = opened.stores.database();
        database.client().await.batch_execute(&tables).await.unwrap();
        let before = everything(database).await;
        let expected = not_ours(difference);
        for migrations in [Migrations::Automatic, Migrations::Manual] {
            let error = opened.storage.prepare(migrations).await.unwrap_err();
            assert!(matches!(error, StorageError::Incompatible(_)), "{error:?}");
            assert_eq!(error.to_string(), expected);
        }
        let finding = finding(&program(&database.name));
        let what = format!("PostgreSQL can't be used: {expected}");
        assert_eq!((&finding["severity"], &finding["what"]), (&json!("error"), &json!(what)));
        assert_eq!(everything(database).await, before, "{tables}");
    }
}

/// So the service knows every column that its migrations make, with its type.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn each_of_our_columns_is_refused_with_another_type() {
    let opened = Opened::new(Composition::Servers).await;
    let client = opened.stores.database().client().await;
    client.batch_execute("drop table api_migrations").await.unwrap();
    let columns = "
        select attrelid::regclass::text, attname::text, format_type(atttypid, atttypmod)
        from pg_attribute
        join pg_class on pg_class.oid = attrelid
        where relnamespace = 'public'::regnamespace and relkind = 'r'
            and attnum > 0 and not attisdropped";
    let columns = client.query(columns, &[]).await.unwrap();
    assert!(columns.len() > 20, "only {} columns", columns.len());
    for row in columns {
        let [table, column, kind]: [String; 3] = [0, 1, 2].map(|index| row.get(index));
        let replace = format!(
            "alter table {table} rename {column} to kept; alter table {table} add {column} point"
        );
        client.batch_execute(&replace).await.unwrap();
        let error = opened.storage.prepare(Migrations::Manual).await.unwrap_err();
        let difference = format!("`{table}.{column}` is point, not {kind}");
        assert_eq!(error.to_string(), not_ours(&difference));
        let restore = format!(
            "alter table {table} drop {column}; alter table {table} rename kept to {column}"
        );
        client.batch_execute(&restore).await.unwrap();
    }
    let error = opened.storage.prepare(Migrations::Manual).await.unwrap_err();
    assert!(matches!(error, StorageError::SchemaBehind { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn a_service_on_another_applications_tables_is_unhealthy_and_says_why_once() {
    let database = TestDatabase::empty().await;
    let (tables, difference) = others().remove(0);
    database.client().await.batch_execute(&tables).await.unwrap();
    let before = everything(&database).await;
    let program = program(&database.name);
    let service = program.start(&[], "❌");
    let health = service.health().await;
    assert_eq!((health.status, &health.json()["status"]), (503, &json!("unhealthy")));
    let log = service.end("TERM").stderr;
    let said: Vec<_> = log.lines().filter(|line| line.contains('❌')).collect();
    let [said] = said[..] else { panic!("{log}") };
    assert!(said.contains(difference), "{said}");
    let migrated = program.run(&["migrate"]);
    assert_eq!((migrated.code, migrated.stdout.as_str()), (Some(1), ""), "{migrated:?}");
    assert_eq!(everything(&database).await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn more_columns_than_ours_are_fine() {
    let opened = Opened::unprepared(TestStores::new(Composition::Servers).await);
    let client = opened.stores.database().client().await;
    client.batch_execute(SEED).await.unwrap();
    let later = "alter table users
        add column is_admin boolean not null default false,
        add column password_changed_at timestamptz,
        add column totp_secret varchar,
        add column totp_enabled boolean not null default false,
        add column totp_recovery_codes jsonb,
        add column totp_failed_attempts integer not null default 0,
        add column totp_locked_until timestamptz;
        create table app_tokens (id uuid primary key)";
    client.batch_execute(later).await.unwrap();
    assert!(!opened.storage.prepare(Migrations::Automatic).await.unwrap().is_empty());
    assert!(opened.storage.user_by_email("digger@example.com").await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_of_another_program_is_left_as_it_is() {
    let tables =
        "create table users (id integer primary key, name text); insert into users values (1, 'x')";
    for theirs in [tables, "create table notes (text)", "pragma application_id = 1196444487"] {
        for journal in ["delete", "wal"] {
            let program = Program::new().with("DISCOGS_API_URL", "https://127.0.0.1:1");
            fs::create_dir(program.data("")).unwrap();
            let path = program.data("discogsography.db");
            let connection = rusqlite::Connection::open(&path).unwrap();
            connection.pragma_update(None, "journal_mode", journal).unwrap();
            connection.execute_batch(theirs).unwrap();
            connection.close().unwrap();
            let before = fs::read(&path).unwrap();
            let finding = finding(&program);
            assert!(finding["what"].as_str().unwrap().contains("another program's"), "{finding:#}");
            let service = program.start(&[], "❌");
            assert_eq!(service.health().await.status, 503);
            let log = service.end("TERM").stderr;
            assert_eq!(log.lines().filter(|line| line.contains('❌')).count(), 1, "{log}");
            assert_eq!(fs::read(&path).unwrap(), before, "{theirs}");
            assert_eq!(program.run(&["migrate"]).code, Some(1));
        }
    }
}
