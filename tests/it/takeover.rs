//! Taking over the Python service's database, which that service can still use later.

mod check;

use std::sync::Arc;
use std::time::Duration;

use discogsography_api::config::Migrations;
use discogsography_api::migrations;
use serde_json::json;

use crate::harness::{Actor, Composition, Opened, Setup, TestApp, TestStores, user_json};

/// Longer than any start takes.
const START_TIME: Duration = Duration::from_secs(30);

const SEED: &str = include_str!("seed_schema.sql");
const LATER_SCHEMA: &str = include_str!("takeover/later_schema.sql");

async fn seeded() -> TestStores {
    let stores = TestStores::new(Composition::Servers).await;
    stores.database().client().await.batch_execute(SEED).await.unwrap();
    stores
}

async fn taken_over() -> TestApp {
    Setup::new(Composition::Servers).unconfigured().start_on(seeded().await).await
}

async fn digger(app: &TestApp) -> Actor {
    app.anonymous().sign_in("digger@example.com", "password1").await
}

async fn assert_digger_signs_in(app: &TestApp) {
    digger(app).await.me().await.assert(
        200,
        &user_json(
            "6f9619ff-8b86-4d01-b42d-00cf4fc964ff",
            "digger@example.com",
            "2024-02-29T12:00:00.500000+00:00",
        ),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn a_user_of_the_python_service_signs_in() {
    let app = taken_over().await;
    assert_digger_signs_in(&app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn rows_that_we_would_not_write_are_taken_as_they_stand() {
    let app = taken_over().await;
    let odd = app.anonymous().sign_in("localhost-only@localhost", "password1").await;
    odd.me().await.assert(
        200,
        &user_json(
            "00000000-0000-4000-8000-000000000001",
            "localhost-only@localhost",
            "1970-01-01T00:00:00.000000+00:00",
        ),
    );
    for email in ["unreadable@example.com", "nobody-knows@example.com"] {
        let login = app.anonymous().login(email, "password1").await;
        login.assert_error(401, "invalid_credentials", "Incorrect email or password");
    }
    digger(&app).await.status().await.assert(
        200,
        &json!({
            "connected": true,
            "discogs_username": null,
            "discogs_user_id": null,
            "connected_at": "2024-03-01T00:00:00.000000+00:00",
        }),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn the_app_credentials_are_taken_as_they_stand() {
    let app = taken_over().await;
    let admin = app.admin().await;
    let listed = admin.get("/api/admin/config").await;
    let updated_at = listed.json()["config"][0]["updated_at"].clone();
    listed.assert(
        200,
        &json!({ "config": [
            {
                "key": "discogs_consumer_key",
                "is_set": true,
                "value": "sc*********************************n\"",
                "updated_at": updated_at,
            },
            { "key": "discogs_consumer_secret", "is_set": false, "value": null, "updated_at": null },
        ] }),
    );
    admin.authorize().await.assert_error(
        503,
        "discogs_not_configured",
        "Discogs app credentials not configured. Ask an admin to run discogs-setup on the API \
         container.",
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn revoking_leaves_other_providers_alone() {
    let app = taken_over().await;
    let digger = digger(&app).await;
    digger.revoke().await.assert(200, &json!({ "revoked": true }));
    digger.status().await.assert(200, &json!({ "connected": false }));
    let left = app.sql_text("select string_agg(provider, ',') from oauth_tokens").await;
    assert_eq!(left.as_deref(), Some("another"));
}

/// Later releases have the column `totp_enabled`; one that an operator added may contain nulls.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn the_second_factor_of_a_later_version_is_taken_over() {
    let stores = seeded().await;
    let added = "alter table users add totp_enabled boolean;
                 update users set totp_enabled = true where email like 'localhost-only%'";
    stores.database().client().await.batch_execute(added).await.unwrap();
    let app = Setup::new(Composition::Servers).unconfigured().start_on(stores).await;
    assert_digger_signs_in(&app).await;
    app.anonymous().login("localhost-only@localhost", "password1").await.assert_error(
        503,
        "second_factor_unavailable",
        "This account has two-factor sign-in, which this service does not support yet.",
    );
}

/// Returns each column of the tables of the Python service, with its type, default and null.
async fn columns(stores: &TestStores) -> Vec<String> {
    let columns =
        "select concat_ws(' ', table_name, column_name, data_type, column_default, is_nullable)
        from information_schema.columns
        where table_schema = 'public'
        order by 1";
    let rows = stores.database().client().await.query(columns, &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// The schema job of a newer release may run before our migrations, after them, and again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn the_schema_job_of_python_may_run_before_and_after_migrations() {
    let mut found = Vec::new();
    for (before, after) in [(LATER_SCHEMA, LATER_SCHEMA), ("", LATER_SCHEMA), (LATER_SCHEMA, "")] {
        let stores = seeded().await;
        stores.database().client().await.batch_execute(before).await.unwrap();
        let app = Setup::new(Composition::Servers).unconfigured().start_on(stores).await;
        app.sql(after).await;
        assert_digger_signs_in(&app).await;
        found.push(columns(&app.stores).await);
    }
    assert!(found[0].iter().any(|column| column.starts_with("users is_admin boolean false NO")));
    assert_eq!(found[0], found[1]);
    assert_eq!(found[0], found[2]);
}

/// The statements that the Python service and Curator run on the tables.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn the_statements_of_the_siblings_still_work() {
    let app = taken_over().await;
    let alice = app.user("alice").await;
    let client = app.stores.database().client().await;
    let user_id = uuid::Uuid::parse_str(&alice.id).unwrap();
    let added = client
        .query_one(
            "insert into users (email, hashed_password) values ($1, $2)
             returning id, email, is_active, created_at",
            &[&"python@example.com", &"79c4121fc60857dffefc74b999cc85f190ac46c8bcdf728e70fe6cce861e33e6:b39512068506be0a9c6280fa0fe6d435a018c19f7a4a036444c68a2ca1fc7dcc"],
        )
        .await
        .unwrap();
    assert!(added.get::<_, bool>("is_active"));
    app.anonymous().sign_in("python@example.com", "password1").await;

    for token in ["first", "second"] {
        client
            .execute(
                "insert into oauth_tokens (
                     user_id, provider, access_token, access_secret, provider_username, provider_user_id
                 )
                 values ($1, 'discogs', $2, 'secret', 'python_digger', '42')
                 on conflict (user_id, provider) do update
                 set access_token = excluded.access_token, updated_at = now()",
                &[&user_id, &token],
            )
            .await
            .unwrap();
    }
    let status = alice.status().await;
    assert_eq!(status.json()["discogs_username"], "python_digger");

    client
        .batch_execute(
            "insert into app_config (key, value) values ('discogs_consumer_secret', 'from python')
             on conflict (key) do update set value = excluded.value, updated_at = now()",
        )
        .await
        .unwrap();
    let config = app.admin().await.get("/api/admin/config").await.json();
    assert_eq!(config["config"][1]["value"], "fr*******on");

    let read = client
        .query_one(
            "select access_token, access_secret, provider_username, provider_user_id
             from oauth_tokens
             where user_id = $1 and provider = 'discogs'",
            &[&user_id],
        )
        .await
        .unwrap();
    assert_eq!(read.get::<_, &str>("access_token"), "second");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn five_cold_starts_on_one_empty_database_make_one_schema() {
    cold_starts(TestStores::new(Composition::Servers).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn five_concurrent_first_starts_on_a_python_database_lose_no_rows() {
    let stores = seeded().await;
    let client = stores.database().client().await;
    let _opened = cold_starts(stores).await;
    let rows = client
        .query_one(
            "select (select count(*) from users), (select count(*) from oauth_tokens),
                    (select count(*) from app_config), (select count(*) from users where is_admin)",
            &[],
        )
        .await
        .unwrap();
    let counts: Vec<i64> = (0..4).map(|column| rows.get(column)).collect();
    assert_eq!(counts, [4, 2, 3, 0]);
}

/// Prepares one database from five services at the same time.
async fn cold_starts(stores: TestStores) -> Opened {
    let opened = Opened::unprepared(stores);
    let others = (0..4).map(|_| opened.another_storage()).collect::<Vec<_>>();
    let starts = others.into_iter().chain([Arc::clone(&opened.storage)]).map(|storage| {
        tokio::spawn(async move {
            let applied = storage.prepare(Migrations::Automatic).await.unwrap();
            // With five services on a busy machine, a single call may time out.
            let nobody = async {
                loop {
                    if let Ok(user) = storage.user_by_email("nobody@example.com").await {
                        return user;
                    }
                }
            };
            assert!(tokio::time::timeout(START_TIME, nobody).await.unwrap().is_none());
            applied.len()
        })
    });
    let mut applied = 0;
    for start in starts.collect::<Vec<_>>() {
        applied += start.await.unwrap();
    }
    assert_eq!(applied, migrations::POSTGRES.len(), "each migration is applied once");
    opened
}
