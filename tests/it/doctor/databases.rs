//! Databases that are outdated, too new, altered, unavailable, missing or damaged.

use std::fs;

use crate::harness::{
    Composition, PgBouncer, Program, Setup, certificate, free_port, on_both_setups,
};

use super::scene::{self, Scene};

on_both_setups! {
    an_outdated_schema_is_found_and_not_migrated,
    a_schema_of_a_newer_version_is_only_a_note,
    a_schema_changed_by_other_software_is_found,
    missing_app_credentials_are_found,
}

async fn an_outdated_schema_is_found_and_not_migrated(setup: Setup) {
    let scene = Scene::new(setup.composition).await;
    scene.sql("drop table known_addresses; delete from api_migrations where number = 4").await;
    let behind = "The schema is behind: 0004_known_addresses is missing";
    let finding = scene.finding("schema", "warning");
    assert_eq!(finding["what"], behind);
    let scene = scene.with("AUTO_MIGRATE", "off");
    let finding = scene.finding("schema", "error");
    assert_eq!(
        (&finding["what"], &finding["fix"]),
        (&behind.into(), &"`discogsography-api migrate`".into())
    );
    let migrated = scene.program.run(&["migrate"]);
    assert_eq!(migrated.stdout, "Applied 0004_known_addresses.\n", "{migrated:?}");
    scene.finding("schema", "ok");
}

async fn a_schema_of_a_newer_version_is_only_a_note(setup: Setup) {
    let scene = Scene::new(setup.composition).await;
    scene.sql("insert into api_migrations (number, name) values (9999, 'sleeves')").await;
    let what = "A newer version used this database and applied 9999_sleeves";
    assert_eq!(scene.finding("schema", "note")["what"], what);
}

async fn a_schema_changed_by_other_software_is_found(setup: Setup) {
    let scene = Scene::new(setup.composition).await;
    scene.sql("alter table users rename column is_admin to is_boss").await;
    let finding = scene.finding("schema", "error");
    let what = finding["what"].as_str().unwrap();
    assert!(what.starts_with("The schema was changed by other software: "), "{what}");
}

