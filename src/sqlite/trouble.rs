//! What keeps the file from being written to: one line when it begins, and one when it ends.

use std::sync::{Mutex, PoisonError};

use rusqlite::ErrorCode;
use tracing::{error, info, warn};

use super::SqliteError;

/// What keeps the file from being written to now, if anything does.
#[derive(Debug, Default)]
pub(super) struct Trouble(Mutex<Option<Kind>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    DiskFull,
    ReadOnly,
    Locked,
    Disk,
}

impl Trouble {
    /// Learns from what came of a write, and says what has changed.
    pub(super) fn see(&self, written: Result<(), &SqliteError>) {
        let now = match written {
            Ok(()) => None,
            Err(error) => match kind(error) {
                Some(kind) => Some(kind),
                None => return,
            },
        };
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if *last != now {
            *last = now;
            drop(last);
            tell(now, written.err());
        }
    }
}

fn tell(now: Option<Kind>, problem: Option<&SqliteError>) {
    let error = problem.map(ToString::to_string);
    match now {
        None => info!("💾 The database file can be written to again"),
        Some(Kind::DiskFull) => {
            error!(error, "❌ The disk is full: nothing can be saved until there is room on it");
        }
        Some(Kind::ReadOnly | Kind::Locked | Kind::Disk) => {
            warn!(error, "⚠️ The database file can't be written to");
        }
    }
}

/// `None` for what says nothing about the file, or is told elsewhere.
fn kind(error: &SqliteError) -> Option<Kind> {
    if error.is_full_disk() {
        return Some(Kind::DiskFull);
    }
    match error {
        SqliteError::Gone(_) => Some(Kind::Disk),
        SqliteError::Sqlite(_) => match error.code()? {
            ErrorCode::ReadOnly => Some(Kind::ReadOnly),
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Some(Kind::Locked),
            ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen
            | ErrorCode::PermissionDenied
            | ErrorCode::FileLockingProtocolFailed
            | ErrorCode::DatabaseCorrupt
            | ErrorCode::NotADatabase => Some(Kind::Disk),
            _ => None,
        },
        SqliteError::NotOpen
        | SqliteError::Overloaded
        | SqliteError::TimedOut
        | SqliteError::Damaged(_)
        | SqliteError::Lost(_)
        | SqliteError::Unusable(_)
        | SqliteError::FileSystem(_)
        | SqliteError::SchemaBehind(_)
        | SqliteError::NotOurs(_)
        | SqliteError::CannotOpen { .. }
        | SqliteError::Unfinished(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::PoisonError;

    use rusqlite::ffi;

    use super::{Kind, SqliteError, Trouble};

    fn failed(code: i32) -> Result<(), SqliteError> {
        let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
        Err(SqliteError::Sqlite(error))
    }

    #[test]
    fn each_state_is_entered_once_and_left_by_a_write() {
        let trouble = Trouble::default();
        let now = || *trouble.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (written, expected) in [
            (Ok(()), None),
            (failed(ffi::SQLITE_FULL), Some(Kind::DiskFull)),
            (failed(ffi::SQLITE_IOERR_SHMSIZE), Some(Kind::DiskFull)),
            // These say nothing about the file.
            (failed(ffi::SQLITE_CONSTRAINT_UNIQUE), Some(Kind::DiskFull)),
            (Err(SqliteError::Overloaded), Some(Kind::DiskFull)),
            (failed(ffi::SQLITE_READONLY), Some(Kind::ReadOnly)),
            (failed(ffi::SQLITE_BUSY), Some(Kind::Locked)),
            (failed(ffi::SQLITE_IOERR_WRITE), Some(Kind::Disk)),
            (Ok(()), None),
        ] {
            trouble.see(written.as_ref().copied());
            assert_eq!(now(), expected, "{written:?}");
        }
    }
}
