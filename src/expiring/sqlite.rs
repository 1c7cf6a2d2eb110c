//! Records in the SQLite file, for a service on one machine.
//!
//! The table and its key column are still named after flows, and the keys of flows have no prefix.

use std::sync::Weak;
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{OptionalExtension as _, Row, Transaction, named_params};
use tokio::time::MissedTickBehavior;

use super::{Change, Decide, Expiring, ExpiringError, Stored};
use crate::clock::{Clock, Timestamp};
use crate::sqlite::{CountedDatabase, Database, SqliteError};

/// How often expired records, which are never read, are removed from the file.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);

const PUT: &str = "
    insert into oauth_states (state, record, expires_at)
    values (:key, :record, :expires_at)
    on conflict (state) do update
    set record = excluded.record, expires_at = excluded.expires_at";

const STORED: &str = "
    select record
    from oauth_states
    where state = :key and expires_at > :now";

const REPLACE: &str = "
    update oauth_states
    set record = :record
    where state = :key";

const DELETE: &str = "
    delete from oauth_states
    where state = :key";

const DELETE_EXPIRED: &str = "
    delete from oauth_states
    where expires_at <= :now";

/// [`Expiring`] in the SQLite file.
#[derive(Debug)]
pub struct SqliteRecords {
    database: CountedDatabase,
    clock: Clock,
}

impl SqliteRecords {
    /// Uses the file, which need not be open yet, and starts to sweep it.
    #[must_use]
    pub fn new(database: CountedDatabase, clock: Clock) -> Self {
        tokio::spawn(sweep(database.downgrade(), clock.clone()));
        Self { database, clock }
    }
}

#[async_trait]
impl Expiring for SqliteRecords {
    async fn ping(&self) -> Result<(), ExpiringError> {
        Ok(self.database.ping().await?)
    }

    async fn put(&self, key: &str, record: &str, life: Duration) -> Result<(), ExpiringError> {
        let (key, now) = (key.to_owned(), self.clock.now());
        let renew = Change::Renew(record.to_owned(), life);
        let put = move |transaction: &Transaction<'_>| write(transaction, &key, now, renew);
        Ok(self.database.write(put).await?)
    }

    async fn replace(&self, keys: &[String], decide: Decide) -> Result<(), ExpiringError> {
        let (keys, clock) = (keys.to_owned(), self.clock.clone());
        let update = move |transaction: &Transaction<'_>| {
            let now = clock.now();
            let stored: Vec<_> =
                keys.iter().map(|key| read(transaction, key, now)).collect::<Result<_, _>>()?;
            let mut changes = keys.iter().zip(decide(&stored, now));
            changes.try_for_each(|(key, decided)| write(transaction, key, now, decided))
        };
        Ok(self.database.write(update).await?)
    }
}

fn read(transaction: &Transaction<'_>, key: &str, now: Timestamp) -> rusqlite::Result<Stored> {
    let parameters = named_params! { ":key": key, ":now": now.as_microseconds() };
    transaction.prepare_cached(STORED)?.query_row(parameters, bytes).optional()
}

/// Returns the record's bytes; a value that is not text reads as an empty record.
fn bytes(row: &Row<'_>) -> rusqlite::Result<Vec<u8>> {
    Ok(row.get_ref(0)?.as_bytes().unwrap_or_default().to_vec())
}

fn write(
    transaction: &Transaction<'_>,
    key: &str,
    now: Timestamp,
    change: Change,
) -> rusqlite::Result<()> {
    let execute = |statement, parameters: &[(&str, &dyn rusqlite::ToSql)]| {
        transaction.prepare_cached(statement)?.execute(parameters).map(drop)
    };
    match change {
        Change::Nothing => Ok(()),
        Change::Replace(record) => {
            execute(REPLACE, named_params! { ":key": key, ":record": record })
        }
        Change::Renew(record, life) => {
            let expires_at = now.plus(life).as_microseconds();
            let parameters =
                named_params! { ":key": key, ":record": record, ":expires_at": expires_at };
            execute(PUT, parameters)
        }
        Change::Delete => execute(DELETE, named_params! { ":key": key }),
    }
}

/// Removes expired records regularly until the file is no longer used.
async fn sweep(database: Weak<Database>, clock: Clock) {
    let mut interval = tokio::time::interval(SWEEP_INTERVAL);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        let Some(database) = database.upgrade() else {
            return;
        };
        let now = clock.now().as_microseconds();
        let delete = move |transaction: &Transaction<'_>| {
            transaction.prepare_cached(DELETE_EXPIRED)?.execute(named_params! { ":now": now })
        };
        // If this fails, the next sweep removes them.
        let _ = database.write(delete).await;
    }
}

impl From<SqliteError> for ExpiringError {
    fn from(error: SqliteError) -> Self {
        match error {
            SqliteError::Overloaded => Self::Overloaded,
            error => Self::Unavailable(error.into()),
        }
    }
}
