//! Migrates the schema in one transaction, under a lock.
//!
//! If several replicas start together, only one of them applies the migrations.

use std::time::Duration;

use pg_pipeline::{Error, NewConnection, Server};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row, Transaction};

use super::compatibility;
use super::error::PostgresError;
use crate::config::Migrations;
use crate::migrations::{Migration, POSTGRES};
use crate::storage::StorageError;

/// Spells `discogs` in ASCII, so no other application uses it by chance.
const LOCK: i64 = 0x64_6973_636f_6773;

/// Statements here are not prepared by name: behind a pooler in transaction mode, the name would stay
/// on a connection that another client uses next.
const APPLIED: &str = "select number from api_migrations";

/// Finds only the service's own table; [`compatibility`] reports another application's.
const HAS_TABLE: &str = "
    select 1
    from pg_attribute
    where attrelid = to_regclass('api_migrations') and attname = 'number'
        and atttypid = 'integer'::regtype";

const TIMEOUT: Duration = Duration::from_secs(60);

/// Applies the missing migrations, or fails with their names if `how` is manual.
pub(super) async fn migrate(
    server: &Server,
    how: Migrations,
) -> Result<Vec<Migration>, StorageError> {
    let NewConnection { client, driver, .. } = server.connect().await?;
    let driver = tokio::spawn(driver);
    let migrated = tokio::time::timeout(TIMEOUT, bring_up_to_date(client, how)).await;
    driver.abort();
    migrated.unwrap_or(Err(Error::NoAnswer(TIMEOUT).into()))
}

async fn bring_up_to_date(
    mut client: Client,
    how: Migrations,
) -> Result<Vec<Migration>, StorageError> {
    let transaction = client.build_transaction().read_only(true).start().await?;
    let missing = pending(&transaction).await?;
    check(&transaction, &missing).await?;
    let limited_encoding = compatibility::limited_encoding(&transaction).await?;
    transaction.rollback().await?;
    if how == Migrations::Manual && !missing.is_empty() {
        let missing = missing.iter().map(Migration::to_string).collect();
        return Err(StorageError::SchemaBehind { missing });
    }
    let applied = if missing.is_empty() { missing } else { apply(&mut client).await? };
    if let Some(encoding) = limited_encoding {
        tracing::error!(
            encoding,
            "❌ The database's encoding can't store every character: move to UTF8"
        );
    }
    Ok(applied)
}

/// Fails if tables that these migrations create exist and belong to another application.
async fn check(transaction: &Transaction<'_>, missing: &[Migration]) -> Result<(), StorageError> {
    let reason = compatibility::incompatibility(transaction, missing).await?;
    reason.map_or(Ok(()), |reason| Err(StorageError::Incompatible(reason)))
}

async fn apply(client: &mut Client) -> Result<Vec<Migration>, StorageError> {
    let transaction = client.transaction().await?;
    lock(&transaction).await?;
    // Checked again under the lock: another replica may have applied them in the meantime.
    let missing = pending(&transaction).await?;
    check(&transaction, &missing).await?;
    apply_all(&transaction, &missing).await?;
    transaction.commit().await?;
    Ok(missing)
}

async fn lock(transaction: &Transaction<'_>) -> Result<(), PostgresError> {
    // If another session has locked a table, fail soon and retry: a longer wait would block every
    // statement that queues behind this one.
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

/// Returns the migrations that are not applied; ignores those of a newer version.
pub(crate) async fn pending(
    transaction: &Transaction<'_>,
) -> Result<Vec<Migration>, PostgresError> {
    if !has_migrations(transaction).await? {
        return Ok(POSTGRES.to_vec());
    }
    pending_in(&transaction.query_typed(APPLIED, &[]).await?)
}

/// Returns whether the service has migrated this database before.
pub(crate) async fn has_migrations(transaction: &Transaction<'_>) -> Result<bool, PostgresError> {
    Ok(!transaction.query_typed(HAS_TABLE, &[]).await?.is_empty())
}

fn pending_in(rows: &[Row]) -> Result<Vec<Migration>, PostgresError> {
    let applied = rows.iter().map(|row| row.try_get(0)).collect::<Result<Vec<i32>, _>>()?;
    Ok(POSTGRES.iter().copied().filter(|migration| !applied.contains(&migration.number)).collect())
}
