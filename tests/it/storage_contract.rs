//! The guarantees of every store, tested on each implementation.

use std::sync::Arc;
use std::time::Duration;

use discogsography_api::config::Migrations;
use discogsography_api::migrations::{self, Migration};
use discogsography_api::model::{
    ConfigEntry, ConfigKey, ConfigValue, DiscogsIdentity, DiscogsToken, FlowEpoch, FlowOwner,
    KnownAddress,
};
use discogsography_api::storage::{Admin, Storage, StorageError, Written};
use oauth1::Token;
use secrecy::ExposeSecret as _;
use uuid::Uuid;

use crate::harness::{Opened, new_user, on_both_stores};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

on_both_stores!(
    a_user_is_found_by_id_and_by_address,
    concurrent_reads_return_the_right_users,
    an_unknown_user_is_not_found,
    an_address_belongs_to_one_user,
    of_fifty_concurrent_users_with_one_address_one_is_created,
    admins_are_granted_revoked_and_listed,
    of_concurrent_grants_one_reports_a_change,
    a_connection_is_replaced_in_place,
    a_connection_needs_an_existing_user,
    removing_a_connection_is_safe_to_repeat,
    removing_a_connection_ends_flows_even_if_there_was_none,
    a_removal_wins_over_a_concurrent_finish,
    an_address_is_known_until_it_expires,
    an_account_knows_its_newest_fifty_addresses,
    config_values_are_written_together_and_removed,
    any_text_is_returned_unchanged,
    preparing_again_applies_nothing,
    a_prepared_store_answers_pings,
    manual_migrations_only_check_the_schema,
);

fn token(token: &str, secret: &str) -> DiscogsToken {
    DiscogsToken(Token { token: token.to_owned(), secret: secret.into() })
}

fn identity(id: &str, username: &str) -> DiscogsIdentity {
    DiscogsIdentity { id: id.to_owned(), username: username.to_owned() }
}

async fn a_user_is_found_by_id_and_by_address(opened: Opened) {
    let new = new_user("digger@example.com");
    let created = opened.storage.create_user(&new).await.unwrap();
    assert_eq!(created.id, new.id);
    let by_email = opened.storage.user_by_email("digger@example.com").await.unwrap().unwrap();
    assert_eq!(by_email.hashed_password.expose_secret(), "salt:key");
    for found in [opened.storage.user_by_id(new.id).await.unwrap().unwrap(), by_email.user] {
        assert_eq!(found.id, new.id);
        assert_eq!(found.email, "digger@example.com");
        assert!(found.is_active);
        assert!(!found.is_admin);
        assert_eq!(found.created_at, created.created_at);
    }
}

async fn concurrent_reads_return_the_right_users(opened: Opened) {
    let mut expected = vec![(opened.random.uuid(), None); 20];
    for number in 0..40 {
        let user = opened.user(&format!("digger{number}@example.com")).await;
        expected.extend(vec![(user.id, Some(user.email)); 5]);
    }
    let reads = expected.into_iter().map(|(id, email)| {
        let storage = Arc::clone(&opened.storage);
        tokio::spawn(async move {
            let found = storage.user_by_id(id).await.unwrap();
            assert_eq!(found.map(|user| (user.id, user.email)), email.map(|email| (id, email)));
        })
    });
    for read in reads.collect::<Vec<_>>() {
        read.await.unwrap();
    }
}

async fn an_unknown_user_is_not_found(opened: Opened) {
    opened.user("digger@example.com").await;
    assert!(opened.storage.user_by_id(Uuid::nil()).await.unwrap().is_none());
    for email in ["", "Digger@example.com", "digger@example.com ", "nul\0", "%", &"x".repeat(9_000)]
    {
        let found = opened.storage.user_by_email(email).await.unwrap();
        assert!(found.is_none(), "{email:?}");
    }
}

async fn an_address_belongs_to_one_user(opened: Opened) {
    opened.user("digger@example.com").await;
    let second = opened.storage.create_user(&new_user("digger@example.com")).await;
    assert!(matches!(second, Err(StorageError::EmailTaken)), "{second:?}");
}

