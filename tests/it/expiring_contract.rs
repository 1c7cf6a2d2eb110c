//! What every store of expiring records guarantees, tested on each of them.

use std::sync::Arc;
use std::time::Duration;

use discogsography_api::clock::{Clock, Timestamp};
use discogsography_api::expiring::{Change, Expiring, MemoryRecords, Stored};

use crate::harness::{Composition, Opened};

const LIFE: Duration = Duration::from_secs(600);
/// The real time that a test may take, which also passes in Redis.
const MARGIN: Duration = Duration::from_secs(5);

/// Turns each function `async fn name(store: RecordStore)` into one test per record store.
macro_rules! on_every_record_store {
    ($($name:ident),* $(,)?) => {
        mod memory {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    super::$name(super::RecordStore::memory()).await;
                }
            )*
        }
        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let store = super::RecordStore::of(crate::harness::Composition::Embedded);
                    super::$name(store.await).await;
                }
            )*
        }
        mod redis {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                #[ignore = "needs PostgreSQL and Redis: run scripts/test"]
                async fn $name() {
                    let store = super::RecordStore::of(crate::harness::Composition::Servers);
                    super::$name(store.await).await;
                }
            )*
        }
    };
}

on_every_record_store!(
    a_record_is_read_until_it_expires,
    put_replaces_a_record_and_its_life,
    a_replaced_record_expires_when_it_would_have,
    a_renewed_record_gets_another_life,
    a_deleted_record_is_gone,
    no_concurrent_update_is_lost,
    several_records_are_written_together,
    an_outcome_belongs_to_the_decision_that_was_written,
    keys_of_any_characters_are_kept_apart,
    a_record_store_answers_a_ping,
);

/// A record store whose time the test can advance.
struct RecordStore {
    records: Arc<dyn Expiring>,
    time: Time,
}

enum Time {
    Manual(Clock),
    Of(Box<Opened>),
}

impl RecordStore {
    fn memory() -> Self {
        let clock = Clock::manual(Timestamp::from_microseconds(1_790_000_000_000_000));
        let records = Arc::new(MemoryRecords::new(clock.clone(), 1_000));
        Self { records, time: Time::Manual(clock) }
    }

    async fn of(composition: Composition) -> Self {
        let opened = Box::new(Opened::new(composition).await);
        Self { records: Arc::clone(&opened.records), time: Time::Of(opened) }
    }

    async fn advance(&self, by: Duration) {
        match &self.time {
            Time::Manual(clock) => clock.advance(by),
            Time::Of(opened) => opened.advance(by).await,
        }
    }

    async fn put(&self, key: &str, record: &str) {
        self.records.put(key, record, LIFE).await.unwrap();
    }

    async fn write(&self, key: &str, write: Change) {
        self.records.update(key, move |_, _| (write.clone(), ())).await.unwrap();
    }

    async fn read(&self, key: &str) -> Option<String> {
        let text = |stored: Option<&[u8]>, _| (Change::Nothing, stored.map(<[u8]>::to_vec));
        let stored = self.records.update(key, text).await.unwrap();
        stored.map(|bytes| String::from_utf8(bytes).unwrap())
    }
}

/// A record with a number, as JSON.
fn record(number: u64) -> String {
    format!("{{\"number\":{number}}}")
}

fn number(stored: Option<&[u8]>) -> u64 {
    let digits = |bytes: &[u8]| bytes.iter().copied().filter(u8::is_ascii_digit).collect();
    stored.map_or(0, |bytes| String::from_utf8(digits(bytes)).unwrap().parse().unwrap())
}

async fn a_record_is_read_until_it_expires(store: RecordStore) {
    assert_eq!(store.read("key").await, None);
    store.put("key", &record(1)).await;
    store.advance(LIFE.saturating_sub(MARGIN)).await;
    assert_eq!(store.read("key").await, Some(record(1)));
    store.advance(MARGIN).await;
    assert_eq!(store.read("key").await, None);
}

async fn put_replaces_a_record_and_its_life(store: RecordStore) {
    store.put("key", &record(1)).await;
    store.advance(LIFE.saturating_sub(MARGIN)).await;
    store.put("key", &record(2)).await;
    store.advance(LIFE.saturating_sub(MARGIN)).await;
    assert_eq!(store.read("key").await, Some(record(2)));
}

