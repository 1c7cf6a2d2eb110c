//! The encryption of stored secrets, on each store.

use std::sync::Arc;

use discogsography_api::config::{Migrations, PythonCompat};
use discogsography_api::expiring::Expiring;
use discogsography_api::flows::{Flows, PendingAuthorization, RecordForm};
use discogsography_api::keyring::{PlainText, Purpose, SealedTable, Sealing, Unreadable};
use discogsography_api::keys::{self, Direction, Misfit, TableTally};
use discogsography_api::model::{
    ConfigKey, ConfigValue, DiscogsIdentity, DiscogsToken, FlowEpoch, FlowOwner,
};
use discogsography_api::server::OpenedStores;
use discogsography_api::storage::{Reseal, SealedRow, Storage, StorageError};
use oauth1::Token;
use secrecy::{ExposeSecret as _, SecretString};
use uuid::Uuid;

use crate::harness::{Opened, new_user, on_both_stores};

on_both_stores!(
    secrets_are_stored_encrypted,
    plain_values_are_read_until_their_table_is_encrypted,
    every_secret_is_encrypted_rotated_and_decrypted,
    empty_tokens_are_neither_encrypted_nor_counted,
    a_value_that_was_replaced_meanwhile_stays,
    a_wrong_key_is_found_before_anything_is_encrypted,
    keys_must_fit_the_encrypted_rows,
    one_damaged_value_does_not_make_a_key_wrong,
    unreadable_secrets_are_cleared,
    flows_are_stored_encrypted,
    flows_that_a_python_service_reads_are_stored_plain,
);

const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const OTHER: &str = "AQECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn ignore(_: SealedTable, _: u64, _: u64) {}

/// Returns the stores of a service with these keys.
async fn with_keys(opened: &Opened, current: Option<&str>, previous: &[&str]) -> OpenedStores {
    let stores = opened.with_keys(current, previous);
    stores.storage.prepare(Migrations::Automatic).await.unwrap();
    stores
}

async fn set_credentials(storage: &dyn Storage) {
    let value = |value| ConfigValue::parse(value).unwrap();
    let values = [
        (ConfigKey::DiscogsConsumerKey, value("the-consumer-key")),
        (ConfigKey::DiscogsConsumerSecret, value("the-consumer-secret")),
    ];
    storage.put_config(&values).await.unwrap();
}

/// Connects a new user to Discogs.
async fn connect(storage: &dyn Storage, number: usize) {
    let new = new_user(&format!("digger{number}@example.com"));
    let user = storage.create_user(&new).await.unwrap();
    let owner = FlowOwner { user_id: user.id, epoch: FlowEpoch(0) };
    let token = format!("access-token-{number}");
    let token = DiscogsToken(Token { token, secret: "access-secret".into() });
    let identity = DiscogsIdentity { id: "7".to_owned(), username: "digger".to_owned() };
    storage.put_connection(owner, &token, &identity).await.unwrap();
}

async fn rows(storage: &dyn Storage, table: SealedTable) -> Vec<SealedRow> {
    storage.sealed_rows(table, None).await.unwrap()
}

/// Returns every stored secret that is not empty, as it is.
async fn stored(storage: &dyn Storage) -> Vec<String> {
    let mut values = Vec::new();
    for table in SealedTable::ALL {
        let rows = rows(storage, table).await.into_iter();
        values.extend(rows.flat_map(|row| row.values).map(|it| it.expose_secret().to_owned()));
        values.retain(|value| !value.is_empty());
    }
    values
}

async fn credentials(storage: &dyn Storage) -> Result<Vec<String>, StorageError> {
    let entries = storage.config().await?;
    Ok(entries.into_iter().map(|entry| entry.value.expose_secret().to_owned()).collect())
}

/// Returns how many rows of all tables are plain, under the current key, under others, unreadable.
async fn counts(stores: &OpenedStores) -> [u64; 4] {
    let tally = keys::tally(&*stores.storage, &stores.keyring, &ignore).await.unwrap();
    tally.iter().fold([0; 4], |[plain, current, previous, unreadable], (_, rows)| {
        [
            plain + rows.plain,
            current + rows.current,
            previous + rows.previous.iter().sum::<u64>(),
            unreadable + rows.unreadable,
        ]
    })
}

