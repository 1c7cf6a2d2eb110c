//! Reads a database without changing it or creating a file beside it.

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

use crate::migrations::{applied, migrate};
use crate::open::quick_check;
use crate::{Application, Error, WhenBehind, foreign, side_file};

/// How long a read waits for another process.
const BUSY_TIMEOUT: Duration = Duration::from_secs(1);

/// The characters of a path that a URI escapes (RFC 3986 section 3.3).
const PATH: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A database that is open for reading only.
#[derive(Debug)]
pub struct ReadOnly {
    /// Its connection, which can't write.
    pub connection: Connection,
}

/// The result of a check for damage.
#[derive(Debug, PartialEq, Eq)]
pub enum Integrity {
    /// There is no damage.
    Whole,
    /// There is damage; says where.
    Damaged(String),
    /// The time was too short for the whole file; the part that was read is undamaged.
    Unfinished,
}

impl ReadOnly {
    /// Opens the file, whether a program is using it or not.
    ///
    /// # Errors
    ///
    /// If it can't be read. [`Error::Unfinished`] if a program was killed and its side files were not
    /// kept together: they can't be read without writing.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let side_files = ["-wal", "-shm"].map(|ending| fs::metadata(side_file(path, ending)));
        // If either is missing, no process has it open: SQLite must not create side files.
        let how = match side_files {
            [Ok(_), Ok(_)] => "readonly_shm=1",
            [Ok(waiting), Err(_)] if waiting.len() > 0 => {
                return Err(Error::Unfinished(path.to_owned()));
            }
            [Ok(_) | Err(_), Ok(_) | Err(_)] => "immutable=1",
        };
        let name = percent_encode(path.as_os_str().as_bytes(), PATH);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_URI
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(format!("file:{name}?{how}"), flags)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        // Leaves pending writes in the `-wal` file.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        Ok(Self { connection })
    }

    /// Fails if the file is another program's.
    ///
    /// # Errors
    ///
    /// [`Error::Foreign`], or if the file can't be read.
    pub fn check_application(&self, application: &Application) -> Result<(), Error> {
        foreign::check(&self.connection, application)
    }

    /// Returns the number and name of each applied migration, in order.
    ///
    /// # Errors
    ///
    /// If the file can't be read.
    pub fn applied(&self, application: &Application) -> Result<Vec<(i32, String)>, Error> {
        Ok(applied(&self.connection, application)?)
    }

    /// Returns the first table or index that differs from what the migrations create.
    ///
    /// For example "`notes` is missing". Additional tables do not count.
    ///
    /// # Errors
    ///
    /// If the file can't be read.
    pub fn difference(&self, application: &Application) -> Result<Option<String>, Error> {
        let mut new = Connection::open_in_memory()?;
        migrate(&mut new, application, WhenBehind::Migrate)?;
        let (expected, found) = (objects(&new)?, objects(&self.connection)?);
        let differs = expected.iter().find(|(name, sql)| found.get(*name) != Some(sql));
        Ok(differs.map(|(name, _)| {
            let how = if found.contains_key(name) { "was changed" } else { "is missing" };
            format!("`{name}` {how}")
        }))
    }
}

/// Checks for damage, for at most `limit`.
///
/// # Errors
///
/// If the file can't be read.
pub fn quick_check_within(path: &Path, limit: Duration) -> Result<Integrity, Error> {
    let connection = ReadOnly::open(path)?.connection;
    let interrupt = connection.get_interrupt_handle();
    let (done, is_done) = mpsc::channel::<()>();
    let watch = move || {
        if is_done.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Timeout) {
            interrupt.interrupt();
        }
    };
    let watcher = thread::Builder::new().name("sqlite-watch".to_owned()).spawn(watch);
    watcher.map_err(|source| Error::CannotOpen { path: path.to_owned(), source })?;
    let integrity = match quick_check(&connection) {
        Ok(None) => Integrity::Whole,
        Ok(Some(damage)) => Integrity::Damaged(damage),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => {
            Integrity::Unfinished
        }
        Err(error) => match Error::from(error) {
            error if error.is_damage() => Integrity::Damaged(error.to_string()),
            error => return Err(error),
        },
    };
    drop(done);
    Ok(integrity)
}

/// Returns the SQL text of every table and index, by name.
fn objects(connection: &Connection) -> rusqlite::Result<BTreeMap<String, Option<String>>> {
    let mut objects = connection.prepare("select name, sql from sqlite_schema")?;
    objects.query_map([], |row| Ok((row.get("name")?, row.get("sql")?)))?.collect()
}
