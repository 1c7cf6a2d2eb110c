//! The keys of stored secrets, and whether they open what is stored.

use std::fs;

use crate::harness::{Program, Setup, on_both_setups};

use super::scene::{self, MASTER_KEY, Scene};

const OTHER_KEY: &str = "AQECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

on_both_setups! {
    stored_secrets_are_reported_by_key,
    plain_text_is_reported,
    a_key_of_another_database_is_found_without_secrets,
}

#[track_caller]
fn assert_finding(scene: &Scene, check: &str, severity: &str, what: &str, fix: &str) {
    let finding = scene.finding(check, severity);
    assert_eq!(finding["what"], what);
    assert!(finding["fix"].as_str().unwrap_or_default().starts_with(fix), "{finding:#}");
}

async fn stored_secrets_are_reported_by_key(setup: Setup) {
    let scene = Scene::new(setup.composition).await;
    let all = "The stored secrets are encrypted with the current key (all 2 rows)";
    assert_finding(&scene, "stored_secrets", "ok", all, "");
    let scene = scene.with("ENCRYPTION_MASTER_KEY", OTHER_KEY);
    let unread = "2 rows of app_config are encrypted, and no configured key decrypts them: \
                  discogs_consumer_key, discogs_consumer_secret";
    assert_finding(&scene, "stored_secrets", "error", unread, "Set ENCRYPTION_MASTER_KEY to their");
    let credentials = "The app's credentials can't be decrypted: it is encrypted with a key that is \
                       not configured, or damaged";
    assert_finding(&scene, "app_credentials", "error", credentials, "Set ENCRYPTION_MASTER_KEY to");
    let scene = scene.with("ENCRYPTION_MASTER_KEY_PREVIOUS", MASTER_KEY);
    let old = "2 rows of app_config are encrypted with a previous key";
    assert_finding(&scene, "stored_secrets", "note", old, "`discogsography-api keys rotate`");
    let scene = scene
        .with("ENCRYPTION_MASTER_KEY", "your-master-key-here")
        .with("ENCRYPTION_ALLOW_WEAK_KEY", "on");
    let weak = "ENCRYPTION_MASTER_KEY has fewer than 32 bytes and could be guessed";
    let fix = "Move it to ENCRYPTION_MASTER_KEY_PREVIOUS";
    assert_finding(&scene, "encryption_key", "warning", weak, fix);
}

async fn plain_text_is_reported(setup: Setup) {
    let scene = Scene::new(setup.composition).await;
    let plain = "update app_config set value = 'plain' where key = 'discogs_consumer_key'";
    scene.sql(plain).await;
    let what = "1 row of app_config is plain text";
    assert_finding(&scene, "stored_secrets", "warning", what, "`discogsography-api keys encrypt`");
    let encrypted = scene.program.run(&["keys", "encrypt"]);
    assert_eq!(encrypted.code, Some(0), "{encrypted:?}");
    scene.sql(plain).await;
    let what = format!("{what}, which is refused because the table is encrypted");
    assert_finding(&scene, "stored_secrets", "error", &what, "`discogsography-api keys encrypt`");
}

async fn a_key_of_another_database_is_found_without_secrets(setup: Setup) {
    let scene = Scene::new(setup.composition).await;
    let encrypted = scene.program.run(&["keys", "encrypt"]);
    assert_eq!(encrypted.code, Some(0), "{encrypted:?}");
    scene.sql("delete from app_config").await;
    assert_finding(&scene, "stored_secrets", "ok", "No secrets are stored yet", "");
    let scene = scene.with("ENCRYPTION_MASTER_KEY", OTHER_KEY);
    let what = "The database was set up with another key";
    assert_finding(&scene, "stored_secrets", "error", what, "Set ENCRYPTION_MASTER_KEY");
}

#[test]
fn a_master_key_that_others_can_read_is_found() {
    let program = Program::new().with("DISCOGS_API_URL", "https://127.0.0.1:1");
    fs::create_dir(program.data("")).unwrap();
    let path = program.data("master-key");
    fs::write(&path, MASTER_KEY).unwrap();
    for folder in [program.folder(), &program.data("")] {
        super::secrets::set_mode(folder, 0o755);
    }
    super::secrets::set_mode(&path, 0o644);
    let report = scene::report(&program.run(&["doctor", "--json"]));
    let finding = scene::finding(&report, "data_dir", "warning");
    assert_eq!(finding["fix"], format!("`chmod 600 {}`", path.display()));
}
