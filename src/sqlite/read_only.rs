//! Opens the file for reading alone, and creates no file beside it.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::{SqliteError, foreign, side_file};

/// How long a read waits for another process.
const BUSY_TIMEOUT: Duration = Duration::from_secs(1);

/// What a path may hold in a URI (RFC 3986 section 3.3).
const PATH: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The file, open for reading alone.
#[derive(Debug)]
pub(crate) struct ReadOnly {
    /// Reads; nothing can be written over it.
    pub(crate) connection: Connection,
}

impl ReadOnly {
    /// Opens the file, whether or not a service is using it.
    ///
    /// # Errors
    ///
    /// If it can't be read. [`SqliteError::Unfinished`] if a service was killed and only one of its
    /// side files is left: what is in it can't be read without writing.
    pub(crate) fn open(path: &Path) -> Result<Self, SqliteError> {
        let side_files = ["-wal", "-shm"].map(|ending| fs::metadata(side_file(path, ending)));
        // Unless both exist, no process has it open: SQLite need not, and must not, create them.
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
        // Committed pages in the side file stay there.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        Ok(Self { connection })
    }

    /// Fails if the file belongs to another program.
    ///
    /// # Errors
    ///
    /// [`SqliteError::NotOurs`], or if the file can't be read.
    pub(crate) fn check_is_ours(&self) -> Result<(), SqliteError> {
        foreign::check(&self.connection)
    }
}
