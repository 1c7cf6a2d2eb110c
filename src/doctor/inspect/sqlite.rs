//! Inspects the SQLite file without changing it or anything beside it.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use rusqlite::Connection;
use sqlite_file::ReadOnly;

use super::{Inspection, InspectionError, Writes, secrets};
use crate::keyring::Keyring;
use crate::migrations::{SQLITE, Schema};
use crate::model::ConfigEntry;
use crate::sqlite::{APPLICATION, SqliteError};
use crate::storage::sqlite::{CONFIG, config_entry};

pub(in crate::doctor) fn sqlite(
    path: &Path,
    keyring: &Keyring,
) -> Result<Inspection, InspectionError> {
    inspect(path, keyring).map_err(|error| match error {
        SqliteError::Unfinished(_) => InspectionError::Unfinished(Arc::new(error)),
        SqliteError::Foreign(_) => InspectionError::Incompatible(error.to_string()),
        error if error.is_damage() => InspectionError::Damaged(Arc::new(error)),
        error => InspectionError::Storage(error.into()),
    })
}

fn inspect(path: &Path, keyring: &Keyring) -> Result<Inspection, SqliteError> {
    let file = ReadOnly::open(path)?;
    file.check_application(&APPLICATION)?;
    let asked = Instant::now();
    let tables = "select count(*) from sqlite_schema";
    file.connection.query_row(tables, [], |row| row.get::<_, i64>(0))?;
    let latency = asked.elapsed();
    Ok(Inspection {
        version: rusqlite::version().to_owned(),
        latency,
        schema: schema(&file)?,
        missing_to_migrate: Vec::new(),
        writes: Writes::Accepted,
        missing_unique: Vec::new(),
        limited_encoding: None,
        risky_settings: Vec::new(),
        config: config(&file.connection)?,
        secrets: secrets::of_sqlite(&file.connection, keyring)?,
        later_python: Vec::new(),
    })
}

/// Compares the schema with this version's: first migrations, then each table's text.
fn schema(file: &ReadOnly) -> Result<Schema, SqliteError> {
    let schema = Schema::compare(SQLITE, &file.applied(&APPLICATION)?);
    if schema != Schema::UpToDate {
        return Ok(schema);
    }
    Ok(file.difference(&APPLICATION)?.map_or(schema, Schema::Changed))
}

fn config(connection: &Connection) -> rusqlite::Result<Vec<ConfigEntry>> {
    if !connection.table_exists(None, "app_config")? {
        return Ok(Vec::new());
    }
    let mut statement = connection.prepare(CONFIG)?;
    let entries = statement.query_map([], config_entry)?;
    entries.filter_map(Result::transpose).collect()
}
