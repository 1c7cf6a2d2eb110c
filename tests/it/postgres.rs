//! Statements in PostgreSQL use indexes and don't wait for each other's locks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use discogsography_api::config::Migrations;
use discogsography_api::model::{DiscogsIdentity, DiscogsToken, KnownAddress};
use discogsography_api::storage::{Admin, Storage};
use oauth1::Token;
use tokio_postgres::Client;

use crate::harness::{Composition, Opened, new_user};

/// Enough rows that a sequential scan would be slow.
///
/// They are not analyzed, as on a server that has not collected statistics yet.
const ROWS: &str = "
    with created as (
        insert into users (email, hashed_password)
        select number || '@example.com', 'salt:key' from generate_series(1, 10000) as number
        returning id
    )
    insert into oauth_tokens (user_id, provider, access_token, access_secret)
    select id, 'discogs', 'token', 'secret' from created;
    insert into known_addresses (account, address, seen_at)
    select decode(md5(number::text), 'hex'), '', now() - interval '1 day' * (number % 40)
    from generate_series(1, 10000) as number;";

const MONTH: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Longer than any of these tests should take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Selects the service's connections.
const OPEN: &str = "application_name = 'discogsography-api'";
/// Selects the service's connections that wait for a lock.
const BLOCKED: &str = "application_name = 'discogsography-api' and wait_event_type = 'Lock'";

/// How many connections a service opens.
const USUAL: i64 = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn no_request_scans_a_whole_table() {
    let opened = Opened::new(Composition::Servers).await;
    let client = opened.stores.database().client().await;
    // A connection's statistics are complete only after it ends, so the first ones are closed.
    opened.storage.close().await;
    wait_for_connections(&client, OPEN, 0).await;
    let before = sequential_scans(&client).await;
    assert_eq!(before.len(), 3, "{before:?}");

    let storage = opened.another_storage();
    storage.prepare(Migrations::Manual).await.unwrap();
    // The server plans these statements while the tables are almost empty.
    for number in 0..4 {
        run_every_statement(&*storage, number).await;
    }
    client.batch_execute(ROWS).await.unwrap();
    for number in 4..8 {
        run_every_statement(&*storage, number).await;
    }
    storage.close().await;
    wait_for_connections(&client, OPEN, 0).await;
    assert_eq!(sequential_scans(&client).await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn a_write_does_not_wait_for_a_blocked_one() {
    let opened = Opened::new(Composition::Servers).await;
    let storage = &opened.storage;
    for name in ["alice", "bob"] {
        opened.user(&format!("{name}@example.com")).await;
    }
    let mut client = opened.stores.database().client().await;
    let watcher = opened.stores.database().client().await;
    wait_for_connections(&watcher, OPEN, USUAL).await;
    let lock = client.transaction().await.unwrap();
    lock.execute("select from users where email = 'alice@example.com' for update", &[])
        .await
        .unwrap();
    let of_alice = Arc::clone(storage);
    let of_alice =
        tokio::spawn(async move { of_alice.put_admin("alice@example.com", Admin::Granted).await });
    wait_for_connections(&watcher, BLOCKED, 1).await;
    // While the lock is held, the write to Alice's row can't have succeeded.
    assert!(storage.put_admin("bob@example.com", Admin::Granted).await.unwrap().is_some());
    lock.rollback().await.unwrap();
    // On a slow machine, Alice's write may have timed out, so it is repeated.
    let _ = of_alice.await.unwrap();
    assert!(storage.put_admin("alice@example.com", Admin::Granted).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn an_expired_address_that_is_locked_is_skipped() {
    let opened = Opened::new(Composition::Servers).await;
    let storage = &opened.storage;
    let address = |number| KnownAddress { account: [number; 16], address: [0; 16] };
    storage.put_known_address(&address(1), MONTH).await.unwrap();
    let mut client = opened.stores.database().client().await;
    let lock = client.transaction().await.unwrap();
    lock.execute("select from known_addresses for update", &[]).await.unwrap();
    // The first address has expired, but deleting it would wait for the lock.
    storage.put_known_address(&address(2), Duration::ZERO).await.unwrap();
    lock.rollback().await.unwrap();
    assert!(storage.known_address(&address(1)).await.unwrap().is_some());
    storage.put_known_address(&address(3), Duration::ZERO).await.unwrap();
    for (number, is_known) in [(1, false), (2, false), (3, true)] {
        let known = storage.known_address(&address(number)).await.unwrap();
        assert_eq!(known.is_some(), is_known, "{number}");
    }
}

/// Runs every statement that requests run on growing tables.
async fn run_every_statement(storage: &dyn Storage, number: u8) {
    let new = new_user(&format!("new-{number}@example.com"));
    let user = storage.create_user(&new).await.unwrap();
    assert!(storage.user_by_id(user.id).await.unwrap().is_some());
    assert!(storage.user_by_email(&user.email).await.unwrap().is_some());
    assert!(storage.put_admin(&user.email, Admin::Revoked).await.unwrap().is_some());
    let token = DiscogsToken(Token { token: "token".to_owned(), secret: "secret".into() });
    let identity = DiscogsIdentity { id: "1".to_owned(), username: "digger".to_owned() };
    storage.put_connection(user.flow_owner(), &token, &identity).await.unwrap();
    assert!(storage.connection(user.id).await.unwrap().is_some());
    storage.delete_connection(user.id).await.unwrap();
    let address = KnownAddress { account: [number; 16], address: [0; 16] };
    storage.put_known_address(&address, MONTH).await.unwrap();
    assert!(storage.known_address(&address).await.unwrap().is_some());
}

/// Returns how often each table was scanned sequentially.
async fn sequential_scans(client: &Client) -> BTreeMap<String, i64> {
    let query = "
        select relname::text, seq_scan
        from pg_stat_user_tables
        where relname in ('users', 'oauth_tokens', 'known_addresses')";
    let rows = client.query(query, &[]).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// Waits until exactly `count` connections to this database match `which`.
async fn wait_for_connections(client: &Client, which: &str, count: i64) {
    let query = format!(
        "select count(*) from pg_stat_activity where datname = current_database() and {which}"
    );
    let reached =
        async { while client.query_one(&query, &[]).await.unwrap().get::<_, i64>(0) != count {} };
    let waited = tokio::time::timeout(PATIENCE, reached).await;
    assert!(waited.is_ok(), "not {count} connections with {which} in time");
}