async fn of_fifty_concurrent_users_with_one_address_one_is_created(opened: Opened) {
    let attempts = (0..50).map(|_| {
        let (storage, new) = (Arc::clone(&opened.storage), new_user("digger@example.com"));
        tokio::spawn(async move { (new.id, storage.create_user(&new).await) })
    });
    let mut created = Vec::new();
    for attempt in attempts.collect::<Vec<_>>() {
        match attempt.await.unwrap() {
            (id, Ok(user)) => {
                assert_eq!(id, user.id);
                created.push(id);
            }
            (_, Err(StorageError::EmailTaken)) => {}
            (_, Err(error)) => panic!("{error:?}"),
        }
    }
    let found = opened.storage.user_by_email("digger@example.com").await.unwrap().unwrap();
    assert_eq!(created, [found.user.id]);
}

async fn of_concurrent_grants_one_reports_a_change(opened: Opened) {
    opened.user("digger@example.com").await;
    let grants = (0..8).map(|_| {
        let storage = Arc::clone(&opened.storage);
        tokio::spawn(async move { storage.put_admin("digger@example.com", Admin::Granted).await })
    });
    let mut changed = 0;
    for grant in grants.collect::<Vec<_>>() {
        changed += u32::from(grant.await.unwrap().unwrap() == Some(Written::Changed));
    }
    assert_eq!(changed, 1);
}

async fn admins_are_granted_revoked_and_listed(opened: Opened) {
    let storage = &opened.storage;
    let put = async |email, admin| storage.put_admin(email, admin).await.unwrap();
    for email in ["b@example.com", "a@example.com", "c@example.com"] {
        opened.user(email).await;
        assert_eq!(put(email, Admin::Granted).await, Some(Written::Changed));
    }
    assert_eq!(put("c@example.com", Admin::Revoked).await, Some(Written::Changed));
    assert_eq!(put("c@example.com", Admin::Revoked).await, Some(Written::Unchanged));
    assert_eq!(put("b@example.com", Admin::Granted).await, Some(Written::Unchanged));
    assert_eq!(put("nobody@example.com", Admin::Granted).await, None);
    assert_eq!(put("nul\0", Admin::Granted).await, None);
    assert_eq!(storage.admins().await.unwrap(), ["a@example.com", "b@example.com"]);
    assert!(storage.user_by_email("a@example.com").await.unwrap().unwrap().user.is_admin);
    assert!(!storage.user_by_email("c@example.com").await.unwrap().unwrap().user.is_admin);
}

async fn a_connection_is_replaced_in_place(opened: Opened) {
    let (storage, alice) = (&opened.storage, opened.user("alice@example.com").await);
    let bob = opened.user("bob@example.com").await;
    let shown = async |id| storage.connection(id).await.unwrap();
    assert_eq!(shown(alice.id).await, None);
    let put = async |token: DiscogsToken, identity: DiscogsIdentity| {
        storage.put_connection(alice.flow_owner(), &token, &identity).await.unwrap();
    };
    put(token("first", "secret"), identity("1001", "digger")).await;
    let first = shown(alice.id).await.unwrap();
    opened.advance(Duration::from_micros(1)).await;
    put(token("second", "secret"), identity("18446744073709551615", "ディガー 🎧")).await;
    let second = shown(alice.id).await.unwrap();
    assert_eq!(first.provider_username.as_deref(), Some("digger"));
    assert_eq!(second.provider_username.as_deref(), Some("ディガー 🎧"));
    assert_eq!(second.provider_user_id.as_deref(), Some("18446744073709551615"));
    assert!(second.updated_at > first.updated_at);
    assert_eq!(shown(bob.id).await, None);
}

async fn a_connection_needs_an_existing_user(opened: Opened) {
    let (token, identity) = (token("token", "secret"), identity("1", "digger"));
    let unknown = FlowOwner { user_id: Uuid::nil(), epoch: FlowEpoch(0) };
    let put = opened.storage.put_connection(unknown, &token, &identity).await;
    assert!(matches!(put, Err(StorageError::NoSuchUser)), "{put:?}");
}