async fn reseal(stores: &OpenedStores, direction: Direction) -> u64 {
    let resealed = keys::reseal(&*stores.storage, &stores.keyring, direction, &ignore).await;
    let resealed = resealed.unwrap();
    let left: u64 = resealed.left.iter().map(|(_, rows)| rows.left(direction)).sum();
    assert_eq!(left, 0, "{resealed:?}");
    resealed.written
}

async fn fit(stores: &OpenedStores) -> Result<(), Misfit> {
    keys::fit(&*stores.storage, &stores.keyring).await.map(drop)
}

async fn secrets_are_stored_encrypted(opened: Opened) {
    let service = with_keys(&opened, Some(KEY), &[]).await;
    set_credentials(&*service.storage).await;
    connect(&*service.storage, 1).await;
    let stored = stored(&*service.storage).await;
    let sealings = stored.iter().map(|it| service.keyring.sealing(Purpose::DiscogsTokens, it));
    assert_eq!(sealings.collect::<Vec<_>>(), [Sealing::Current; 4]);
    let read = credentials(&*service.storage).await.unwrap();
    assert_eq!(read, ["the-consumer-key", "the-consumer-secret"]);
    let [token, secret, ..] = &stored[..] else { panic!("{stored:?}") };
    let open = |stored| service.keyring.open(Purpose::DiscogsTokens, stored, PlainText::Refused);
    assert_eq!(open(token).unwrap().expose_secret(), "access-token-1");
    assert_eq!(open(secret).unwrap().expose_secret(), "access-secret");
}

async fn plain_values_are_read_until_their_table_is_encrypted(opened: Opened) {
    let keyless = with_keys(&opened, None, &[]).await;
    let keyed = with_keys(&opened, Some(KEY), &[]).await;
    set_credentials(&*keyless.storage).await;
    let expected = ["the-consumer-key", "the-consumer-secret"];
    assert_eq!(credentials(&*keyed.storage).await.unwrap(), expected);

    assert_eq!(reseal(&keyed, Direction::Encrypt).await, 2);
    assert_eq!(credentials(&*keyed.storage).await.unwrap(), expected);
    let refused = credentials(&*keyless.storage).await.unwrap_err();
    let (table, row) = (SealedTable::AppConfig, "discogs_consumer_key");
    let is_refused = |error: &StorageError, because| matches!(error, StorageError::Unreadable { table: of, row: at, source } if *of == table && at == row && *source == because);
    assert!(is_refused(&refused, Unreadable::NoKey), "{refused:?}");

    set_credentials(&*keyless.storage).await;
    let refused = credentials(&*keyed.storage).await.unwrap_err();
    assert!(is_refused(&refused, Unreadable::Plain), "{refused:?}");
    assert_eq!(reseal(&keyed, Direction::Encrypt).await, 2);
    assert_eq!(credentials(&*keyed.storage).await.unwrap(), expected);
}

async fn every_secret_is_encrypted_rotated_and_decrypted(opened: Opened) {
    let keyless = with_keys(&opened, None, &[]).await;
    set_credentials(&*keyless.storage).await;
    for number in 0..5 {
        connect(&*keyless.storage, number).await;
    }
    let plain = stored(&*keyless.storage).await;

    let old = with_keys(&opened, Some(OTHER), &[]).await;
    fit(&old).await.unwrap();
    assert_eq!(counts(&old).await, [7, 0, 0, 0]);
    assert_eq!(reseal(&old, Direction::Encrypt).await, 7);
    assert_eq!(reseal(&old, Direction::Encrypt).await, 0);
    assert_eq!(counts(&old).await, [0, 7, 0, 0]);

    let new = with_keys(&opened, Some(KEY), &[OTHER]).await;
    fit(&new).await.unwrap();
    connect(&*new.storage, 5).await;
    assert_eq!(counts(&new).await, [0, 1, 7, 0]);
    assert_eq!(credentials(&*new.storage).await.unwrap().len(), 2);
    assert_eq!(reseal(&new, Direction::Rotate).await, 7);
    assert_eq!(counts(&new).await, [0, 8, 0, 0]);
    let alone = with_keys(&opened, Some(KEY), &[]).await;
    fit(&alone).await.unwrap();

    assert_eq!(reseal(&alone, Direction::Decrypt).await, 8);
    let mut decrypted = stored(&*keyless.storage).await;
    decrypted.retain(|value| value != "access-token-5");
    let (mut expected, mut found) = (plain, decrypted);
    expected.push("access-secret".to_owned());
    expected.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, expected);
    fit(&keyless).await.unwrap();
}

