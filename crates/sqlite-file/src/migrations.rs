//! The schema: numbered steps, applied in one transaction and recorded in a table of the file.

use std::fmt;

use rusqlite::{Connection, TransactionBehavior, params};

use crate::{Application, Error, foreign};

/// One step of a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migration {
    /// Its position in the order, from 1.
    pub number: i32,
    /// A name for people, such as `admins`.
    pub name: &'static str,
    /// Its statements.
    pub sql: &'static str,
}

impl fmt::Display for Migration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}_{}", self.number, self.name)
    }
}

/// What opening a file does if its schema lacks migrations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenBehind {
    /// It applies them.
    Migrate,
    /// It fails, and leaves the file as it is.
    Fail,
}

/// Returns the migrations that were applied.
pub(crate) fn migrate(
    connection: &mut Connection,
    application: &Application,
    when_behind: WhenBehind,
) -> Result<Vec<Migration>, Error> {
    let missing = missing(connection, application)?;
    if missing.is_empty() {
        return Ok(missing);
    }
    if when_behind == WhenBehind::Fail {
        return Err(behind(&missing));
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    foreign::check(&transaction, application)?;
    let table = application.migrations_table;
    // SQLite stores this text and inspections compare it, so its white space must not change.
    transaction.execute_batch(&format!(
        "create table if not exists {table} (
            number integer primary key not null,
            name text not null
        ) strict"
    ))?;
    let missing = self::missing(&transaction, application)?;
    for migration in &missing {
        transaction.execute_batch(migration.sql)?;
        transaction.execute(
            &format!("insert into {table} (number, name) values (?1, ?2)"),
            params![migration.number, migration.name],
        )?;
    }
    transaction.commit()?;
    Ok(missing)
}

pub(crate) fn behind(missing: &[Migration]) -> Error {
    Error::SchemaBehind(missing.iter().map(Migration::to_string).collect())
}

/// Returns the migrations that the file lacks. Those of a newer version are ignored.
fn missing(connection: &Connection, application: &Application) -> Result<Vec<Migration>, Error> {
    let applied = applied(connection, application)?;
    let is_missing =
        |migration: &&Migration| !applied.iter().any(|(number, _)| *number == migration.number);
    Ok(application.migrations.iter().filter(is_missing).copied().collect())
}

/// Returns the number and name of each migration that the file records.
pub(crate) fn applied(
    connection: &Connection,
    application: &Application,
) -> rusqlite::Result<Vec<(i32, String)>> {
    let table = application.migrations_table;
    if !connection.table_exists(None, table)? {
        return Ok(Vec::new());
    }
    let query = format!("select number, name from {table} order by number");
    let mut statement = connection.prepare(&query)?;
    statement.query_map([], |row| Ok((row.get("number")?, row.get("name")?)))?.collect()
}
