//! The app's Discogs credentials over HTTP: permissions, masking, and when a change takes effect.

use std::time::Duration;

use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::harness::{
    ACCEPT_PLAIN, Actor, Answer, Composition, Setup, TestApp, on_both_compositions, on_both_setups,
};

on_both_compositions!(
    only_admins_have_access,
    a_former_admin_has_no_access,
    a_value_is_shown_masked,
    setting_a_value_again_replaces_it_and_its_time,
    deleting_succeeds_whether_or_not_it_was_set,
    an_unknown_key_is_not_found,
    a_key_may_be_percent_encoded,
);

on_both_setups!(
    every_known_key_is_listed_when_none_is_set,
    an_empty_stored_value_counts_as_not_set,
    a_stored_value_is_used_as_it_is,
    a_change_takes_effect_at_once,
);

const LIST: &str = "/api/admin/config";
const KEY: &str = "/api/admin/config/discogs_consumer_key";
const SECRET: &str = "/api/admin/config/discogs_consumer_secret";

async fn put(admin: &Actor, path: &str, value: &str) -> Answer {
    admin.put(path, &json!({ "value": value })).await
}

fn entry(key: &str, value: &Value, updated_at: &Value) -> Value {
    json!({ "key": key, "is_set": !value.is_null(), "value": value, "updated_at": updated_at })
}

fn unset(key: &str) -> Value {
    entry(key, &Value::Null, &Value::Null)
}

/// Asserts the listed entries; the time of each is taken from the list itself.
async fn assert_listed(admin: &Actor, key: &Value, secret: &Value) {
    let list = admin.get(LIST).await;
    let body = list.json();
    let entry = |at: usize, name: &str, value: &Value| {
        let updated_at = body["config"][at]["updated_at"].clone();
        assert_eq!(updated_at.is_null(), value.is_null(), "{name}: {updated_at}");
        entry(name, value, &updated_at)
    };
    let entries =
        [entry(0, "discogs_consumer_key", key), entry(1, "discogs_consumer_secret", secret)];
    list.assert(200, &json!({ "config": entries }));
}

/// Writes a row with any value, as the Python service's command does.
async fn put_row(app: &TestApp, key: &str, value: &str) {
    app.sql(ACCEPT_PLAIN).await;
    let epoch = if app.stores.servers.is_some() { "to_timestamp(0)" } else { "0" };
    app.sql(&format!(
        "insert into app_config (key, value, updated_at) values ('{key}', '{value}', {epoch})
         on conflict (key) do update set value = excluded.value"
    ))
    .await;
}

async fn only_admins_have_access(app: TestApp) {
    let (anonymous, alice) = (app.anonymous(), app.user("alice").await);
    for path in [KEY, "/api/admin/config/unknown"] {
        let (put_nobody, put_user) =
            (put(&anonymous, path, "x").await, put(&alice, path, "x").await);
        let (delete_nobody, delete_user) = (anonymous.delete(path).await, alice.delete(path).await);
        for nobody in [put_nobody, delete_nobody] {
            nobody.assert_error(401, "not_authenticated", "Not authenticated");
        }
        for user in [put_user, delete_user] {
            user.assert_error(403, "admin_required", "Admin access required");
        }
    }
    let nobody = anonymous.get(LIST).await;
    nobody.assert_error(401, "not_authenticated", "Not authenticated");
    alice.get(LIST).await.assert_error(403, "admin_required", "Admin access required");
    assert_listed(&app.admin().await, &json!("sa*******ey"), &json!("sa**********et")).await;
}

async fn a_former_admin_has_no_access(app: TestApp) {
    let admin = app.admin().await;
    assert_eq!(admin.get(LIST).await.status, 200);
    app.sql("update users set is_admin = false").await;
    admin.get(LIST).await.assert_error(403, "admin_required", "Admin access required");
    put(&admin, KEY, "x").await.assert_error(403, "admin_required", "Admin access required");
    admin.delete(KEY).await.assert_error(403, "admin_required", "Admin access required");
    app.sql("update users set is_admin = true, is_active = false").await;
    admin.get(LIST).await.assert_error(401, "invalid_token", "Invalid or expired token");
}

