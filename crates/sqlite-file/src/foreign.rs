//! Recognises another program's database, which is left unchanged.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _, named_params};

use crate::read_only::ReadOnly;
use crate::{Application, Error};

/// Finds a table in a file that has no record of migrations.
const FOREIGN_TABLE: &str = "
    select name
    from sqlite_schema
    where type = 'table'
        and not exists (select own.name from sqlite_schema as own where own.name = :migrations)
    order by name
    limit 1";

/// Fails if the file is another program's. Changes nothing in it.
pub(crate) fn check_file(path: &Path, application: &Application) -> Result<(), Error> {
    match ReadOnly::open(path) {
        Ok(file) => check(&file.connection, application),
        // It is checked again when it is open.
        Err(Error::Unfinished(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Fails if the file is another program's.
pub(crate) fn check(connection: &Connection, application: &Application) -> Result<(), Error> {
    let id: u32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    if id != 0 && id != application.id {
        return Err(Error::Foreign("its application_id is another one".to_owned()));
    }
    let parameters = named_params! { ":migrations": application.migrations_table };
    let table: Option<String> =
        connection.query_row(FOREIGN_TABLE, parameters, |row| row.get("name")).optional()?;
    table.map_or(Ok(()), |table| {
        Err(Error::Foreign(format!("it has a table `{table}` but no migrations of this service")))
    })
}