async fn removing_a_connection_is_safe_to_repeat(opened: Opened) {
    let (storage, alice) = (&opened.storage, opened.user("alice@example.com").await);
    let (token, identity) = (token("token", "secret"), identity("1", "digger"));
    storage.put_connection(alice.flow_owner(), &token, &identity).await.unwrap();
    for _ in 0..2 {
        storage.delete_connection(alice.id).await.unwrap();
        assert_eq!(storage.connection(alice.id).await.unwrap(), None);
    }
}

async fn removing_a_connection_ends_flows_even_if_there_was_none(opened: Opened) {
    let (storage, alice) = (&opened.storage, opened.user("alice@example.com").await);
    let (token, identity) = (token("token", "secret"), identity("1", "digger"));
    let mut owner = alice.flow_owner();
    for _ in 0..2 {
        storage.delete_connection(alice.id).await.unwrap();
        let put = storage.put_connection(owner, &token, &identity).await;
        assert!(matches!(put, Err(StorageError::FlowEnded)), "{put:?}");
        assert_eq!(storage.connection(alice.id).await.unwrap(), None);
        owner = storage.user_by_id(alice.id).await.unwrap().unwrap().flow_owner();
        storage.put_connection(owner, &token, &identity).await.unwrap();
        assert!(storage.connection(alice.id).await.unwrap().is_some());
    }
}

async fn a_removal_wins_over_a_concurrent_finish(opened: Opened) {
    for number in 0..20 {
        let alice = opened.user(&format!("alice{number}@example.com")).await;
        let finish = {
            let (storage, owner) = (Arc::clone(&opened.storage), alice.flow_owner());
            let (token, identity) = (token("token", "secret"), identity("1", "digger"));
            tokio::spawn(async move { storage.put_connection(owner, &token, &identity).await })
        };
        opened.storage.delete_connection(alice.id).await.unwrap();
        let finished = finish.await.unwrap();
        assert!(matches!(finished, Ok(()) | Err(StorageError::FlowEnded)), "{finished:?}");
        let left = opened.storage.connection(alice.id).await.unwrap();
        assert_eq!(left, None);
    }
}

async fn an_address_is_known_until_it_expires(opened: Opened) {
    let storage = &opened.storage;
    let known = |account, address| KnownAddress { account: [account; 16], address: [address; 16] };
    let (home, work) = (known(1, 1), known(1, 2));
    assert_eq!(storage.known_address(&home).await.unwrap(), None);
    storage.put_known_address(&home, DAY).await.unwrap();
    let seen = storage.known_address(&home).await.unwrap().unwrap();
    for other in [&work, &known(2, 1)] {
        assert_eq!(storage.known_address(other).await.unwrap(), None);
    }
    storage.put_known_address(&home, DAY).await.unwrap();
    assert!(storage.known_address(&home).await.unwrap().unwrap() >= seen);
    // With a maximum age of zero, all addresses have expired except the one being written.
    opened.advance(Duration::from_secs(1)).await;
    storage.put_known_address(&work, Duration::ZERO).await.unwrap();
    assert_eq!(storage.known_address(&home).await.unwrap(), None);
    assert!(storage.known_address(&work).await.unwrap().is_some());
}

async fn an_account_knows_its_newest_fifty_addresses(opened: Opened) {
    let storage = &opened.storage;
    let known = |account, address| KnownAddress { account: [account; 16], address: [address; 16] };
    storage.put_known_address(&known(2, 0), DAY).await.unwrap();
    for address in 0..60 {
        opened.advance(Duration::from_micros(1)).await;
        storage.put_known_address(&known(1, address), DAY).await.unwrap();
    }
    // Seeing an address again makes it the newest.
    opened.advance(Duration::from_micros(1)).await;
    storage.put_known_address(&known(1, 10), DAY).await.unwrap();
    opened.advance(Duration::from_micros(1)).await;
    storage.put_known_address(&known(1, 60), DAY).await.unwrap();
    let mut kept = Vec::new();
    for address in 0..=60 {
        if storage.known_address(&known(1, address)).await.unwrap().is_some() {
            kept.push(address);
        }
    }
    assert_eq!(kept, [vec![10], (12..=60).collect()].concat());
    assert!(storage.known_address(&known(2, 0)).await.unwrap().is_some());
}

