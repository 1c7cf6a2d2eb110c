//! A look at the file that changes nothing.

use std::path::Path;
use std::time::Instant;

use rusqlite::Connection;

use super::{CONFIG, rows};
use crate::model::ConfigEntry;
use crate::sqlite::{Glance, SqliteError};
use crate::storage::{Look, LookError, Writes};

pub(super) fn look(path: &Path) -> Result<Look, LookError> {
    look_over(path).map_err(|error| match error {
        error @ SqliteError::Unfinished(_) => LookError::Unfinished(error.into_cause().into()),
        SqliteError::NotOurs(_) => LookError::NotOurs(error.to_string()),
        error if error.is_damage() => LookError::Damaged(error.into_cause().into()),
        error => LookError::Storage(error.into()),
    })
}

fn look_over(path: &Path) -> Result<Look, SqliteError> {
    let glance = Glance::open(path)?;
    glance.check_is_ours()?;
    let asked = Instant::now();
    let tables = "select count(*) from sqlite_schema";
    glance.connection.query_row(tables, [], |row| row.get::<_, i64>(0))?;
    let latency = asked.elapsed();
    Ok(Look {
        version: rusqlite::version().to_owned(),
        latency,
        schema: glance.schema()?,
        lacks_to_migrate: Vec::new(),
        writes: Writes::Taken,
        missing_unique: Vec::new(),
        lacking_encoding: None,
        doubts: Vec::new(),
        config: config(&glance.connection)?,
    })
}

fn config(connection: &Connection) -> rusqlite::Result<Vec<ConfigEntry>> {
    if !connection.table_exists(None, "app_config")? {
        return Ok(Vec::new());
    }
    let mut statement = connection.prepare(CONFIG)?;
    let entries = statement.query_map([], rows::config_entry)?;
    entries.filter_map(Result::transpose).collect()
}
