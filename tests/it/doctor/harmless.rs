//! `doctor` changes nothing: no byte of the folder, no row, no key.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use crate::harness::{Composition, PrivateRedis, TestStores};

use super::scene::Scene;

/// Returns the content, mode and modification time of every file.
fn files(folder: &Path) -> BTreeMap<String, (Vec<u8>, u32, i64, i64)> {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    let file = |entry: fs::DirEntry| {
        let found = entry.metadata().unwrap();
        let state = (found.mode(), found.mtime(), found.mtime_nsec());
        let content = fs::read(entry.path()).unwrap();
        (entry.file_name().into_string().unwrap(), (content, state.0, state.1, state.2))
    };
    entries.map(file).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_folder_is_unchanged() {
    let scene = Scene::new(Composition::Embedded).await;
    let folder = scene.stores.folder.path().to_owned();
    let severity_without_changes = || {
        let before = files(&folder);
        let (_, report) = scene.doctor();
        assert_eq!(files(&folder), before, "{report:#}");
        report["severity"].as_str().unwrap().to_owned()
    };
    assert_eq!(severity_without_changes(), "ok", "without a service");
    let service = scene.program.serve(&[]);
    service.anonymous().register_and_sign_in("alice@example.com").await;
    assert_eq!(severity_without_changes(), "ok", "beside a service");
    assert_eq!(service.end("KILL").code, None);
    assert!(folder.join("discogsography.db-wal").metadata().unwrap().len() > 0);
    assert_eq!(severity_without_changes(), "ok", "after a service was killed");
    fs::remove_file(folder.join("discogsography.db-shm")).unwrap();
    assert_eq!(severity_without_changes(), "note", "with pending writes");
    scene.sql("delete from api_migrations where number = 4").await;
    assert_eq!(severity_without_changes(), "warning", "with an outdated schema");
    fs::remove_file(folder.join("discogsography.db")).unwrap();
    assert_eq!(severity_without_changes(), "error", "without a file");
}

/// Returns every column definition, and every row with the id of the transaction that wrote it.
async fn rows(scene: &Scene) -> Vec<String> {
    let client = scene.stores.database().client().await;
    let mut found = Vec::new();
    let columns = "select coalesce(string_agg(entry::text, '\n' order by entry::text), '')
        from information_schema.columns as entry
        where table_schema = 'public'";
    found.push(client.query_one(columns, &[]).await.unwrap().get(0));
    let own = ["api_migrations", "api_encryption", "known_addresses"];
    for table in ["users", "oauth_tokens", "app_config"].into_iter().chain(own) {
        let rows = format!(
            "select coalesce(string_agg(xmin || ' ' || entry::text, '\n' order by entry::text), '')
             from {table} as entry"
        );
        found.push(client.query_one(&rows, &[]).await.unwrap().get(0));
    }
    found
}

/// Returns every key of Redis with its value.
async fn keys(redis: &PrivateRedis) -> Vec<(String, String)> {
    let client = redis::Client::open(redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query_async(&mut connection).await.unwrap();
    let mut found = Vec::new();
    for key in keys {
        let value = redis::cmd("GET").arg(&key).query_async(&mut connection).await.unwrap();
        found.push((key, value));
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn rows_and_keys_are_unchanged() {
    let redis = PrivateRedis::start().await;
    let stores = TestStores::new(Composition::Servers).await;
    let scene = Scene::on(stores, Duration::ZERO, &[("REDIS_URL", &redis.url())]).await;
    redis.command(&["set", "discogs:oauth:state:x", "y", "px", "600000"]).await;
    let insert = "insert into users (email, hashed_password) values ('alice@example.com', 'x:y')";
    scene.sql(insert).await;
    let before = (rows(&scene).await, keys(&redis).await);
    let (code, report) = scene.doctor();
    assert_eq!((code, &report["severity"]), (Some(0), &"ok".into()), "{report:#}");
    assert_eq!((rows(&scene).await, keys(&redis).await), before);
    scene.sql("delete from api_migrations").await;
    let before = (rows(&scene).await, keys(&redis).await);
    scene.finding("schema", "warning");
    assert_eq!((rows(&scene).await, keys(&redis).await), before);
}