async fn config_values_are_written_together_and_removed(opened: Opened) {
    let storage: &dyn Storage = &*opened.storage;
    let value = |text| ConfigValue::parse(text).unwrap();
    assert!(storage.config().await.unwrap().is_empty());
    let both = [
        (ConfigKey::DiscogsConsumerKey, value("key")),
        (ConfigKey::DiscogsConsumerSecret, value("secret")),
    ];
    let written_at = storage.put_config(&both).await.unwrap();
    let entries = storage.config().await.unwrap();
    assert_eq!(
        shown(&entries),
        [("discogs_consumer_key", "key"), ("discogs_consumer_secret", "secret")]
    );
    assert!(entries.iter().all(|entry| entry.updated_at == written_at));
    let consumer = ConfigEntry::consumer(&entries).unwrap();
    assert_eq!((consumer.key.as_str(), consumer.secret.expose_secret()), ("key", "secret"));

    storage.put_config(&[(ConfigKey::DiscogsConsumerKey, value("other"))]).await.unwrap();
    assert_eq!(shown(&storage.config().await.unwrap())[0], ("discogs_consumer_key", "other"));
    for written in [Written::Changed, Written::Unchanged] {
        let deleted = storage.delete_config(&[ConfigKey::DiscogsConsumerKey]).await.unwrap();
        assert_eq!(deleted, written);
        let entries = storage.config().await.unwrap();
        assert_eq!(shown(&entries), [("discogs_consumer_secret", "secret")]);
        assert!(ConfigEntry::consumer(&entries).is_none());
    }
    storage.delete_config(&ConfigKey::ALL).await.unwrap();
    assert!(storage.config().await.unwrap().is_empty());
}

fn shown(entries: &[ConfigEntry]) -> Vec<(&'static str, &str)> {
    entries.iter().map(|entry| (entry.key.as_str(), entry.value.expose_secret())).collect()
}

async fn any_text_is_returned_unchanged(opened: Opened) {
    let email = "収集家+\"quote'\\%_@例え.テスト";
    let created = opened.user(email).await;
    let found = opened.storage.user_by_email(email).await.unwrap().unwrap().user;
    assert_eq!((found.id, found.email.as_str()), (created.id, email));
}

async fn preparing_again_applies_nothing(opened: Opened) {
    opened.user("digger@example.com").await;
    for migrations in [Migrations::Automatic, Migrations::Manual] {
        assert_eq!(opened.storage.prepare(migrations).await.unwrap(), []);
    }
    assert!(opened.storage.user_by_email("digger@example.com").await.unwrap().is_some());
}

async fn a_prepared_store_answers_pings(opened: Opened) {
    opened.storage.ping().await.unwrap();
    opened.storage.close().await;
    let after = opened.storage.ping().await;
    assert!(matches!(after, Err(StorageError::Unavailable(_))), "{after:?}");
}

async fn manual_migrations_only_check_the_schema(opened: Opened) {
    let composition = opened.stores.composition();
    let empty = Opened::unprepared(crate::harness::TestStores::new(composition).await);
    let checked = empty.storage.prepare(Migrations::Manual).await;
    let Err(StorageError::SchemaBehind { missing }) = checked else { panic!("{checked:?}") };
    let names = |all: &[Migration]| all.iter().map(Migration::to_string).collect::<Vec<_>>();
    let all = names(migrations::POSTGRES);
    assert_eq!(all, names(migrations::SQLITE));
    assert_eq!(missing, all);
    let applied = empty.storage.prepare(Migrations::Automatic).await.unwrap();
    let applied: Vec<_> = applied.iter().map(ToString::to_string).collect();
    assert_eq!(applied, missing);
}
