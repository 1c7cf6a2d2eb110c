//! Whether writes succeed: one event when they begin to fail, and one when they succeed again.

use std::sync::{Mutex, PoisonError};

use rusqlite::ErrorCode;

use crate::{Error, Event};

/// Why writes fail now, if they do.
#[derive(Debug, Default)]
pub(crate) struct Writability(Mutex<Option<Problem>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Problem {
    DiskFull,
    ReadOnly,
    Locked,
    Disk,
}

impl Writability {
    /// Takes the result of a write, and reports a change.
    pub(crate) fn observe(&self, written: Result<(), &Error>, on_event: fn(Event<'_>)) {
        let (now, event) = match written {
            Ok(()) => (None, Event::WritesSucceed),
            Err(error) => match problem(error) {
                Some(problem) => (Some(problem), Event::WritesFail(error)),
                None => return,
            },
        };
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if *last != now {
            *last = now;
            drop(last);
            on_event(event);
        }
    }
}

/// `None` for an error that says nothing about the file, or is reported elsewhere.
fn problem(error: &Error) -> Option<Problem> {
    if error.is_full_disk() {
        return Some(Problem::DiskFull);
    }
    match error {
        Error::Gone(_) => Some(Problem::Disk),
        Error::Sqlite(_) => match error.code()? {
            ErrorCode::ReadOnly => Some(Problem::ReadOnly),
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Some(Problem::Locked),
            ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen
            | ErrorCode::PermissionDenied
            | ErrorCode::FileLockingProtocolFailed
            | ErrorCode::DatabaseCorrupt
            | ErrorCode::NotADatabase => Some(Problem::Disk),
            _ => None,
        },
        Error::NotOpen
        | Error::Overloaded
        | Error::TimedOut
        | Error::Damaged(_)
        | Error::Lost(_)
        | Error::Unusable(_)
        | Error::FileSystem(_)
        | Error::SchemaBehind(_)
        | Error::Foreign(_)
        | Error::CannotOpen { .. }
        | Error::Unfinished(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::PoisonError;

    use rusqlite::ffi;

    use super::{Error, Problem, Writability};

    fn failed(code: i32) -> Result<(), Error> {
        let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
        Err(Error::Sqlite(error))
    }

    #[test]
    fn each_problem_begins_once_and_ends_with_a_write() {
        let writability = Writability::default();
        let now = || *writability.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (written, expected) in [
            (Ok(()), None),
            (failed(ffi::SQLITE_FULL), Some(Problem::DiskFull)),
            (failed(ffi::SQLITE_IOERR_SHMSIZE), Some(Problem::DiskFull)),
            // These say nothing about the file.
            (failed(ffi::SQLITE_CONSTRAINT_UNIQUE), Some(Problem::DiskFull)),
            (Err(Error::Overloaded), Some(Problem::DiskFull)),
            (failed(ffi::SQLITE_READONLY), Some(Problem::ReadOnly)),
            (failed(ffi::SQLITE_BUSY), Some(Problem::Locked)),
            (failed(ffi::SQLITE_IOERR_WRITE), Some(Problem::Disk)),
            (Ok(()), None),
        ] {
            writability.observe(written.as_ref().copied(), |_| ());
            assert_eq!(now(), expected, "{written:?}");
        }
    }
}
