//! Inspects PostgreSQL over one connection, in one read-only transaction.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pg_pipeline::{Error, NewConnection, Prepared};
use tokio_postgres::{Client, Transaction};

use super::privileges::{missing_to_migrate, missing_to_serve};
use super::secrets::{self, Rows};
use super::{Inspection, InspectionError, RiskySetting, Writes};
use crate::config::{PostgresConfig, StatementNames};
use crate::keyring::Keyring;
use crate::migrations::{Migration, POSTGRES, Schema};
use crate::model::ConfigEntry;
use crate::storage::postgres::{
    CONFIG, PING, PREPARED, PostgresError, config_entry, has_migrations, incompatibility,
    later_python, limited_encoding, missing_unique, pending, refuses_settings, server,
};

/// The time limit for all statements together.
const TIMEOUT: Duration = Duration::from_millis(2_500);

pub(in crate::doctor) async fn postgres(
    config: &PostgresConfig,
    keyring: &Keyring,
) -> Result<Inspection, InspectionError> {
    let inspect = async |client| inspect(client, config.statements, keyring).await;
    on_connection(config, TIMEOUT, inspect).await
}

/// Runs an inspection on a new connection, in limited time.
pub(super) async fn on_connection<T>(
    config: &PostgresConfig,
    limit: Duration,
    inspect: impl AsyncFnOnce(Client) -> Result<T, InspectionError>,
) -> Result<T, InspectionError> {
    let connected = server(config).connect().await.map_err(PostgresError::from)?;
    let NewConnection { client, driver, .. } = connected;
    let driver = tokio::spawn(driver);
    let inspected = tokio::time::timeout(limit, inspect(client)).await;
    driver.abort();
    inspected.unwrap_or_else(|_| Err(PostgresError::from(Error::NoAnswer(limit)).into()))
}

async fn inspect(
    mut client: Client,
    statement_names: StatementNames,
    keyring: &Keyring,
) -> Result<Inspection, InspectionError> {
    let transaction =
        client.build_transaction().read_only(true).start().await.map_err(PostgresError::from)?;
    let asked = Instant::now();
    transaction.query_typed(PING.text, &[]).await.map_err(PostgresError::from)?;
    let latency = asked.elapsed();
    if !has_migrations(&transaction).await? {
        refuse_foreign_tables(&transaction, POSTGRES).await?;
    }
    let version = version(&transaction).await?;
    let writes = writes(&transaction).await?;
    let missing = missing_to_serve(&transaction).await?;
    if !missing.is_empty() {
        return Err(InspectionError::MissingPrivileges(missing));
    }
    let pending = pending(&transaction).await?;
    refuse_foreign_tables(&transaction, &pending).await?;
    let schema = schema(&transaction).await?;
    let missing_to_migrate = match &schema {
        Schema::Behind(missing) => missing_to_migrate(&transaction, missing).await?,
        _ => Vec::new(),
    };
    let config = config(&transaction).await?;
    let secrets = secrets::of_postgres(&transaction, keyring, Rows::FirstPage).await?;
    let later_python = later_python(&transaction, &pending).await?;
    let names: Vec<_> = POSTGRES.iter().map(ToString::to_string).collect();
    let missing_unique = missing_unique(&transaction, &names).await?;
    let limited_encoding = limited_encoding(&transaction).await?;
    let risky_settings = risky_settings(&transaction, statement_names).await?;
    transaction.rollback().await.map_err(PostgresError::from)?;
    let schema = match schema {
        Schema::UpToDate if statement_names == StatementNames::Named => prepared(&client).await?,
        schema => schema,
    };
    Ok(Inspection {
        version,
        latency,
        schema,
        missing_to_migrate,
        writes,
        missing_unique,
        limited_encoding,
        risky_settings,
        config,
        secrets,
        later_python,
    })
}

impl From<PostgresError> for InspectionError {
    fn from(error: PostgresError) -> Self {
        let (code, message) = match &error.error {
            Error::Server { code, message, .. } => (code, message),
            Error::Unreachable(unreached) => return Self::Unreached(unreached.clone()),
            Error::ConnectTimeout { .. } => return Self::ConnectTimeout(Arc::new(error)),
            _ => return Self::Storage(error.into()),
        };
        match code.as_str() {
            "57014" | "55P03" => Self::StatementTimeout(Arc::new(error)),
            _ if refuses_settings(message) => Self::RefusedByPooler(Arc::new(error)),
            "3D000" => Self::NoDatabase(Arc::new(error)),
            "42501" => Self::PermissionDenied(Arc::new(error)),
            "53300" => Self::TooManyConnections(Arc::new(error)),
            code if code.starts_with("28") => Self::SignInRefused(Arc::new(error)),
            _ => Self::Storage(error.into()),
        }
    }
}

