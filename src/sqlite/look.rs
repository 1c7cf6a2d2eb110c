//! A look at the file that changes nothing: opened read-only, and no file made beside it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::open::{migrate, quick_check};
use super::{SqliteError, foreign, side_file};
use crate::config::Migrations;
use crate::migrations::{SQLITE, Schema};

/// A look waits so long for another process.
const BUSY_TIMEOUT: Duration = Duration::from_secs(1);

/// What a path may hold in a URI (RFC 3986 section 3.3).
const PATH: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The file, open for reading alone.
#[derive(Debug)]
pub struct Glance {
    /// Reads; nothing can be written over it.
    pub connection: Connection,
}

/// What came of looking for damage.
#[derive(Debug, PartialEq, Eq)]
pub enum Checked {
    /// There is none.
    Whole,
    /// This is damaged.
    Damaged(String),
    /// The time was not enough for the whole file; up to there it is whole.
    Unfinished,
}

impl Glance {
    /// Opens the file, whether a service is using it or not.
    ///
    /// # Errors
    ///
    /// Where it can't be read. [`SqliteError::Unfinished`] where a service was killed in the
    /// middle and its side files were not kept together: they can't be read without writing.
    pub fn open(path: &Path) -> Result<Self, SqliteError> {
        let side_files = ["-wal", "-shm"].map(|ending| fs::metadata(side_file(path, ending)));
        // Without both of them nobody has it open: SQLite need not, and must not, make them.
        let how = match side_files {
            [Ok(_), Ok(_)] => "readonly_shm=1",
            [Ok(waiting), Err(_)] if waiting.len() > 0 => {
                return Err(SqliteError::Unfinished(path.to_owned()));
            }
            [Ok(_) | Err(_), Ok(_) | Err(_)] => "immutable=1",
        };
        let name = percent_encode(path.as_os_str().as_bytes(), PATH);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_URI
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(format!("file:{name}?{how}"), flags)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        // What waits in the side file is left there.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        Ok(Self { connection })
    }

    /// Fails where the file is another program's.
    ///
    /// # Errors
    ///
    /// [`SqliteError::NotOurs`], or where the file can't be read.
    pub fn check_is_ours(&self) -> Result<(), SqliteError> {
        foreign::check(&self.connection)
    }

    /// How the schema stands to ours: by the migrations, then table by table.
    ///
    /// # Errors
    ///
    /// Where the file can't be read.
    pub fn schema(&self) -> Result<Schema, SqliteError> {
        let mut applied = Vec::new();
        if self.connection.table_exists(None, "api_migrations")? {
            let mut rows = self
                .connection
                .prepare("select number, name from api_migrations order by number")?;
            let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            applied = rows.collect::<Result<_, _>>()?;
        }
        let schema = Schema::compare(&SQLITE, &applied);
        if schema != Schema::UpToDate {
            return Ok(schema);
        }
        let mut new = Connection::open_in_memory()?;
        migrate(&mut new, Migrations::Automatic)?;
        let (ours, found) = (objects(&new)?, objects(&self.connection)?);
        let differs = ours.iter().find(|(name, sql)| found.get(*name) != Some(sql));
        Ok(differs.map_or(Schema::UpToDate, |(name, _)| {
            let how = if found.contains_key(name) { "is not what it was" } else { "is missing" };
            Schema::Changed(format!("`{name}` {how}"))
        }))
    }
}

/// Looks for damage for as long as `limit`.
///
/// # Errors
///
/// Where the file can't be read.
pub fn quick_check_within(path: &Path, limit: Duration) -> Result<Checked, SqliteError> {
    let connection = Glance::open(path)?.connection;
    let interrupt = connection.get_interrupt_handle();
    let (done, is_done) = mpsc::channel::<()>();
    let watch = move || {
        if is_done.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Timeout) {
            interrupt.interrupt();
        }
    };
    let watcher = thread::Builder::new().name("sqlite-watch".to_owned()).spawn(watch);
    watcher.map_err(|source| SqliteError::CannotOpen { path: path.to_owned(), source })?;
    let checked = match quick_check(&connection) {
        Ok(None) => Checked::Whole,
        Ok(Some(damage)) => Checked::Damaged(damage),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => {
            Checked::Unfinished
        }
        Err(error) => match SqliteError::from(error) {
            error if error.is_damage() => Checked::Damaged(error.to_string()),
            error => return Err(error),
        },
    };
    drop(done);
    Ok(checked)
}

/// The text of every table and index, by name.
fn objects(connection: &Connection) -> rusqlite::Result<BTreeMap<String, Option<String>>> {
    let mut objects = connection.prepare("select name, sql from sqlite_schema")?;
    objects.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}
