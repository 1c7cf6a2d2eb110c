//! Bringing the schema up to date: one transaction behind one lock, so that replicas which start
//! together do it once.

use std::time::Duration;

use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::error::PostgresError;
use super::server::Server;
use crate::config::Migrations;
use crate::migrations::{Migration, POSTGRES};
use crate::storage::StorageError;

/// Nobody else takes this one: it spells `discogs` in ASCII.
const LOCK: i64 = 0x64_6973_636f_6773;

/// Nothing here is prepared by name: behind a pooler of transactions the name would stay with a
/// connection that somebody else gets next.
const APPLIED: &str = "select number from api_migrations";

const TIMEOUT: Duration = Duration::from_secs(60);

/// Applies what is missing, or only says what is.
pub(super) async fn migrate(
    server: &Server,
    how: Migrations,
) -> Result<Vec<Migration>, StorageError> {
    let (client, driver) = server.connect().await?;
    let driver = tokio::spawn(driver);
    let migrated = tokio::time::timeout(TIMEOUT, bring_up_to_date(client, how)).await;
    driver.abort();
    migrated.unwrap_or(Err(PostgresError::NoAnswer(TIMEOUT).into()))
}

async fn bring_up_to_date(
    mut client: Client,
    how: Migrations,
) -> Result<Vec<Migration>, StorageError> {
    let missing = pending(&client).await?;
    if missing.is_empty() {
        return Ok(missing);
    }
    if how == Migrations::Manual {
        let missing = missing.iter().map(Migration::to_string).collect();
        return Err(StorageError::SchemaBehind { missing });
    }
    Ok(apply(&mut client).await?)
}

async fn apply(client: &mut Client) -> Result<Vec<Migration>, PostgresError> {
    let transaction = client.transaction().await?;
    // A table that somebody keeps locked makes this fail soon and be tried again, instead of
    // making everybody wait who comes behind it.
    transaction
        .batch_execute("set local statement_timeout = 0; set local lock_timeout = '5s'")
        .await?;
    transaction.query_typed("select pg_advisory_xact_lock($1)", &[(&LOCK, Type::INT8)]).await?;
    transaction
        .batch_execute(
            "create table if not exists api_migrations (
                number integer primary key,
                name text not null,
                applied_at timestamptz not null default now()
            )",
        )
        .await?;
    let missing = pending_in(&transaction.query_typed(APPLIED, &[]).await?)?;
    for migration in &missing {
        transaction.batch_execute(migration.sql).await?;
        transaction
            .query_typed(
                "insert into api_migrations (number, name) values ($1, $2)",
                &[(&migration.number, Type::INT4), (&migration.name, Type::TEXT)],
            )
            .await?;
    }
    transaction.commit().await?;
    Ok(missing)
}

/// The migrations that the database lacks; a newer version's are none of our business.
async fn pending(client: &Client) -> Result<Vec<Migration>, PostgresError> {
    let table =
        client.query_typed("select 1 where to_regclass('api_migrations') is not null", &[]).await?;
    if table.is_empty() {
        return Ok(POSTGRES.to_vec());
    }
    pending_in(&client.query_typed(APPLIED, &[]).await?)
}

fn pending_in(rows: &[tokio_postgres::Row]) -> Result<Vec<Migration>, PostgresError> {
    let applied = rows.iter().map(|row| row.try_get(0)).collect::<Result<Vec<i32>, _>>()?;
    Ok(POSTGRES.into_iter().filter(|migration| !applied.contains(&migration.number)).collect())
}