/// Returns the server's version: `17.4`.
pub(super) async fn version(transaction: &Transaction<'_>) -> Result<String, PostgresError> {
    text(transaction, "select split_part(current_setting('server_version'), ' ', 1)").await
}

pub(super) async fn writes(transaction: &Transaction<'_>) -> Result<Writes, PostgresError> {
    let read_only = "select (pg_is_in_recovery()
            or current_setting('default_transaction_read_only') = 'on')::text";
    let is_read_only = text(transaction, read_only).await? == "true";
    Ok(if is_read_only { Writes::Refused } else { Writes::Accepted })
}

pub(super) async fn config(
    transaction: &Transaction<'_>,
) -> Result<Vec<ConfigEntry>, PostgresError> {
    if !has_table(transaction, "app_config").await? {
        return Ok(Vec::new());
    }
    let rows = transaction.query_typed(CONFIG.text, &[]).await?;
    Ok(rows.iter().filter_map(|row| config_entry(row).transpose()).collect::<Result<_, _>>()?)
}

/// Fails if a table that these migrations create exists and belongs to another application.
async fn refuse_foreign_tables(
    transaction: &Transaction<'_>,
    missing: &[Migration],
) -> Result<(), InspectionError> {
    let incompatibility = incompatibility(transaction, missing).await?;
    incompatibility.map_or(Ok(()), |reason| Err(InspectionError::Incompatible(reason)))
}

/// Finds settings that may lose committed data or let a statement run forever.
async fn risky_settings(
    transaction: &Transaction<'_>,
    names: StatementNames,
) -> Result<Vec<RiskySetting>, PostgresError> {
    let mut found = Vec::new();
    for (setting, bad, risk) in [
        ("fsync", "off", RiskySetting::FsyncOff),
        ("synchronous_commit", "off", RiskySetting::SynchronousCommitOff),
        ("statement_timeout", "0", RiskySetting::NoStatementTimeout),
    ] {
        // Without a pooler, each connection sets its own statement timeout.
        let is_set_by_connection =
            risk == RiskySetting::NoStatementTimeout && names == StatementNames::Named;
        let value = text(transaction, &format!("select current_setting('{setting}')")).await?;
        if value == bad && !is_set_by_connection {
            found.push(risk);
        }
    }
    Ok(found)
}

async fn schema(transaction: &Transaction<'_>) -> Result<Schema, PostgresError> {
    let mut applied = Vec::new();
    if has_table(transaction, "api_migrations").await? {
        let rows = "select number, name from api_migrations order by number";
        for row in transaction.query_typed(rows, &[]).await? {
            applied.push((row.try_get(0)?, row.try_get(1)?));
        }
    }
    Ok(Schema::compare(POSTGRES, &applied))
}

/// Has the server prepare every statement of the service, but executes none.
///
/// Preparing fails if a table was altered.
async fn prepared(client: &Client) -> Result<Schema, PostgresError> {
    let Err(error) = Prepared::new(client, &PREPARED).await else {
        return Ok(Schema::UpToDate);
    };
    match error {
        // Class 42, except for missing permission: a table or column was altered.
        Error::Server { code, message, .. } if code.starts_with("42") && code != "42501" => {
            Ok(Schema::Changed(message))
        }
        error => Err(error.into()),
    }
}

pub(super) async fn has_table(
    transaction: &Transaction<'_>,
    name: &str,
) -> Result<bool, PostgresError> {
    let found = format!("select (to_regclass('{name}') is not null)::text");
    Ok(text(transaction, &found).await? == "true")
}

/// Whether a table exists and has this column.
pub(super) async fn has_column(
    transaction: &Transaction<'_>,
    table: &str,
    name: &str,
) -> Result<bool, PostgresError> {
    let found = format!(
        "select exists (
            select
            from pg_attribute
            where attrelid = to_regclass('{table}') and attname = '{name}' and not attisdropped
        )::text"
    );
    Ok(text(transaction, &found).await? == "true")
}

async fn text(transaction: &Transaction<'_>, query: &str) -> Result<String, PostgresError> {
    let rows = transaction.query_typed(query, &[]).await?;
    let row = rows.first().ok_or(Error::NoRow)?;
    Ok(row.try_get(0)?)
}
