//! The lock of a running program, which keeps a second program from using the database.
//!
//! It has its own file: SQLite uses POSIX locks on the database, which a process loses when it closes any
//! handle on that file.

use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind};
use std::path::PathBuf;

use private_files::Unusable;
use rustix::io::Errno;
use thiserror::Error;

use crate::Settings;

/// Why the lock can't be acquired.
#[derive(Debug, Error)]
pub enum LockError {
    /// Another process holds it.
    #[error("another service runs on {}: stop it, or use another folder", .0.display())]
    Taken(PathBuf),
    /// The file system has no locks.
    #[error("the file system of {} has no locks: use a folder on a local disk", .0.display())]
    NotSupported(PathBuf),
    /// The lock's file belongs to another user, or is not a regular file.
    #[error(transparent)]
    Unusable(#[from] Unusable),
    /// The folder or the lock's file can't be created or opened.
    #[error("can't create or lock {}: use a folder that can be written to", .path.display())]
    Failed {
        /// The folder or file.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
}

/// Locks the database until the file is dropped.
///
/// # Errors
///
/// See [`LockError`].
pub fn lock(settings: &Settings) -> Result<File, LockError> {
    let path = &settings.lock;
    private_files::check(path)?;
    let file = private_files::options().create(true).truncate(false).open(path);
    // A read-only disk may recover, and reads work meanwhile.
    let file = file.or_else(|error| private_files::open(path).map_err(|_| error));
    let file = file.map_err(|source| LockError::Failed { path: path.clone(), source })?;
    locked(settings, file.try_lock())?;
    // If this fails, the owner's next `lock` reports it.
    let _ = private_files::give_to_owner_of_folder(path);
    Ok(file)
}

/// Whether a program holds the lock. A program that starts during this check is refused.
///
/// # Errors
///
/// See [`LockError`].
pub fn is_locked(settings: &Settings) -> Result<bool, LockError> {
    let path = &settings.lock;
    private_files::check(path)?;
    match private_files::open(path) {
        Ok(file) => match locked(settings, file.try_lock_shared()) {
            Ok(()) => Ok(false),
            Err(LockError::Taken(_)) => Ok(true),
            Err(error) => Err(error),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(source) => Err(LockError::Failed { path: path.clone(), source }),
    }
}

fn locked(settings: &Settings, tried: Result<(), TryLockError>) -> Result<(), LockError> {
    match tried {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(LockError::Taken(settings.database.clone())),
        Err(TryLockError::Error(source)) if is_not_supported(&source) => {
            Err(LockError::NotSupported(settings.folder().to_owned()))
        }
        Err(TryLockError::Error(source)) => {
            Err(LockError::Failed { path: settings.lock.clone(), source })
        }
    }
}

fn is_not_supported(error: &io::Error) -> bool {
    [Errno::NOLCK, Errno::NOSYS, Errno::NOTSUP, Errno::OPNOTSUPP, Errno::INVAL]
        .iter()
        .any(|code| error.raw_os_error() == Some(code.raw_os_error()))
}

#[cfg(test)]
mod tests {
    use std::fs::TryLockError;
    use std::io;
    use std::path::Path;

    use rustix::io::Errno;

    use super::{LockError, locked};
    use crate::notes;

    #[test]
    fn a_file_system_without_locks_is_named_as_the_cause() {
        let settings = notes::settings(Path::new("/mnt/share"));
        for code in [Errno::NOLCK, Errno::NOSYS, Errno::OPNOTSUPP] {
            let tried = Err(TryLockError::Error(io::Error::from(code)));
            let error = locked(&settings, tried).unwrap_err();
            let expected =
                "the file system of /mnt/share has no locks: use a folder on a local disk";
            assert_eq!(error.to_string(), expected);
        }
        let tried = Err(TryLockError::Error(io::Error::from(Errno::IO)));
        assert!(matches!(locked(&settings, tried), Err(LockError::Failed { .. })));
    }
}
