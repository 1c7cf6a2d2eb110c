//! Inspects the SQLite file without changing it or anything beside it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode};

use super::{Inspection, InspectionError, Writes};
use crate::config::Migrations;
use crate::migrations::{SQLITE, Schema};
use crate::model::ConfigEntry;
use crate::sqlite::{ReadOnly, SqliteError, migrate, quick_check};
use crate::storage::sqlite::{CONFIG, config_entry};

/// The result of searching the file for damage.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::doctor) enum Integrity {
    Whole,
    /// What is damaged.
    Damaged(String),
    /// The file is too large for the time; what was read is not damaged.
    Unfinished,
}

pub(in crate::doctor) fn sqlite(path: &Path) -> Result<Inspection, InspectionError> {
    inspect(path).map_err(|error| match error {
        error @ SqliteError::Unfinished(_) => {
            InspectionError::Unfinished(error.into_cause().into())
        }
        SqliteError::NotOurs(_) => InspectionError::NotOurs(error.to_string()),
        error if error.is_damage() => InspectionError::Damaged(error.into_cause().into()),
        error => InspectionError::Storage(error.into()),
    })
}

/// Searches the file for damage, for at most `limit`.
pub(in crate::doctor) fn integrity(path: &Path, limit: Duration) -> Result<Integrity, SqliteError> {
    let connection = ReadOnly::open(path)?.connection;
    let interrupt = connection.get_interrupt_handle();
    let (done, is_done) = mpsc::channel::<()>();
    let watch = move || {
        if is_done.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Timeout) {
            interrupt.interrupt();
        }
    };
    let watcher = thread::Builder::new().name("sqlite-watch".to_owned()).spawn(watch);
    watcher.map_err(|source| SqliteError::CannotOpen { path: path.to_owned(), source })?;
    let integrity = match quick_check(&connection) {
        Ok(None) => Integrity::Whole,
        Ok(Some(damage)) => Integrity::Damaged(damage),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => {
            Integrity::Unfinished
        }
        Err(error) => match SqliteError::from(error) {
            error if error.is_damage() => Integrity::Damaged(error.to_string()),
            error => return Err(error),
        },
    };
    drop(done);
    Ok(integrity)
}

fn inspect(path: &Path) -> Result<Inspection, SqliteError> {
    let file = ReadOnly::open(path)?;
    file.check_is_ours()?;
    let asked = Instant::now();
    let tables = "select count(*) from sqlite_schema";
    file.connection.query_row(tables, [], |row| row.get::<_, i64>(0))?;
    let latency = asked.elapsed();
    Ok(Inspection {
        version: rusqlite::version().to_owned(),
        latency,
        schema: schema(&file.connection)?,
        missing_to_migrate: Vec::new(),
        writes: Writes::Accepted,
        missing_unique: Vec::new(),
        lacking_encoding: None,
        risky_settings: Vec::new(),
        config: config(&file.connection)?,
    })
}

/// Compares the schema with that of this version: by migrations, then by the text of each table.
fn schema(connection: &Connection) -> Result<Schema, SqliteError> {
    let mut applied = Vec::new();
    if connection.table_exists(None, "api_migrations")? {
        let mut rows =
            connection.prepare("select number, name from api_migrations order by number")?;
        let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        applied = rows.collect::<Result<_, _>>()?;
    }
    let schema = Schema::compare(SQLITE, &applied);
    if schema != Schema::UpToDate {
        return Ok(schema);
    }
    let mut new = Connection::open_in_memory()?;
    migrate(&mut new, Migrations::Automatic)?;
    let (expected, found) = (objects(&new)?, objects(connection)?);
    let differs = expected.iter().find(|(name, sql)| found.get(*name) != Some(sql));
    Ok(differs.map_or(Schema::UpToDate, |(name, _)| {
        let how = if found.contains_key(name) { "was changed" } else { "is missing" };
        Schema::Changed(format!("`{name}` {how}"))
    }))
}

/// Returns the text of every table and index, by name.
fn objects(connection: &Connection) -> rusqlite::Result<BTreeMap<String, Option<String>>> {
    let mut objects = connection.prepare("select name, sql from sqlite_schema")?;
    objects.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

fn config(connection: &Connection) -> rusqlite::Result<Vec<ConfigEntry>> {
    if !connection.table_exists(None, "app_config")? {
        return Ok(Vec::new());
    }
    let mut statement = connection.prepare(CONFIG)?;
    let entries = statement.query_map([], config_entry)?;
    entries.filter_map(Result::transpose).collect()
}