/// Another program may have stored a connection without tokens.
async fn empty_tokens_are_neither_encrypted_nor_counted(opened: Opened) {
    let stores = with_keys(&opened, Some(KEY), &[]).await;
    connect(&*stores.storage, 0).await;
    let rows = rows(&*stores.storage, SealedTable::OauthTokens).await;
    let emptied = rows.into_iter().map(|row| Reseal { row, values: vec!["".into(), "".into()] });
    let written = stores.storage.reseal(SealedTable::OauthTokens, emptied.collect()).await;
    assert_eq!(written.unwrap(), 1);
    fit(&stores).await.unwrap();
    for direction in [Direction::Encrypt, Direction::Rotate, Direction::Decrypt] {
        assert_eq!(reseal(&stores, direction).await, 0);
        assert_eq!(counts(&stores).await, [0; 4]);
    }
}

async fn a_value_that_was_replaced_meanwhile_stays(opened: Opened) {
    let storage = Arc::clone(&opened.storage);
    set_credentials(&*storage).await;
    let table = SealedTable::AppConfig;
    let before = rows(&*storage, table).await;
    let change = ConfigValue::parse("a-newer-key").unwrap();
    storage.put_config(&[(ConfigKey::DiscogsConsumerKey, change)]).await.unwrap();
    let reseal = before.into_iter().map(|row| Reseal { row, values: vec!["changed".into()] });
    assert_eq!(storage.reseal(table, reseal.collect()).await.unwrap(), 1);
    assert_eq!(stored(&*storage).await, ["a-newer-key", "changed"]);
}

async fn a_wrong_key_is_found_before_anything_is_encrypted(opened: Opened) {
    fit(&with_keys(&opened, None, &[]).await).await.unwrap();
    fit(&with_keys(&opened, Some(KEY), &[]).await).await.unwrap();
    let wrong = fit(&with_keys(&opened, Some(OTHER), &[]).await).await;
    assert!(matches!(wrong, Err(Misfit::OtherKey)), "{wrong:?}");
    let none = fit(&with_keys(&opened, None, &[]).await).await;
    assert!(matches!(none, Err(Misfit::KeyMissing)), "{none:?}");
    fit(&with_keys(&opened, Some(OTHER), &[KEY]).await).await.unwrap();
    // The check value stays that of the old key, so services that have only that one can start.
    fit(&with_keys(&opened, Some(KEY), &[]).await).await.unwrap();
}

async fn keys_must_fit_the_encrypted_rows(opened: Opened) {
    let service = with_keys(&opened, Some(KEY), &[]).await;
    // As the Python service does, without a check value.
    set_credentials(&*service.storage).await;
    connect(&*service.storage, 1).await;
    let tables = [SealedTable::OauthTokens, SealedTable::AppConfig];
    let none = fit(&with_keys(&opened, None, &[]).await).await;
    assert!(matches!(&none, Err(Misfit::NoKey(named)) if *named == tables), "{none:?}");
    let wrong = fit(&with_keys(&opened, Some(OTHER), &[]).await).await;
    assert!(matches!(&wrong, Err(Misfit::NoKeyFits(named)) if *named == tables), "{wrong:?}");
    let encryption = opened.storage.encryption().await.unwrap();
    assert_eq!(encryption.check, None, "a key that does not fit is not recorded");
    fit(&service).await.unwrap();
}

/// Replaces a row's values by others.
async fn damage(storage: &dyn Storage, table: SealedTable, row: SealedRow, value: &str) {
    let values = row.values.iter().map(|_| SecretString::from(value)).collect();
    assert_eq!(storage.reseal(table, vec![Reseal { row, values }]).await.unwrap(), 1);
}