async fn missing_app_credentials_are_found(setup: Setup) {
    let scene = Scene::new(setup.composition).await;
    scene.sql("delete from app_config where key = 'discogs_consumer_secret'").await;
    let what = "Only one of the app's consumer key and secret is set: users can't connect Discogs";
    assert_eq!(scene.finding("app_credentials", "warning")["what"], what);
    assert_eq!(scene.program.run(&["discogs-setup", "--unset"]).code, Some(0));
    let finding = scene.finding("app_credentials", "warning");
    assert!(finding["fix"].as_str().unwrap().contains("`discogsography-api discogs-setup"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn an_unavailable_postgresql_does_not_prevent_other_checks() {
    let scene = Scene::new(Composition::Servers).await;
    for disable in [crate::harness::Proxy::close, crate::harness::Proxy::hang] {
        disable(scene.stores.postgres());
        let (code, report) = scene.doctor();
        assert_eq!(code, Some(1));
        let finding = scene::finding(&report, "database", "error");
        let what = finding["what"].as_str().unwrap();
        assert!(what.starts_with("PostgreSQL can't be used: "), "{what}");
        scene::finding(&report, "app_credentials", "note");
        for other in ["redis", "discogs", "clock"] {
            scene::finding(&report, other, "ok");
        }
        scene.stores.postgres().open();
    }
    let nowhere = format!("127.0.0.1:{}", free_port());
    let scene = scene.with("POSTGRES_ADDRESS", &nowhere);
    let finding = scene.finding("database", "error");
    let what = format!("Nothing listens at {nowhere}: the connection to PostgreSQL is refused");
    assert_eq!(finding["what"], what);
    let scene = scene.with("POSTGRES_ADDRESS", "database.invalid");
    let what = scene.finding("database", "error")["what"].to_string();
    assert!(what.contains("The name `database.invalid` of PostgreSQL does not resolve"), "{what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn a_refused_sign_in_to_postgresql_says_which_variables_to_correct() {
    let scene = Scene::new(Composition::Servers).await;
    let scene = scene.with("POSTGRES_PASSWORD", "canary-wrong-password");
    let finding = scene.finding("database", "error");
    let what = "PostgreSQL can't be used: the sign-in is refused: PostgreSQL says 28P01: password \
                authentication failed for user \"tester\"";
    assert_eq!(finding["what"], what);
    assert!(finding["fix"].as_str().unwrap().contains("POSTGRES_PASSWORD"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn a_missing_database_is_reported_with_the_command_to_create_it() {
    let scene = Scene::new(Composition::Servers).await.with("POSTGRES_DATABASE", "nowhere");
    let fix = scene.finding("database", "error")["fix"].clone();
    assert_eq!(fix, "Correct POSTGRES_DATABASE, or create it: `createdb --owner tester nowhere`");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn a_read_only_database_is_found() {
    let scene = Scene::new(Composition::Servers).await;
    let name = &scene.stores.database().name;
    scene.sql(&format!("alter database {name} set default_transaction_read_only = on")).await;
    let finding = scene.finding("database", "error");
    assert!(finding["what"].as_str().unwrap().starts_with("PostgreSQL accepts no writes"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_service_is_reported_as_ok_and_not_disturbed() {
    let scene = Scene::new(Composition::Embedded).await;
    let service = scene.program.serve(&[]);
    let alice = service.anonymous().register_and_sign_in("alice@example.com").await;
    for check in ["database", "schema", "integrity", "data_dir"] {
        scene.finding(check, "ok");
    }
    assert_eq!(scene.finding("service", "ok")["what"], "A service is using the file");
    assert_eq!(alice.me().await.status, 200);
    assert_eq!(service.health().await.status, 200);
    assert_eq!(service.end("TERM").code, Some(0));
    assert_eq!(scene.finding("service", "ok")["what"], "No service is using the file");
}

#[test]
fn a_missing_file_is_reported_and_not_created() {
    let program = Program::new().with("DISCOGS_API_URL", "https://127.0.0.1:1");
    let run_doctor = |program: &Program| scene::report(&program.run(&["doctor", "--json"]));
    let report = run_doctor(&program);
    for check in ["data_dir", "database", "jwt_secret"] {
        scene::finding(&report, check, "note");
    }
    assert!(program.left_nothing());
    let program = program.with("AUTO_MIGRATE", "off");
    let finding = scene::finding(&run_doctor(&program), "database", "error");
    assert_eq!(finding["fix"], "Create it: `discogsography-api migrate`");
    fs::create_dir(program.data("")).unwrap();
    fs::write(program.data("discogsography.lock"), "").unwrap();
    let finding = scene::finding(&run_doctor(&program), "database", "error");
    assert!(finding["what"].as_str().unwrap().ends_with("though a service has run in this folder"));
    assert_eq!(fs::read_dir(program.data("")).unwrap().count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_file_is_found() {
    let scene = Scene::new(Composition::Embedded).await;
    let path = scene.stores.folder.path().join("discogsography.db");
    let mut bytes = fs::read(&path).unwrap();
    let page = bytes.len() / 2;
    bytes[page..].fill(0xA5);
    fs::write(&path, &bytes).unwrap();
    let finding = scene.finding("integrity", "error");
    assert!(finding["fix"].as_str().unwrap().contains("backup"), "{finding:#}");
    fs::write(&path, "no database").unwrap();
    scene.finding("database", "error");
    assert_eq!(fs::read(&path).unwrap(), b"no database");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn an_untrusted_postgresql_is_reported_with_the_variable_to_set() {
    let scene = Scene::new(Composition::Servers).await;
    let scene = scene.with("POSTGRES_SSLMODE", "verify-ca");
    let other = scene.with("POSTGRES_SSLROOTCERT", &certificate("other-ca.pem"));
    let finding = other.finding("database", "error");
    let fix = "Set POSTGRES_SSLROOTCERT to the path of a PEM file with the root certificate that signed \
                the server's certificate";
    assert_eq!(finding["fix"], fix, "{finding:#}");
    let own = other.with("POSTGRES_SSLROOTCERT", &certificate("ca.pem"));
    own.finding("database", "ok");
    let another_name = own.with("POSTGRES_SSLMODE", "verify-full");
    let fix = "Correct POSTGRES_ADDRESS (or DATABASE_URL): use a name that the certificate has";
    assert_eq!(another_name.finding("database", "error")["fix"], fix);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn a_missing_unique_constraint_is_found_and_can_be_restored() {
    for (table, columns, drop) in [
        ("users", "email", "alter table users drop constraint users_email_key"),
        (
            "oauth_tokens",
            "provider, user_id",
            "alter table oauth_tokens drop constraint oauth_tokens_user_id_provider_key",
        ),
        ("app_config", "key", "alter table app_config drop constraint app_config_pkey"),
        (
            "users",
            "email",
            "alter table users drop constraint users_email_key;
             create unique index on users (email) where is_active;
             create unique index on users (lower(email));
             create unique index on users (email, id)",
        ),
    ] {
        let scene = Scene::new(Composition::Servers).await;
        scene.sql(drop).await;
        let finding = scene.finding("schema", "error");
        let what =
            format!("The schema was changed: `{table}` has no unique constraint on ({columns})");
        let fix = format!(
            "Remove rows that have the same ({columns}), then, as the owner of the table: `alter \
             table {table} add unique ({columns})`"
        );
        assert_eq!((&finding["what"], &finding["fix"]), (&what.into(), &fix.into()));
        scene.sql(&format!("alter table {table} add unique ({columns})")).await;
        scene.finding("schema", "ok");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn settings_that_can_lose_data_or_block_requests_are_found() {
    let scene = Scene::new(Composition::Servers).await;
    // The tests' own PostgreSQL runs without fsync.
    let report = scene::whole_report(&scene.program.run(&["doctor", "--json"]));
    let findings = report["findings"].as_array().unwrap();
    let what = "fsync is off: after a crash of the machine, committed data may be lost";
    let finding = findings.iter().find(|finding| finding["what"] == what).unwrap();
    assert_eq!(finding["severity"], "warning");
    assert!(finding["fix"].as_str().unwrap().contains("`alter system set fsync = on`"));
    let name = scene.stores.database().name.clone();
    scene.sql(&format!("alter database {name} set synchronous_commit = off")).await;
    let finding = scene.finding("database", "warning");
    let what = "synchronous_commit is off: after a crash of PostgreSQL, committed data may be lost";
    assert_eq!(finding["what"], what);
    scene.sql(&format!("alter database {name} reset synchronous_commit")).await;
    let scene = scene.with("POSTGRES_STATEMENTS", "unnamed");
    let finding = scene.finding("database", "warning");
    assert_eq!(finding["fix"], "`alter role \"tester\" set statement_timeout = '2s'`");
    scene.sql(&format!("alter database {name} set statement_timeout = '2s'")).await;
    scene.finding("database", "ok");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn a_pooler_that_refuses_settings_is_reported_with_the_variable_to_set() {
    let pooler = PgBouncer::start().await;
    let scene = Scene::new(Composition::Servers).await;
    let scene = scene.with("POSTGRES_ADDRESS", &pooler.address());
    let finding = scene.finding("database", "error");
    let what = finding["what"].as_str().unwrap();
    assert!(
        what.starts_with("PostgreSQL can't be used: a pooler refuses the connection"),
        "{what}"
    );
    let fix = finding["fix"].as_str().unwrap();
    assert!(fix.starts_with("Set POSTGRES_STATEMENTS=unnamed, and `alter role "), "{fix}");
    let scene = scene.with("POSTGRES_STATEMENTS", "unnamed");
    scene.finding("database", "ok");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn a_locked_table_is_not_reported_as_an_unavailable_server() {
    let scene = Scene::new(Composition::Servers).await;
    let mut client = scene.stores.database().client().await;
    let transaction = client.transaction().await.unwrap();
    transaction.batch_execute("lock table users in access exclusive mode").await.unwrap();
    let finding = scene.finding("database", "error");
    let what = "PostgreSQL can't be used: a statement took too long: PostgreSQL says 57014: \
                canceling statement due to statement timeout (it waited for a lock, or the server \
                is too busy)";
    assert_eq!(finding["what"], what);
    assert!(finding["fix"].as_str().unwrap().starts_with("Find what holds the lock"));
    transaction.rollback().await.unwrap();
    scene.finding("database", "ok");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_file_is_an_error() {
    let scene = Scene::new(Composition::Embedded).await;
    let path = scene.stores.folder.path().join("discogsography.db");
    fs::write(&path, "").unwrap();
    let finding = scene.finding("database", "error");
    assert!(finding["what"].as_str().unwrap().contains("is empty"), "{finding:#}");
    assert!(finding["fix"].as_str().unwrap().contains("backup"), "{finding:#}");
}

#[test]
fn an_unreachable_folder_is_not_mistaken_for_a_new_one() {
    let program = Program::new().with("DISCOGS_API_URL", "https://127.0.0.1:1");
    let file = program.folder().join("file");
    fs::write(&file, "").unwrap();
    let program = program.with("DATA_DIR", file.join("data").to_str().unwrap());
    let report = scene::report(&program.run(&["doctor", "--json"]));
    for check in ["data_dir", "database"] {
        scene::finding(&report, check, "error");
    }
}