async fn every_known_key_is_listed_when_none_is_set(setup: Setup) {
    let app = setup.unconfigured().start().await;
    put_row(&app, "somebody_elses_key", "value").await;
    let list = app.admin().await.get(LIST).await;
    let entries = [unset("discogs_consumer_key"), unset("discogs_consumer_secret")];
    list.assert(200, &json!({ "config": entries }));
}

async fn a_value_is_shown_masked(app: TestApp) {
    let admin = app.admin().await;
    let long = "x".repeat(256);
    let masked_long = format!("xx{}xx", "*".repeat(252));
    let values = [
        ("a", "*"),
        ("ab", "**"),
        ("abcdefgh", "********"),
        ("abcdefghi", "ab*****hi"),
        (" \tabcdefghi\n", "ab*****hi"),
        ("~!\"#$%&'()*+,-./", "~!************./"),
        (&long, &masked_long),
    ];
    for (value, masked) in values {
        let answer = put(&admin, SECRET, value).await;
        let updated_at = answer.json()["updated_at"].clone();
        let expected = json!({
            "key": "discogs_consumer_secret",
            "value": masked,
            "updated_at": updated_at,
        });
        answer.assert(200, &expected);
        let list = admin.get(LIST).await.json();
        let expected = entry("discogs_consumer_secret", &json!(masked), &updated_at);
        assert_eq!(list["config"][1], expected);
    }
    let kept = app.storage().await.config().await.unwrap();
    assert_eq!(kept[1].value.expose_secret(), long);
}

async fn setting_a_value_again_replaces_it_and_its_time(app: TestApp) {
    let admin = app.admin().await;
    let first = put(&admin, KEY, "first-value").await.json();
    app.clock.advance(Duration::from_micros(1));
    let second = put(&admin, KEY, "second-value").await.json();
    assert_eq!(
        (&first["value"], &second["value"]),
        (&json!("fi*******ue"), &json!("se********ue"))
    );
    let times = [&first["updated_at"], &second["updated_at"]].map(|time| time.as_str().unwrap());
    assert!(times[0] < times[1], "{times:?}");
    let rows = "select cast(count(*) as text) from app_config where key = 'discogs_consumer_key'";
    assert_eq!(app.sql_text(rows).await.as_deref(), Some("1"));
}

async fn deleting_succeeds_whether_or_not_it_was_set(app: TestApp) {
    let admin = app.admin().await;
    for _ in 0..2 {
        let deleted = admin.delete(KEY).await;
        assert_eq!((deleted.status, deleted.body.as_str()), (204, ""));
        assert_eq!(deleted.header("content-type"), None);
        assert_listed(&admin, &Value::Null, &json!("sa**********et")).await;
    }
    assert_eq!(put(&admin, KEY, "set-again").await.status, 200);
    assert_listed(&admin, &json!("se*****in"), &json!("sa**********et")).await;
}

async fn an_unknown_key_is_not_found(app: TestApp) {
    let admin = app.admin().await;
    let long = "x".repeat(10_000);
    let unknown = [
        "jwt_secret_key",
        "DISCOGS_CONSUMER_KEY",
        "discogs_consumer_key%20",
        "discogs_consumer_key%00",
        "discogs_consumer_key%0A",
        "discogs_consumer_key%2F",
        "discogs_consumer_key.",
        "%F0%9F%8E%A7",
        "%ff%fe",
        "%c3",
        "%zz",
        "%",
        "..%2f..",
        &long,
    ];
    let detail =
        "Unknown config key. The known keys are discogs_consumer_key and discogs_consumer_secret.";
    for key in unknown {
        let path = format!("{LIST}/{key}");
        put(&admin, &path, "x").await.assert_error(404, "unknown_config_key", detail);
        admin.delete(&path).await.assert_error(404, "unknown_config_key", detail);
    }
    for path in ["/api/admin/config/", "/api/admin/config/discogs_consumer_key/"] {
        admin.delete(path).await.assert_error(404, "not_found", "Not Found");
    }
    assert_listed(&admin, &json!("sa*******ey"), &json!("sa**********et")).await;
}

