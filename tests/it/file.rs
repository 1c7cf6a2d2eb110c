//! The embedded store's file: moved, emptied or locked.

use std::fs;
use std::path::PathBuf;

use crate::harness::{Composition, PASSWORD, Setup, TestApp, TestStores};
use crate::outages::NO_DATABASE;

async fn started() -> TestApp {
    Setup::new(Composition::Embedded).start().await
}

fn file(stores: &TestStores) -> PathBuf {
    stores.folder.path().join("discogsography.db")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_file_is_never_taken_for_a_new_one() {
    let stores = TestStores::new(Composition::Embedded).await;
    let path = file(&stores);
    fs::write(&path, "").unwrap();
    let app = Setup::new(Composition::Embedded).launch_on(stores).await;
    app.wait_for_health(503, "unhealthy").await;
    let registered = app.anonymous().register("alice@example.com", PASSWORD).await;
    registered.assert_error(503, "database_unavailable", NO_DATABASE);
    assert_eq!(fs::metadata(&path).unwrap().len(), 0);
    fs::remove_file(&path).unwrap();
    let registered = app.anonymous().register("alice@example.com", PASSWORD).await;
    registered.assert_error(503, "database_unavailable", NO_DATABASE);
    assert!(!path.exists(), "nor is one that was removed then");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_write_is_acknowledged_while_the_file_is_moved_away() {
    let app = started().await;
    let alice = app.user("alice").await;
    let (path, away) = (file(&app.stores), app.stores.folder.path().join("away.db"));
    fs::rename(&path, &away).unwrap();
    let registered = app.anonymous().register("bob@example.com", PASSWORD).await;
    registered.assert_error(503, "database_unavailable", NO_DATABASE);
    app.wait_for_health(503, "unhealthy").await;
    fs::rename(&away, &path).unwrap();
    app.wait_until_healthy().await;
    assert_eq!(alice.me().await.status, 200);
    assert_eq!(app.anonymous().register("bob@example.com", PASSWORD).await.status, 201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_locked_by_another_process_is_unhealthy_until_it_is_unlocked() {
    let app = started().await;
    let alice = app.user("alice").await;
    let other = rusqlite::Connection::open(file(&app.stores)).unwrap();
    other.execute_batch("begin immediate").unwrap();
    app.wait_for_health(503, "unhealthy").await;
    assert_eq!(alice.me().await.status, 200, "reads still work");
    other.execute_batch("rollback").unwrap();
    app.wait_until_healthy().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_start_leaves_nothing_beside_the_file() {
    let app = started().await;
    let names = fs::read_dir(app.stores.folder.path()).unwrap();
    let mut names: Vec<_> =
        names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| !name.ends_with("-wal") && !name.ends_with("-shm"));
    names.sort();
    assert_eq!(names, ["discogsography.db", "discogsography.lock", "master-key"]);
}
