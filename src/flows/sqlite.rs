//! The OAuth state in the SQLite file, for a service on one machine.

use std::sync::Weak;
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{OptionalExtension as _, Row, Transaction, named_params};
use tokio::time::MissedTickBehavior;

use super::record;
use super::{OAuthStates, Outcome, PendingAuthorization, STATE_LIFE, StateError, Step};
use crate::clock::Clock;
use crate::expiring::Write;
use crate::sqlite::{Counted, Database, SqliteError};

/// How often expired states, which count as gone anyway, are removed from the file.
const SWEEP: Duration = Duration::from_secs(60);

const PUT: &str = "
    insert into oauth_states (state, record, expires_at)
    values (:state, :record, :expires_at)
    on conflict (state) do update
    set record = excluded.record, expires_at = excluded.expires_at";

const STORED: &str = "
    select record
    from oauth_states
    where state = :state and expires_at > :now";

const REPLACE: &str = "
    update oauth_states
    set record = :record
    where state = :state";

const DELETE: &str = "
    delete from oauth_states
    where state = :state";

const DELETE_EXPIRED: &str = "
    delete from oauth_states
    where expires_at <= :now";

/// [`OAuthStates`] in the SQLite file.
#[derive(Debug)]
pub struct SqliteStates {
    database: Counted,
    clock: Clock,
}

impl SqliteStates {
    /// Takes the file, which need not be open yet, and begins to sweep it.
    #[must_use]
    pub fn new(database: Counted, clock: Clock) -> Self {
        tokio::spawn(sweep(database.downgrade(), clock.clone()));
        Self { database, clock }
    }
}

#[async_trait]
impl OAuthStates for SqliteStates {
    async fn ping(&self) -> Result<(), StateError> {
        Ok(self.database.ping().await?)
    }

    async fn put(&self, pending: &PendingAuthorization) -> Result<(), StateError> {
        let state = pending.request_token.token.clone();
        let record = record::encode(pending);
        let expires_at = self.clock.now().plus(STATE_LIFE).as_microseconds();
        let write =
            move |transaction: &Transaction<'_>| put(transaction, &state, &record, expires_at);
        Ok(self.database.write(write).await?)
    }

    async fn step(&self, state: &str, step: Step) -> Result<Outcome, StateError> {
        let (state, clock) = (state.to_owned(), self.clock.clone());
        let write = move |transaction: &Transaction<'_>| {
            let now = clock.now();
            let parameters = named_params! { ":state": state, ":now": now.as_microseconds() };
            let mut statement = transaction.prepare_cached(STORED)?;
            let stored = statement.query_row(parameters, bytes).optional()?;
            let (write, outcome) = record::apply(&state, stored.as_deref(), now, &step);
            match write {
                Write::Nothing => {}
                Write::Replace(record) => {
                    let parameters = named_params! { ":state": state, ":record": record };
                    transaction.prepare_cached(REPLACE)?.execute(parameters)?;
                }
                Write::Renew(record, life) => {
                    let expires_at = now.plus(life).as_microseconds();
                    put(transaction, &state, &record, expires_at)?;
                }
                Write::Delete => {
                    let parameters = named_params! { ":state": state };
                    transaction.prepare_cached(DELETE)?.execute(parameters)?;
                }
            }
            Ok(outcome)
        };
        Ok(self.database.write(write).await?)
    }
}

/// A record as it stands; one that is no text is none of ours.
fn bytes(row: &Row<'_>) -> rusqlite::Result<Vec<u8>> {
    Ok(row.get_ref(0)?.as_bytes().unwrap_or_default().to_vec())
}

fn put(
    transaction: &Transaction<'_>,
    state: &str,
    record: &str,
    expires_at: i64,
) -> rusqlite::Result<()> {
    let parameters =
        named_params! { ":state": state, ":record": record, ":expires_at": expires_at };
    transaction.prepare_cached(PUT)?.execute(parameters).map(drop)
}

/// Removes expired states until the file is no longer used.
async fn sweep(database: Weak<Database>, clock: Clock) {
    let mut interval = tokio::time::interval(SWEEP);
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
        // What could not be removed now is removed a minute later.
        let _ = database.write(delete).await;
    }
}

impl From<SqliteError> for StateError {
    fn from(error: SqliteError) -> Self {
        match error {
            SqliteError::Overloaded => Self::Overloaded,
            error => Self::Unavailable(error.into()),
        }
    }
}