async fn a_key_may_be_percent_encoded(app: TestApp) {
    let admin = app.admin().await;
    assert_eq!(admin.delete("/api/admin/config/%64iscogs%5Fconsumer_key").await.status, 204);
    assert_listed(&admin, &Value::Null, &json!("sa**********et")).await;
}

async fn an_empty_stored_value_counts_as_not_set(setup: Setup) {
    let app = setup.start().await;
    let (admin, alice) = (app.admin().await, app.user("alice").await);
    put_row(&app, "discogs_consumer_secret", "").await;
    assert_listed(&admin, &json!("sa*******ey"), &Value::Null).await;
    assert_not_configured(&alice.authorize().await);
}

async fn a_stored_value_is_used_as_it_is(setup: Setup) {
    let app = setup.start().await;
    let (admin, alice) = (app.admin().await, app.user("alice").await);
    let long = "ü".repeat(10_000);
    let masked_long = format!("üü{}üü", "*".repeat(9_996));
    let values = [
        (" ", "*"),
        ("two words", "tw*****ds"),
        ("schlüssel", "sc*****el"),
        ("🎧🎧🎧🎧🎧🎧🎧🎧🎧", "🎧🎧*****🎧🎧"),
        ("line\nbreak\r\n", "li********\r\n"),
        ("\u{7}\u{1b}[31m&=%\"\\", "\u{7}\u{1b}*******\"\\"),
        (&long, &masked_long),
    ];
    for (value, masked) in values {
        put_row(&app, "discogs_consumer_secret", value).await;
        assert_listed(&admin, &json!("sa*******ey"), &json!(masked)).await;
        let authorize = alice.authorize().await;
        assert_eq!(authorize.json()["code"], "discogs_credentials_rejected", "{value:?}");
        put_row(&app, "discogs_consumer_secret", "sandbox-secret").await;
        assert_eq!(alice.authorize().await.status, 200);
    }
    put_row(&app, "discogs_consumer_key", &long).await;
    assert_listed(&admin, &json!(masked_long), &json!("sa**********et")).await;
    assert_eq!(alice.authorize().await.status, 502);
}

fn assert_not_configured(authorize: &Answer) {
    authorize.assert_error(
        503,
        "discogs_not_configured",
        "Discogs app credentials not configured. Ask an admin to run discogs-setup on the API \
         container.",
    );
}

/// Sets and deletes the values as `admin`, and checks that `user` sees each change.
async fn assert_takes_effect_at_once(admin: &Actor, user: &Actor) {
    assert_not_configured(&user.authorize().await);
    assert_eq!(put(admin, KEY, "sandbox-key").await.status, 200);
    assert_not_configured(&user.authorize().await);
    assert_eq!(put(admin, SECRET, "sandbox-secret").await.status, 200);
    assert_eq!(user.authorize().await.status, 200);
    assert_eq!(put(admin, SECRET, "another-secret").await.status, 200);
    assert_eq!(user.authorize().await.json()["code"], "discogs_credentials_rejected");
    assert_eq!(admin.delete(SECRET).await.status, 204);
    assert_not_configured(&user.authorize().await);
}

async fn a_change_takes_effect_at_once(setup: Setup) {
    let app = setup.unconfigured().start().await;
    assert_takes_effect_at_once(&app.admin().await, &app.user("alice").await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn a_change_takes_effect_at_once_at_every_replica() {
    let app = Setup::new(Composition::Servers).unconfigured().start().await;
    let replica = app.replica().await;
    let (admin, alice) = (app.admin().await, app.user("alice").await);
    assert_takes_effect_at_once(&admin, &alice.at(&replica.url)).await;
}
