//! Why the SQLite file did not do what it was asked.

use std::error::Error;
use std::ffi::c_int;
use std::io::ErrorKind;
use std::path::PathBuf;

use rusqlite::{ErrorCode, ffi};
use thiserror::Error;

use super::LONGEST_WAIT;
use super::first_start::Loss;
use crate::private_files::Unusable;

/// Why the file did not do what it was asked.
#[derive(Debug, Error)]
pub enum SqliteError {
    /// [`super::Database::open`] has not succeeded, or the service is closing.
    #[error("the file is not open")]
    NotOpen,
    /// So many are waiting that this was not even tried.
    #[error("too many are waiting for the file")]
    Overloaded,
    /// No answer came in time; what was asked may still happen.
    #[error("the file did not answer within {} ms", LONGEST_WAIT.as_millis())]
    TimedOut,
    /// `quick_check` found the file damaged.
    #[error("the file is damaged: {0}")]
    Damaged(String),
    /// The path leads to no file, or to another one: what is written to ours would be lost.
    #[error("{} is no longer the file that was opened: put it back, or restart the service", .0.display())]
    Gone(PathBuf),
    /// A service has run here, and its database is missing or empty.
    #[error(transparent)]
    Lost(#[from] Loss),
    /// The file is somebody else's, or not a file.
    #[error(transparent)]
    Unusable(#[from] Unusable),
    /// The file system can't do what SQLite needs.
    #[error(
        "the file system of {} can't share memory between processes, which SQLite needs: set DATA_DIR to a folder on a local disk",
        .0.display()
    )]
    FileSystem(PathBuf),
    /// The schema lacks migrations, and they are not ours to make now.
    #[error("the schema is behind, missing {}", .0.join(", "))]
    SchemaBehind(Vec<String>),
    /// The file is another program's, and was left as it is.
    #[error("the file is another program's: {0}. Set DATA_DIR to another folder")]
    NotOurs(String),
    /// The folder or file can't be made or opened.
    #[error("{} can't be opened", .path.display())]
    CannotOpen {
        /// The folder or file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// A service was killed, and what it wrote last can't be read without writing.
    #[error("{} has writes waiting that only the next start of the service takes in", .0.display())]
    Unfinished(PathBuf),
    /// SQLite says no.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
}

impl SqliteError {
    /// Whether trying again later may succeed, with nothing fixed in the service.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Sqlite(error) => matches!(
                error.sqlite_error_code(),
                Some(
                    ErrorCode::DatabaseBusy
                        | ErrorCode::DatabaseLocked
                        | ErrorCode::DatabaseCorrupt
                        | ErrorCode::DiskFull
                        | ErrorCode::CannotOpen
                        | ErrorCode::ReadOnly
                        | ErrorCode::SystemIoFailure
                        | ErrorCode::NotADatabase
                        | ErrorCode::FileLockingProtocolFailed
                        | ErrorCode::PermissionDenied
                )
            ),
            Self::NotOpen
            | Self::Overloaded
            | Self::TimedOut
            | Self::Damaged(_)
            | Self::Gone(_)
            | Self::Lost(_)
            | Self::Unusable(_)
            | Self::FileSystem(_)
            | Self::SchemaBehind(_)
            | Self::NotOurs(_)
            | Self::Unfinished(_)
            | Self::CannotOpen { .. } => true,
        }
    }

    /// Whether a row would have broken a rule of its table.
    pub(super) fn is_broken_constraint(&self) -> bool {
        self.code() == Some(ErrorCode::ConstraintViolation)
    }

    /// Whether the file is damaged, or is no database at all.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged(_))
            || matches!(self.code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
    }

    /// Whether there is no room left on the disk.
    #[must_use]
    pub fn is_full_disk(&self) -> bool {
        let is_full = |source: &std::io::Error| {
            matches!(source.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
        };
        matches!(self, Self::CannotOpen { source, .. } if is_full(source))
            || self.code() == Some(ErrorCode::DiskFull)
            // The side file of shared memory could not grow.
            || self.extended_code() == Some(ffi::SQLITE_IOERR_SHMSIZE)
    }

    /// Whether the file system can't map a file that processes share.
    pub(super) fn is_lack_of_shared_memory(&self) -> bool {
        self.extended_code() == Some(ffi::SQLITE_IOERR_SHMMAP)
    }

    /// The code of SQLite, where it is SQLite that says no.
    pub(super) fn code(&self) -> Option<ErrorCode> {
        if let Self::Sqlite(error) = self { error.sqlite_error_code() } else { None }
    }

    /// The extended code of SQLite, where it is SQLite that says no.
    #[must_use]
    pub fn extended_code(&self) -> Option<c_int> {
        if let Self::Sqlite(error) = self {
            error.sqlite_error().map(|error| error.extended_code)
        } else {
            None
        }
    }

    /// This error as the cause of another.
    #[must_use]
    pub fn into_cause(self) -> Box<dyn Error + Send + Sync> {
        Box::new(self)
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use rusqlite::ffi;
    use rustix::io::Errno;

    use super::SqliteError;

    fn failed(code: i32) -> SqliteError {
        rusqlite::Error::SqliteFailure(ffi::Error::new(code), None).into()
    }

    #[test]
    fn a_full_disk_is_known_by_whatever_fails() {
        for code in [ffi::SQLITE_FULL, ffi::SQLITE_IOERR_SHMSIZE] {
            assert!(failed(code).is_full_disk(), "{code}");
        }
        for code in [Errno::NOSPC, Errno::DQUOT] {
            let source = io::Error::from(code);
            assert!(SqliteError::CannotOpen { path: "data".into(), source }.is_full_disk());
        }
        assert!(!failed(ffi::SQLITE_IOERR_WRITE).is_full_disk());
    }

    #[test]
    fn a_lack_of_shared_memory_is_known() {
        assert!(failed(5386).is_lack_of_shared_memory(), "as SQLite documents it");
        assert!(!failed(ffi::SQLITE_IOERR_SHMSIZE).is_lack_of_shared_memory());
    }
}
