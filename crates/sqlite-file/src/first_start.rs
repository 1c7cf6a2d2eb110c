//! Distinguishes a first start from one whose database is lost.
//!
//! A first start creates a mark before anything else, and removes it once the database is committed
//! under its final name. So a first start that was killed can be repeated, while a folder that has
//! other files of the program, but neither the mark nor a database, has lost its database.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::PathBuf;

use thiserror::Error;

use crate::restore::set_aside;
use crate::{Settings, side_file};

/// How a database is lost: the program has run in the folder before.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Loss {
    /// The file does not exist.
    #[error("{} is missing, though a service has run in this folder", .0.display())]
    Missing(PathBuf),
    /// The file has no bytes.
    #[error("{} is empty", .0.display())]
    Empty(PathBuf),
}

/// There is no database, and there never was one in this folder.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("there is no database at {}", .0.display())]
pub struct NoDatabase(pub PathBuf);

/// What the folder contains.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A database, which may be damaged or another program's.
    Database,
    /// Nothing, or what is left of a first start that was killed.
    Nothing,
    /// Traces of a database that is lost.
    Lost(Loss),
}

/// Inspects the folder. Errors other than a missing file are left to the opening code.
pub(crate) fn found(settings: &Settings) -> Found {
    let Settings { lock, others, first_start, .. } = settings;
    let path = settings.database.clone();
    let wal = side_file(&path, "-wal");
    // The order matters: another process may be completing its first start.
    let mut traces = others.iter().chain([lock, &wal]);
    let has_run = traces.any(|trace| fs::symlink_metadata(trace).is_ok());
    let is_first_start = fs::symlink_metadata(first_start).is_ok();
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

/// Whether the program has run in the folder, and its database is missing or empty.
#[must_use]
pub fn is_lost(settings: &Settings) -> bool {
    matches!(found(settings), Found::Lost(_))
}

/// Fails if there is no database and never was: some commands must not create one.
///
/// # Errors
///
/// See [`NoDatabase`]. Whether the database can be used is left to the code that opens it.
pub fn require_database(settings: &Settings) -> Result<(), NoDatabase> {
    match found(settings) {
        Found::Nothing => Err(NoDatabase(settings.database.clone())),
        Found::Database | Found::Lost(_) => Ok(()),
    }
}

/// Creates the folder, and marks a first start. Must precede any other file.
///
/// # Errors
///
/// If the folder or the mark can't be created.
pub fn begin(settings: &Settings) -> io::Result<()> {
    private_files::make_folder(settings.folder())?;
    if found(settings) == Found::Nothing { mark(settings) } else { Ok(()) }
}

/// Lets the next opening replace a lost database. The lock must be held.
///
/// The remains of the old database are renamed. Returns false, and changes nothing, if there is a
/// database.
///
/// # Errors
///
/// If the files can't be renamed or created.
pub fn start_afresh(settings: &Settings) -> io::Result<bool> {
    match found(settings) {
        Found::Lost(_) => {
            set_aside(&settings.database)?;
            mark(settings)?;
            Ok(true)
        }
        Found::Database => Ok(false),
        Found::Nothing => Ok(true),
    }
}

/// Removes the mark, after the database is committed under its final name.
pub(crate) fn finish(settings: &Settings) -> io::Result<()> {
    match fs::remove_file(&settings.first_start) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn mark(settings: &Settings) -> io::Result<()> {
    let path = &settings.first_start;
    match private_files::options().create_new(true).open(path) {
        Ok(_) => private_files::give_to_owner_of_folder(path),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Found, Loss, begin, found};
    use crate::notes;

    const NAMES: [&str; 4] = ["notes.lock", "key", "notes.db-wal", "first-start"];

    #[test]
    fn a_lost_database_is_distinguished_from_a_first_start() {
        for content in [None, Some(""), Some("a database")] {
            // Every combination of the other files.
            for set in 0..1_u32 << NAMES.len() {
                let folder = tempfile::tempdir().unwrap();
                let settings = notes::settings(folder.path());
                let has = |place: usize| set & (1 << place) != 0;
                for (_, name) in NAMES.iter().enumerate().filter(|(place, _)| has(*place)) {
                    fs::write(folder.path().join(name), "x").unwrap();
                }
                let path = settings.database.clone();
                if let Some(content) = content {
                    fs::write(&path, content).unwrap();
                }
                let expected = match content {
                    Some("") => Found::Lost(Loss::Empty(path)),
                    Some(_) => Found::Database,
                    None if has(3) || set == 0 => Found::Nothing,
                    None => Found::Lost(Loss::Missing(path)),
                };
                assert_eq!(found(&settings), expected, "{content:?} {set:04b}");
                begin(&settings).unwrap();
                assert_eq!(
                    found(&settings),
                    expected,
                    "{content:?} {set:04b}, after its beginning"
                );
                let is_marked = settings.first_start.exists();
                assert_eq!(
                    is_marked,
                    has(3) || expected == Found::Nothing,
                    "{content:?} {set:04b}"
                );
            }
        }
    }
}
