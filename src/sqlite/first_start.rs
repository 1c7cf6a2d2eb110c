//! Tells a first start from one that has lost its database.
//!
//! A first start makes the file `first-start` before anything else, and removes it once the database
//! is committed under its name. So a first start that was killed can be repeated, while a folder with
//! other files of a service, without `first-start` and without a database, has lost its database.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::PathBuf;

use thiserror::Error;
use tracing::warn;

use super::restore::set_aside;
use super::side_file;
use crate::config::EmbeddedStores;
use crate::private_files;

/// A service has run in the folder, and its database is lost.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Loss {
    /// There is no file.
    #[error(
        "{} is missing, though a service has run in this folder: put it back, or a backup of it \
         (`discogsography-api restore FILE`), or start with an empty one: `serve --new-database`",
        .0.display()
    )]
    Missing(PathBuf),
    /// There is a file of no bytes.
    #[error(
        "{} is empty: restore a backup (`discogsography-api restore FILE`), or start with a new \
         one: `serve --new-database`",
        .0.display()
    )]
    Empty(PathBuf),
}

/// No service has made a database yet, or it is elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("there is no database at {}: is DATA_DIR right?", .0.display())]
pub struct NoDatabase(pub PathBuf);

/// What a folder has.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A database, which may be anybody's or damaged.
    Database,
    /// Nothing, or what a first start left that was killed.
    Nothing,
    /// Less than there was.
    Lost(Loss),
}

/// Inspects the folder. An error other than a missing file is left to the code that opens it.
pub(super) fn found(stores: &EmbeddedStores) -> Found {
    let path = stores.database();
    let traces = [stores.lock(), stores.jwt_secret(), side_file(&path, "-wal")];
    // In this order: meanwhile another process may finish its first start.
    let has_run = traces.iter().any(|trace| fs::symlink_metadata(trace).is_ok());
    let is_first_start = fs::symlink_metadata(stores.first_start()).is_ok();
    match fs::metadata(&path) {
        Ok(file) if file.is_file() && file.len() == 0 => Found::Lost(Loss::Empty(path)),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            if has_run && !is_first_start {
                Found::Lost(Loss::Missing(path))
            } else {
                Found::Nothing
            }
        }
        Ok(_) | Err(_) => Found::Database,
    }
}

/// Whether a service has run in the folder, and its database is missing or empty.
#[must_use]
pub fn is_lost(stores: &EmbeddedStores) -> bool {
    matches!(found(stores), Found::Lost(_))
}

/// Fails if there is no database and never was: a command that needs one must not make it.
///
/// # Errors
///
/// [`NoDatabase`]; whether the database can be used is left to the code that opens it.
pub fn require_database(stores: &EmbeddedStores) -> Result<(), NoDatabase> {
    match found(stores) {
        Found::Nothing => Err(NoDatabase(stores.database())),
        Found::Database | Found::Lost(_) => Ok(()),
    }
}

/// Makes the folder, and marks it if this is a first start; comes before any other file.
///
/// # Errors
///
/// If the folder or the mark can't be made.
pub fn begin(stores: &EmbeddedStores) -> io::Result<()> {
    private_files::make_folder(&stores.data_dir)?;
    if found(stores) == Found::Nothing { mark(stores) } else { Ok(()) }
}

/// Has the next opening make a new database in the place of a lost one; what is left of that is kept
/// under another name. The lock must be held.
///
/// # Errors
///
/// If the files can't be renamed or made.
pub fn start_afresh(stores: &EmbeddedStores) -> io::Result<()> {
    match found(stores) {
        Found::Lost(_) => {
            set_aside(&stores.database())?;
            mark(stores)
        }
        Found::Database => {
            let file = stores.database().display().to_string();
            warn!(
                file,
                "⚠️ --new-database changes nothing, since there is a database: leave it out"
            );
            Ok(())
        }
        Found::Nothing => Ok(()),
    }
}

/// The database is committed under its name.
pub(super) fn finish(stores: &EmbeddedStores) -> io::Result<()> {
    match fs::remove_file(stores.first_start()) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn mark(stores: &EmbeddedStores) -> io::Result<()> {
    let path = stores.first_start();
    match private_files::options().create_new(true).open(&path) {
        Ok(_) => private_files::give_to_owner_of_folder(&path),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Found, Loss, begin, found};
    use crate::config::{EmbeddedStores, IfLost};

    const NAMES: [&str; 4] =
        ["discogsography.lock", "jwt-secret", "discogsography.db-wal", "first-start"];

    #[test]
    fn a_lost_database_is_told_from_a_first_start() {
        for content in [None, Some(""), Some("a database")] {
            // Every set of the other files.
            for set in 0..1_u32 << NAMES.len() {
                let folder = tempfile::tempdir().unwrap();
                let data_dir = folder.path().to_owned();
                let stores = EmbeddedStores { data_dir, if_lost: IfLost::Refuse };
                let has = |place: usize| set & (1 << place) != 0;
                for (_, name) in NAMES.iter().enumerate().filter(|(place, _)| has(*place)) {
                    fs::write(folder.path().join(name), "x").unwrap();
                }
                let path = stores.database();
                if let Some(content) = content {
                    fs::write(&path, content).unwrap();
                }
                let expected = match content {
                    Some("") => Found::Lost(Loss::Empty(path)),
                    Some(_) => Found::Database,
                    None if has(3) || set == 0 => Found::Nothing,
                    None => Found::Lost(Loss::Missing(path)),
                };
                assert_eq!(found(&stores), expected, "{content:?} {set:04b}");
                begin(&stores).unwrap();
                assert_eq!(found(&stores), expected, "{content:?} {set:04b}, after its beginning");
                let is_marked = stores.first_start().exists();
                assert_eq!(
                    is_marked,
                    has(3) || expected == Found::Nothing,
                    "{content:?} {set:04b}"
                );
            }
        }
    }
}
