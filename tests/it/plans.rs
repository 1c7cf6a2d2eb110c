//! PostgreSQL finds what it is asked for by a key, however many rows there are.

use std::collections::BTreeMap;
use std::time::Duration;

use discogsography_api::model::{DiscogsToken, Email, Identity, KnownAddress, NewUser, Provider};
use discogsography_api::storage::Admin;
use oauth1::Token;
use tokio_postgres::Client;

use crate::harness::{Composition, Opened};

/// So many that no server would look at all of them to find one.
const ROWS: &str = "
    insert into users (email, hashed_password)
    select number || '@example.com', 'salt:key' from generate_series(1, 10000) as number;
    insert into oauth_tokens (user_id, provider, access_token, access_secret)
    select id, 'discogs', 'token', 'secret' from users;
    insert into known_addresses (account, address, seen_at)
    select decode(md5(number::text), 'hex'), '', now() - interval '1 day' * (number % 29)
    from generate_series(1, 10000) as number;
    analyze;
    -- What this has read itself counts from here on, and not at some time later.
    select pg_stat_force_next_flush()";

const MONTH: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// More often than the server plans a statement before it keeps a plan.
const TIMES: u8 = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn no_request_has_a_whole_table_read() {
    let opened = Opened::new(Composition::Servers).await;
    let client = opened.stores.database().client().await;
    client.batch_execute(ROWS).await.unwrap();
    let before = whole_reads(&client).await;
    assert_eq!(before.len(), 3, "{before:?}");
    for time in 0..TIMES {
        ask_for_everything(&opened, time).await;
    }
    opened.storage.close().await;
    until_told(&client).await;
    assert_eq!(whole_reads(&client).await, before);
}

async fn ask_for_everything(opened: &Opened, time: u8) {
    let storage = &opened.storage;
    let new = NewUser {
        id: opened.random.uuid(),
        email: Email::parse(&format!("new-{time}@example.com")).unwrap(),
        hashed_password: "salt:key".into(),
    };
    let user = storage.create_user(&new).await.unwrap();
    assert!(storage.user_by_id(user.id).await.unwrap().is_some());
    assert!(storage.user_by_email(&user.email).await.unwrap().is_some());
    assert!(storage.put_admin(&user.email, Admin::Revoked).await.unwrap());
    let token = DiscogsToken(Token { token: "token".to_owned(), secret: "secret".into() });
    let identity = Identity { id: "1".to_owned(), username: "digger".to_owned() };
    storage.put_connection(user.id, Provider::Discogs, &token, &identity).await.unwrap();
    assert!(storage.connection(user.id, Provider::Discogs).await.unwrap().is_some());
    storage.delete_connection(user.id, Provider::Discogs).await.unwrap();
    let address = KnownAddress { account: [time; 16], address: [0; 16] };
    storage.put_known_address(&address, MONTH).await.unwrap();
    assert!(storage.known_address(&address).await.unwrap().is_some());
}

/// How often each table was read from its beginning to its end.
async fn whole_reads(client: &Client) -> BTreeMap<String, i64> {
    let query = "
        select relname::text, seq_scan
        from pg_stat_user_tables
        where relname in ('users', 'oauth_tokens', 'known_addresses')";
    let rows = client.query(query, &[]).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// Waits until the service's connections have ended: a server counts what one did at its end.
async fn until_told(client: &Client) {
    let query = "
        select 1
        from pg_stat_activity
        where datname = current_database() and application_name = 'discogsography-api'";
    while !client.query(query, &[]).await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
}