async fn one_damaged_value_does_not_make_a_key_wrong(opened: Opened) {
    let service = with_keys(&opened, Some(KEY), &[]).await;
    let table = SealedTable::OauthTokens;
    connect(&*service.storage, 1).await;
    connect(&*service.storage, 2).await;
    let row = rows(&*service.storage, table).await.remove(0);
    let (key, token) = (row.key.clone(), row.values[0].expose_secret().to_owned());
    damage(&*service.storage, table, row, &token.replacen("gAAAAA", "gAAAAB", 1)).await;
    fit(&service).await.unwrap();
    let tally = keys::tally(&*service.storage, &service.keyring, &ignore).await.unwrap();
    let expected = TableTally {
        current: 1,
        unreadable: 1,
        unreadable_rows: vec![key],
        ..TableTally::default()
    };
    assert_eq!(tally[0], (table, expected));
}

async fn unreadable_secrets_are_cleared(opened: Opened) {
    let lost = with_keys(&opened, Some(OTHER), &[]).await;
    fit(&lost).await.unwrap();
    set_credentials(&*lost.storage).await;
    connect(&*lost.storage, 1).await;
    let service = with_keys(&opened, Some(KEY), &[]).await;
    connect(&*service.storage, 2).await;
    assert!(fit(&service).await.is_err());
    assert_eq!(counts(&service).await, [0, 1, 0, 3]);
    let cleared = keys::clear_unreadable(&*service.storage, &service.keyring).await.unwrap();
    let tables =
        [(SealedTable::OauthTokens, 1), (SealedTable::AppConfig, 2), (SealedTable::Users, 0)];
    assert_eq!(cleared, tables);
    assert_eq!(counts(&service).await, [0, 1, 0, 0]);
    fit(&service).await.unwrap();
}

async fn flows_are_stored_encrypted(opened: Opened) {
    let service = with_keys(&opened, Some(KEY), &[]).await;
    put_flow(&service.flows, RecordForm::Own, "sealed").await;
    put_flow(&opened.records, RecordForm::Own, "plain").await;
    let read = [
        record(&service.flows, "sealed").await,
        record(&service.flows, "plain").await,
        record(&opened.records, "plain").await,
    ];
    assert!(read.iter().flatten().all(|read| read.contains("request-secret")), "{read:?}");
    assert_eq!(record(&opened.records, "sealed").await, None, "without the key it is no record");
}

async fn flows_that_a_python_service_reads_are_stored_plain(opened: Opened) {
    let service = with_keys(&opened, Some(KEY), &[]).await;
    let beside = opened.with_keys_beside(PythonCompat::On, Some(KEY), &[]);
    beside.storage.prepare(Migrations::Automatic).await.unwrap();
    put_flow(&beside.flows, RecordForm::Python, "plain").await;
    let plain = record(&opened.records, "plain").await.unwrap();
    assert!(plain.contains(r#""secret":"request-secret""#), "{plain}");
    // Flows that started before `PYTHON_COMPAT` was turned on can be finished.
    put_flow(&service.flows, RecordForm::Own, "sealed").await;
    assert!(record(&beside.flows, "sealed").await.unwrap().contains("request-secret"));
}

async fn put_flow(records: &Arc<dyn Expiring>, form: RecordForm, state: &str) {
    let owner = FlowOwner { user_id: Uuid::from_u128(1), epoch: FlowEpoch(0) };
    let request_token = Token { token: state.to_owned(), secret: "request-secret".into() };
    let pending = PendingAuthorization { owner, request_token, granted: None };
    Flows::new(Arc::clone(records), form).put(&pending).await.unwrap();
}

async fn record(records: &Arc<dyn Expiring>, state: &str) -> Option<String> {
    use discogsography_api::expiring::Change;
    let read = |stored: Option<&[u8]>, _| (Change::Nothing, stored.map(<[u8]>::to_vec));
    let stored = records.update(state, read).await.unwrap();
    stored.map(|stored| String::from_utf8(stored).unwrap())
}
