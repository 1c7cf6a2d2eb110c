//! Bringing the schema up to date: one transaction behind one lock, so that replicas which start
//! together do it once.

use std::time::Duration;

use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row, Transaction};

use super::error::PostgresError;
use super::ours;
use super::server::{Made, Server};
use crate::config::Migrations;
use crate::migrations::{Migration, POSTGRES};
use crate::storage::StorageError;

/// Nobody else takes this one: it spells `discogs` in ASCII.
const LOCK: i64 = 0x64_6973_636f_6773;

/// Nothing here is prepared by name: behind a pooler of transactions the name would stay with a
/// connection that somebody else gets next.
const APPLIED: &str = "select number from api_migrations";

/// One of that name that is another application's is found by [`ours`].
const HAS_TABLE: &str = "
    select 1
    from pg_attribute
    where attrelid = to_regclass('api_migrations') and attname = 'number'
        and atttypid = 'integer'::regtype";

const TIMEOUT: Duration = Duration::from_secs(60);

/// Applies what is missing, or only says what is.
pub(super) async fn migrate(
    server: &Server,
    how: Migrations,
) -> Result<Vec<Migration>, StorageError> {
    let Made { client, driver, .. } = server.connect().await?;
    let driver = tokio::spawn(driver);
    let migrated = tokio::time::timeout(TIMEOUT, bring_up_to_date(client, how)).await;
    driver.abort();
    migrated.unwrap_or(Err(PostgresError::NoAnswer(TIMEOUT).into()))
}

async fn bring_up_to_date(
    mut client: Client,
    how: Migrations,
) -> Result<Vec<Migration>, StorageError> {
    let transaction =
        client.build_transaction().read_only(true).start().await.map_err(PostgresError::from)?;
    let missing = pending(&transaction).await?;
    check(&transaction, &missing).await?;
    let lacking_encoding = ours::lacking_encoding(&transaction).await?;
    transaction.rollback().await.map_err(PostgresError::from)?;
    if how == Migrations::Manual && !missing.is_empty() {
        let missing = missing.iter().map(Migration::to_string).collect();
        return Err(StorageError::SchemaBehind { missing });
    }
    let applied = if missing.is_empty() { missing } else { apply(&mut client).await? };
    if let Some(encoding) = lacking_encoding {
        tracing::error!(encoding, "❌ The encoding of the database lacks characters: move to UTF8");
    }
    Ok(applied)
}

/// Fails where the tables to come are there already and are another application's.
async fn check(transaction: &Transaction<'_>, missing: &[Migration]) -> Result<(), StorageError> {
    let objection = ours::objection(transaction, missing).await?;
    objection.map_or(Ok(()), |objection| Err(StorageError::NotOurs(objection)))
}

async fn apply(client: &mut Client) -> Result<Vec<Migration>, StorageError> {
    let transaction = client.transaction().await.map_err(PostgresError::from)?;
    lock(&transaction).await?;
    // Again, under the lock: another replica may have applied them meanwhile.
    let missing = pending(&transaction).await?;
    check(&transaction, &missing).await?;
    apply_all(&transaction, &missing).await?;
    transaction.commit().await.map_err(PostgresError::from)?;
    Ok(missing)
}

async fn lock(transaction: &Transaction<'_>) -> Result<(), PostgresError> {
    // A table that somebody keeps locked makes this fail soon and be tried again, instead of
    // making everybody wait who comes behind it.
    transaction
        .batch_execute("set local statement_timeout = 0; set local lock_timeout = '5s'")
        .await?;
    transaction.query_typed("select pg_advisory_xact_lock($1)", &[(&LOCK, Type::INT8)]).await?;
    Ok(())
}

async fn apply_all(
    transaction: &Transaction<'_>,
    missing: &[Migration],
) -> Result<(), PostgresError> {
    transaction
        .batch_execute(
            "create table if not exists api_migrations (
                number integer primary key,
                name text not null,
                applied_at timestamptz not null default now()
            )",
        )
        .await?;
    for migration in missing {
        transaction.batch_execute(migration.sql).await?;
        transaction
            .query_typed(
                "insert into api_migrations (number, name) values ($1, $2)",
                &[(&migration.number, Type::INT4), (&migration.name, Type::TEXT)],
            )
            .await?;
    }
    Ok(())
}

/// The migrations that the database lacks; a newer version's are none of our business.
pub(crate) async fn pending(
    transaction: &Transaction<'_>,
) -> Result<Vec<Migration>, PostgresError> {
    if !has_migrations(transaction).await? {
        return Ok(POSTGRES.to_vec());
    }
    pending_in(&transaction.query_typed(APPLIED, &[]).await?)
}

/// Whether a service has made its schema here.
pub(crate) async fn has_migrations(transaction: &Transaction<'_>) -> Result<bool, PostgresError> {
    Ok(!transaction.query_typed(HAS_TABLE, &[]).await?.is_empty())
}

fn pending_in(rows: &[Row]) -> Result<Vec<Migration>, PostgresError> {
    let applied = rows.iter().map(|row| row.try_get(0)).collect::<Result<Vec<i32>, _>>()?;
    Ok(POSTGRES.iter().copied().filter(|migration| !applied.contains(&migration.number)).collect())
}