async fn a_replaced_record_expires_when_it_would_have(store: RecordStore) {
    store.put("key", &record(1)).await;
    store.advance(LIFE.saturating_sub(MARGIN)).await;
    store.write("key", Change::Replace(record(2))).await;
    assert_eq!(store.read("key").await, Some(record(2)));
    store.advance(MARGIN).await;
    assert_eq!(store.read("key").await, None);
}

async fn a_renewed_record_gets_another_life(store: RecordStore) {
    store.put("key", &record(1)).await;
    store.advance(LIFE.saturating_sub(MARGIN)).await;
    store.write("key", Change::Renew(record(2), LIFE)).await;
    store.advance(LIFE.saturating_sub(MARGIN)).await;
    assert_eq!(store.read("key").await, Some(record(2)));
    store.write("new", Change::Renew(record(3), LIFE)).await;
    assert_eq!(store.read("new").await, Some(record(3)));
}

async fn a_deleted_record_is_gone(store: RecordStore) {
    store.put("key", &record(1)).await;
    store.put("other", &record(2)).await;
    for _ in 0..2 {
        store.write("key", Change::Delete).await;
        assert_eq!(store.read("key").await, None);
    }
    assert_eq!(store.read("other").await, Some(record(2)));
}

async fn no_concurrent_update_is_lost(store: RecordStore) {
    let updates = (0..50).map(|_| {
        let records = Arc::clone(&store.records);
        let add_one =
            |stored: Option<&[u8]>, _| (Change::Renew(record(number(stored) + 1), LIFE), ());
        tokio::spawn(async move { records.update("key", add_one).await.unwrap() })
    });
    for update in updates.collect::<Vec<_>>() {
        update.await.unwrap();
    }
    assert_eq!(store.read("key").await, Some(record(50)));
}

async fn several_records_are_written_together(store: RecordStore) {
    store.put("from", &record(20)).await;
    let move_one = |stored: &[Stored], _| {
        let (from, to) = (number(stored[0].as_deref()), number(stored[1].as_deref()));
        (vec![Change::Replace(record(from - 1)), Change::Renew(record(to + 1), LIFE)], ())
    };
    let moves = (0..20).map(|_| {
        let records = Arc::clone(&store.records);
        let keys = ["from".to_owned(), "to".to_owned()];
        tokio::spawn(async move { records.update_all(&keys, move_one).await.unwrap() })
    });
    for moved in moves.collect::<Vec<_>>() {
        moved.await.unwrap();
    }
    assert_eq!(store.read("from").await, Some(record(0)));
    assert_eq!(store.read("to").await, Some(record(20)));
}

async fn an_outcome_belongs_to_the_decision_that_was_written(store: RecordStore) {
    let updates = (0..20).map(|_| {
        let records = Arc::clone(&store.records);
        let count = |stored: Option<&[u8]>, _| {
            let next = number(stored) + 1;
            (Change::Renew(record(next), LIFE), next)
        };
        tokio::spawn(async move { records.update("key", count).await.unwrap() })
    });
    let mut outcomes = Vec::new();
    for update in updates.collect::<Vec<_>>() {
        outcomes.push(update.await.unwrap());
    }
    outcomes.sort_unstable();
    assert_eq!(outcomes, (1..=20).collect::<Vec<_>>());
}

async fn keys_of_any_characters_are_kept_apart(store: RecordStore) {
    let keys = ["a", "A", "a ", "a\0", "a\0b", "ä", "🎧", "a\n", "*", "a:b", "{a}"];
    for (number, key) in (0..).zip(keys) {
        store.put(key, &record(number)).await;
    }
    for (number, key) in (0..).zip(keys) {
        assert_eq!(store.read(key).await, Some(record(number)), "{key:?}");
    }
}

async fn a_record_store_answers_a_ping(store: RecordStore) {
    store.put("key", &record(1)).await;
    store.records.ping().await.unwrap();
    assert_eq!(store.read("key").await, Some(record(1)));
}
