//! Secrets at rest: what the stores contain once there is a key, and what a damaged secret does.

use std::fs;

use discogsography_api::keyring::SealedTable;
use fernet_seal::MasterKey;
use secrecy::ExposeSecret as _;

use crate::connect::connect;
use crate::harness::{Setup, TestApp, on_both_setups};

on_both_setups! {
    no_secret_is_stored_as_plain_text,
    a_damaged_secret_is_refused_until_it_is_replaced,
}

const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// Text that each record of a flow contains.
const OF_FLOWS: &str = "request_token_secret";

/// Returns every secret of the database, decrypted.
async fn secrets(app: &TestApp) -> Vec<String> {
    let (storage, key) = (app.storage().await, MasterKey::parse(KEY).unwrap());
    let key = key.fernet_key("oauth-tokens");
    let mut secrets = Vec::new();
    for table in [SealedTable::OauthTokens, SealedTable::AppConfig] {
        for value in
            storage.sealed_rows(table, None).await.unwrap().iter().flat_map(|it| &it.values)
        {
            secrets.push(key.open(value.expose_secret()).unwrap().expose_secret().to_owned());
        }
    }
    secrets
}

/// Returns everything that the stores contain, as far as it is text.
async fn stored(app: &TestApp) -> String {
    if app.stores.servers.is_none() {
        let files = fs::read_dir(app.stores.folder.path()).unwrap();
        let files = files.map(|file| fs::read(file.unwrap().path()).unwrap());
        return files.map(|file| String::from_utf8_lossy(&file).into_owned()).collect();
    }
    let mut stored = format!("{:?}", app.stores.redis_strings().await);
    for table in ["users", "oauth_tokens", "app_config"] {
        let rows = format!("select string_agg({table}::text, ' ') from {table}");
        stored += &app.sql_text(&rows).await.unwrap();
    }
    stored
}

async fn no_secret_is_stored_as_plain_text(setup: Setup) {
    let app = setup.with("ENCRYPTION_MASTER_KEY", KEY).start().await;
    let alice = app.user("alice").await;
    connect(&app, &alice).await;
    let state = alice.start().await;
    let (secrets, stored) = (secrets(&app).await, stored(&app).await);
    assert_eq!(secrets.len(), 4, "{secrets:?}");
    assert!(stored.contains(&state), "the flow is stored under its state");
    for secret in secrets.iter().map(String::as_str).chain([OF_FLOWS]) {
        assert!(!stored.contains(secret), "{secret} is stored as plain text");
    }
    let verifier = app.sandbox.approve(&state).unwrap();
    assert_eq!(alice.verify(&state, &verifier).await.status, 200);
}

async fn a_damaged_secret_is_refused_until_it_is_replaced(setup: Setup) {
    let app = setup.with("ENCRYPTION_MASTER_KEY", KEY).start().await;
    let admin = app.admin().await;
    let state = admin.start().await;
    app.sql("update app_config set value = replace(value, 'gAAAAA', 'gAAAAB')").await;
    let verifier = app.sandbox.approve(&state).unwrap();
    let detail = "A stored secret can't be decrypted. Please tell an admin: the service's log says \
                  which one.";
    for answer in [
        admin.authorize().await,
        admin.verify(&state, &verifier).await,
        admin.get("/api/admin/config").await,
    ] {
        answer.assert_error(503, "secret_unreadable", detail);
    }
    admin.put_config("discogs_consumer_key", "sandbox-key").await;
    admin.put_config("discogs_consumer_secret", "sandbox-secret").await;
    assert_eq!(admin.verify(&state, &verifier).await.status, 200);
}
