//! Migrates the schema in one transaction under one lock, so that of replicas that start together
//! only one does.

use std::time::Duration;

use pg_pipeline::{Error, NewConnection, Server};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row, Transaction};

use super::error::PostgresError;
use super::ours;
use crate::config::Migrations;
use crate::migrations::{Migration, POSTGRES};
use crate::storage::StorageError;

/// Spells `discogs` in ASCII, so no other application uses it by chance.
const LOCK: i64 = 0x64_6973_636f_6773;

/// No statement here is prepared by name: behind a pooler in transaction mode, the name would remain
/// on a connection that another client gets next.
const APPLIED: &str = "select number from api_migrations";

/// [`ours`] recognises a table of that name of another application.
const HAS_TABLE: &str = "
    select 1
    from pg_attribute
    where attrelid = to_regclass('api_migrations') and attname = 'number'
        and atttypid = 'integer'::regtype";

const TIMEOUT: Duration = Duration::from_secs(60);

/// Applies the missing migrations, or only names them.
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
    let lacking_encoding = ours::lacking_encoding(&transaction).await?;
    transaction.rollback().await?;
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

/// Fails if tables that these migrations create exist and belong to another application.
async fn check(transaction: &Transaction<'_>, missing: &[Migration]) -> Result<(), StorageError> {
    let objection = ours::objection(transaction, missing).await?;
    objection.map_or(Ok(()), |objection| Err(StorageError::NotOurs(objection)))
}

async fn apply(client: &mut Client) -> Result<Vec<Migration>, StorageError> {
    let transaction = client.transaction().await?;
    lock(&transaction).await?;
    // Again, under the lock: another replica may have applied them meanwhile.
    let missing = pending(&transaction).await?;
    check(&transaction, &missing).await?;
    apply_all(&transaction, &missing).await?;
    transaction.commit().await?;
    Ok(missing)
}

async fn lock(transaction: &Transaction<'_>) -> Result<(), PostgresError> {
    // If another session keeps a table locked, this fails soon and is retried, instead of delaying
    // every statement that queues behind it.
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

/// The migrations that the database lacks; those of a newer version are ignored.
pub(crate) async fn pending(
    transaction: &Transaction<'_>,
) -> Result<Vec<Migration>, PostgresError> {
    if !has_migrations(transaction).await? {
        return Ok(POSTGRES.to_vec());
    }
    pending_in(&transaction.query_typed(APPLIED, &[]).await?)
}

/// Whether the service has created its schema here.
pub(crate) async fn has_migrations(transaction: &Transaction<'_>) -> Result<bool, PostgresError> {
    Ok(!transaction.query_typed(HAS_TABLE, &[]).await?.is_empty())
}

fn pending_in(rows: &[Row]) -> Result<Vec<Migration>, PostgresError> {
    let applied = rows.iter().map(|row| row.try_get(0)).collect::<Result<Vec<i32>, _>>()?;
    Ok(POSTGRES.iter().copied().filter(|migration| !applied.contains(&migration.number)).collect())
}
