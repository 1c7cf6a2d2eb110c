//! Whether a file is another program's: then it is left as it is.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _};

use super::read_only::ReadOnly;
use super::{APPLICATION_ID, SqliteError};

/// A table, where there are any but the one that a file of ours always has.
const TABLE: &str = "
    select name
    from sqlite_schema
    where type = 'table'
        and not exists (select from_ours.name from sqlite_schema as from_ours
            where from_ours.name = 'api_migrations')
    order by name
    limit 1";

/// Fails where the file is another program's, and changes nothing in it.
pub(super) fn check_file(path: &Path) -> Result<(), SqliteError> {
    match ReadOnly::open(path) {
        Ok(file) => check(&file.connection),
        // It is checked again once it is open.
        Err(SqliteError::Unfinished(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Fails where the file is another program's.
pub(super) fn check(connection: &Connection) -> Result<(), SqliteError> {
    let id: u32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    if id != 0 && id != APPLICATION_ID {
        return Err(SqliteError::NotOurs("its application_id is another one".to_owned()));
    }
    let table: Option<String> = connection.query_row(TABLE, [], |row| row.get(0)).optional()?;
    table.map_or(Ok(()), |table| {
        Err(SqliteError::NotOurs(format!(
            "it has a table `{table}` but no migrations of this service"
        )))
    })
}
