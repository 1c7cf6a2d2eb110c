//! The lock that a running service holds, so that no second one uses the same database.
//!
//! A file of its own: SQLite's locks on the database would be lost when another handle on it is
//! closed.

use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind};
use std::path::PathBuf;

use rustix::io::Errno;
use thiserror::Error;

use crate::config::EmbeddedStores;
use crate::private_files::{self, Unusable};

/// The database is not free.
#[derive(Debug, Error)]
pub enum LockError {
    /// Another service runs on it.
    #[error("another discogsography-api serves from {}: stop it, or set DATA_DIR to another folder", .0.display())]
    Taken(PathBuf),
    /// The file system has no locks.
    #[error(
        "the file system of {} has no locks, which the embedded store needs: set DATA_DIR to a folder on a local disk",
        .0.display()
    )]
    NotSupported(PathBuf),
    /// The lock's file is somebody else's, or not a file.
    #[error(transparent)]
    Unusable(#[from] Unusable),
    /// The folder or the lock's file can't be made or opened.
    #[error("can't make or lock {}: set DATA_DIR to a folder that can be written to", .path.display())]
    Failed {
        /// The folder or file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
}

/// Keeps every other service off the database for as long as the file is held.
///
/// # Errors
///
/// See [`LockError`].
pub fn lock(stores: &EmbeddedStores) -> Result<File, LockError> {
    let path = stores.lock();
    private_files::check(&path)?;
    let file = private_files::options().create(true).truncate(false).open(&path);
    // A disk that is read-only for now is no reason to end: health says it, and it may pass.
    let file = file.or_else(|error| private_files::open(&path).map_err(|_| error));
    let file = file.map_err(|source| LockError::Failed { path: path.clone(), source })?;
    locked(stores, file.try_lock())?;
    // If it can't be given away, the service says so when it can't use it.
    let _ = private_files::give_to_owner_of_folder(&path);
    Ok(file)
}

/// Whether a service runs on the database. One that starts in just this instant is refused.
///
/// # Errors
///
/// See [`LockError`].
pub fn is_locked(stores: &EmbeddedStores) -> Result<bool, LockError> {
    let path = stores.lock();
    private_files::check(&path)?;
    match private_files::open(&path) {
        Ok(file) => match locked(stores, file.try_lock_shared()) {
            Ok(()) => Ok(false),
            Err(LockError::Taken(_)) => Ok(true),
            Err(error) => Err(error),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(source) => Err(LockError::Failed { path, source }),
    }
}

fn locked(stores: &EmbeddedStores, tried: Result<(), TryLockError>) -> Result<(), LockError> {
    match tried {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(LockError::Taken(stores.database())),
        Err(TryLockError::Error(source)) if is_not_supported(&source) => {
            Err(LockError::NotSupported(stores.data_dir.clone()))
        }
        Err(TryLockError::Error(source)) => Err(LockError::Failed { path: stores.lock(), source }),
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
    use std::path::PathBuf;

    use rustix::io::Errno;

    use super::{LockError, locked};
    use crate::config::{EmbeddedStores, IfLost};

    #[test]
    fn a_file_system_without_locks_is_named_as_the_cause() {
        let stores =
            EmbeddedStores { data_dir: PathBuf::from("/mnt/share"), if_lost: IfLost::Refuse };
        for code in [Errno::NOLCK, Errno::NOSYS, Errno::OPNOTSUPP] {
            let tried = Err(TryLockError::Error(io::Error::from(code)));
            let error = locked(&stores, tried).unwrap_err();
            let expected = "the file system of /mnt/share has no locks, which the embedded store \
                            needs: set DATA_DIR to a folder on a local disk";
            assert_eq!(error.to_string(), expected);
        }
        let tried = Err(TryLockError::Error(io::Error::from(Errno::IO)));
        assert!(matches!(locked(&stores, tried), Err(LockError::Failed { .. })));
    }
}
