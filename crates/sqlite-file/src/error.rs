//! Why an operation on the file failed.

use std::ffi::c_int;
use std::io::ErrorKind;
use std::path::PathBuf;

use private_files::Unusable;
use rusqlite::{ErrorCode, ffi};

use crate::first_start::Loss;
use crate::worker::TIMEOUT;

/// Why an operation on the file failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// [`crate::Database::open`] has not succeeded, or the file was closed.
    #[error("the file is not open")]
    NotOpen,
    /// The queue was full, so nothing was done.
    #[error("too many operations are waiting for the file")]
    Overloaded,
    /// The operation took too long. It may still happen.
    #[error("the file did not answer within {} ms", TIMEOUT.as_millis())]
    TimedOut,
    /// `quick_check` found the file damaged.
    #[error("the file is damaged: {0}")]
    Damaged(String),
    /// The file was moved or replaced: what is written to it would be lost.
    #[error("{} is no longer the file that was opened: put it back, or restart the service", .0.display())]
    Gone(PathBuf),
    /// The database existed, and is missing or empty now.
    #[error(transparent)]
    Lost(#[from] Loss),
    /// The file belongs to another user, or is not a regular file.
    #[error(transparent)]
    Unusable(#[from] Unusable),
    /// The file system lacks what SQLite needs.
    #[error(
        "the file system of {} can't share memory between processes, which SQLite needs: use a folder on a local disk",
        .0.display()
    )]
    FileSystem(PathBuf),
    /// The schema lacks these migrations. See [`crate::WhenBehind::Fail`].
    #[error("the schema is behind, missing {}", .0.join(", "))]
    SchemaBehind(Vec<String>),
    /// The file belongs to another program, and was left unchanged. Says how that is known.
    #[error("the file is another program's: {0}. Use another folder")]
    Foreign(String),
    /// The folder or file can't be created or opened.
    #[error("{} can't be opened", .path.display())]
    CannotOpen {
        /// The folder or file.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// A killed program left writes that can't be read without changing the file.
    #[error("{} has pending writes that only the next start of the service completes", .0.display())]
    Unfinished(PathBuf),
    /// SQLite failed.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
}

impl Error {
    /// Whether the same operation may succeed later, without a change to the program.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
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
            | Self::Foreign(_)
            | Self::Unfinished(_)
            | Self::CannotOpen { .. } => true,
        }
    }

    /// Whether a row violates a constraint of its table.
    #[must_use]
    pub fn is_constraint_violation(&self) -> bool {
        self.code() == Some(ErrorCode::ConstraintViolation)
    }

    /// Whether the file is damaged, or is not a database.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged(_))
            || matches!(self.code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
    }

    /// Whether the disk is full.
    #[must_use]
    pub fn is_full_disk(&self) -> bool {
        let is_full = |source: &std::io::Error| {
            matches!(source.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
        };
        matches!(self, Self::CannotOpen { source, .. } if is_full(source))
            || self.code() == Some(ErrorCode::DiskFull)
            // The `-shm` file could not grow.
            || self.extended_code() == Some(ffi::SQLITE_IOERR_SHMSIZE)
    }

    /// Whether the file system can't map a file that processes share.
    pub(crate) fn is_lack_of_shared_memory(&self) -> bool {
        self.extended_code() == Some(ffi::SQLITE_IOERR_SHMMAP)
    }

    /// SQLite's code, if the error is SQLite's.
    pub(crate) fn code(&self) -> Option<ErrorCode> {
        if let Self::Sqlite(error) = self { error.sqlite_error_code() } else { None }
    }

    /// SQLite's extended code, if the error is SQLite's.
    #[must_use]
    pub fn extended_code(&self) -> Option<c_int> {
        if let Self::Sqlite(error) = self {
            error.sqlite_error().map(|error| error.extended_code)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use rusqlite::ffi;
    use rustix::io::Errno;

    use super::Error;

    fn failed(code: i32) -> Error {
        rusqlite::Error::SqliteFailure(ffi::Error::new(code), None).into()
    }

    #[test]
    fn a_full_disk_is_recognised_whatever_fails() {
        for code in [ffi::SQLITE_FULL, ffi::SQLITE_IOERR_SHMSIZE] {
            assert!(failed(code).is_full_disk(), "{code}");
        }
        for code in [Errno::NOSPC, Errno::DQUOT] {
            let source = io::Error::from(code);
            assert!(Error::CannotOpen { path: "data".into(), source }.is_full_disk());
        }
        assert!(!failed(ffi::SQLITE_IOERR_WRITE).is_full_disk());
    }

    #[test]
    fn a_lack_of_shared_memory_is_recognised() {
        assert!(failed(5386).is_lack_of_shared_memory(), "as SQLite documents it");
        assert!(!failed(ffi::SQLITE_IOERR_SHMSIZE).is_lack_of_shared_memory());
    }
}
