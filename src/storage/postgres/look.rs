//! A look at the database that changes nothing: one connection, one read-only transaction.

use std::time::{Duration, Instant};

use tokio_postgres::{Client, Transaction};

use super::error::PostgresError;
use super::migrate::{has_migrations, pending};
use super::ours;
use super::rights::{lacking_to_migrate, lacking_to_serve};
use super::rows;
use super::server::{Made, Server};
use super::statements::{CONFIG, PING, Statements};
use crate::config::{PostgresConfig, StatementNames};
use crate::migrations::{Migration, POSTGRES, Schema};
use crate::model::ConfigEntry;
use crate::storage::look::{Doubt, Writes};
use crate::storage::{Look, LookError};

/// After the connection is made.
const TIMEOUT: Duration = Duration::from_millis(2_500);

pub(super) async fn look(config: &PostgresConfig) -> Result<Look, LookError> {
    let Made { client, driver, .. } = Server::new(config).connect().await?;
    let driver = tokio::spawn(driver);
    let looked = tokio::time::timeout(TIMEOUT, look_over(client, config.statements)).await;
    driver.abort();
    looked.unwrap_or_else(|_| Err(PostgresError::NoAnswer(TIMEOUT).into()))
}

async fn look_over(
    mut client: Client,
    names_of_statements: StatementNames,
) -> Result<Look, LookError> {
    let transaction =
        client.build_transaction().read_only(true).start().await.map_err(PostgresError::from)?;
    let asked = Instant::now();
    transaction.query_typed(PING.text, &[]).await.map_err(PostgresError::from)?;
    let latency = asked.elapsed();
    if !has_migrations(&transaction).await? {
        object(&transaction, &POSTGRES).await?;
    }
    let version =
        text(&transaction, "select split_part(current_setting('server_version'), ' ', 1)").await?;
    let writes = writes(&transaction).await?;
    let lacks = lacking_to_serve(&transaction).await?;
    if !lacks.is_empty() {
        return Err(LookError::Lacks(lacks));
    }
    object(&transaction, &pending(&transaction).await?).await?;
    let schema = schema(&transaction).await?;
    let lacks_to_migrate = match &schema {
        Schema::Behind(missing) => lacking_to_migrate(&transaction, missing).await?,
        _ => Vec::new(),
    };
    let config = config(&transaction).await?;
    let names: Vec<_> = POSTGRES.iter().map(ToString::to_string).collect();
    let missing_unique = ours::missing_unique(&transaction, &names).await?;
    let lacking_encoding = ours::lacking_encoding(&transaction).await?;
    let doubts = doubts(&transaction, names_of_statements).await?;
    transaction.rollback().await.map_err(PostgresError::from)?;
    let schema = match schema {
        Schema::UpToDate if names_of_statements == StatementNames::Named => {
            prepared(&client).await?
        }
        schema => schema,
    };
    Ok(Look {
        version,
        latency,
        schema,
        lacks_to_migrate,
        writes,
        missing_unique,
        lacking_encoding,
        doubts,
        config,
    })
}

async fn writes(transaction: &Transaction<'_>) -> Result<Writes, PostgresError> {
    let read_only = "select (pg_is_in_recovery()
            or current_setting('default_transaction_read_only') = 'on')::text";
    let is_read_only = text(transaction, read_only).await? == "true";
    Ok(if is_read_only { Writes::Refused } else { Writes::Taken })
}

async fn config(transaction: &Transaction<'_>) -> Result<Vec<ConfigEntry>, PostgresError> {
    if !has_table(transaction, "app_config").await? {
        return Ok(Vec::new());
    }
    let rows = transaction.query_typed(CONFIG.text, &[]).await?;
    rows.iter().filter_map(|row| rows::config_entry(row).transpose()).collect()
}

/// Fails where the tables that these migrations make are there and are another application's.
async fn object(transaction: &Transaction<'_>, missing: &[Migration]) -> Result<(), LookError> {
    let objection = ours::objection(transaction, missing).await?;
    objection.map_or(Ok(()), |objection| Err(LookError::NotOurs(objection)))
}

/// Which settings let the server lose what it acknowledged, or let a statement run for ever.
async fn doubts(
    transaction: &Transaction<'_>,
    names: StatementNames,
) -> Result<Vec<Doubt>, PostgresError> {
    let mut doubts = Vec::new();
    for (setting, bad, doubt) in [
        ("fsync", "off", Doubt::Fsync),
        ("synchronous_commit", "off", Doubt::SynchronousCommit),
        ("statement_timeout", "0", Doubt::NoStatementTimeout),
    ] {
        // Where connections have settings of their own, this one is among them.
        let is_ours = doubt == Doubt::NoStatementTimeout && names == StatementNames::Named;
        let value = text(transaction, &format!("select current_setting('{setting}')")).await?;
        if value == bad && !is_ours {
            doubts.push(doubt);
        }
    }
    Ok(doubts)
}

async fn schema(transaction: &Transaction<'_>) -> Result<Schema, PostgresError> {
    let mut applied = Vec::new();
    if has_table(transaction, "api_migrations").await? {
        let rows = "select number, name from api_migrations order by number";
        for row in transaction.query_typed(rows, &[]).await? {
            applied.push((row.try_get(0)?, row.try_get(1)?));
        }
    }
    Ok(Schema::compare(&POSTGRES, &applied))
}

/// Whether the tables are still what the migrations made of them: the server itself says whether
/// every statement of the service fits them. None is executed.
async fn prepared(client: &Client) -> Result<Schema, PostgresError> {
    let Err(error) = Box::pin(Statements::prepare(Some(client))).await else {
        return Ok(Schema::UpToDate);
    };
    match PostgresError::from(error) {
        // Class 42 but for a missing permission: a table or column is not what it was.
        PostgresError::Server { code, message, .. }
            if code.starts_with("42") && code != "42501" =>
        {
            Ok(Schema::Changed(message))
        }
        error => Err(error),
    }
}

async fn has_table(transaction: &Transaction<'_>, name: &str) -> Result<bool, PostgresError> {
    let found = format!("select (to_regclass('{name}') is not null)::text");
    Ok(text(transaction, &found).await? == "true")
}

async fn text(transaction: &Transaction<'_>, query: &str) -> Result<String, PostgresError> {
    let rows = transaction.query_typed(query, &[]).await?;
    let row = rows.first().ok_or_else(|| PostgresError::Row(format!("`{query}` gave none")))?;
    Ok(row.try_get(0)?)
}
