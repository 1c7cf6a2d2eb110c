//! Replaces the database with a backup. The old database stays in place until the last step.

use std::fs;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use private_files::PendingFile;

use crate::copy::{Copied, CopyError, about, check, failure, refuse_own};
use crate::first_start::{Found, found};
use crate::lock::{is_locked, lock};
use crate::open::connect;
use crate::{Error, LockError, Settings, side_file};

/// The side files that are part of the database's content.
const SIDES: [&str; 2] = ["-wal", "-journal"];

/// What was restored.
#[derive(Debug)]
pub struct Restored {
    /// What the database contains now.
    pub copied: Copied,
    /// The new name of the database that was there before.
    pub kept: Option<PathBuf>,
}

/// Restores a backup from a file, or from `input` if there is no path.
///
/// # Errors
///
/// See [`CopyError`]. The database is then unchanged.
pub fn restore(
    settings: &Settings,
    path: Option<&Path>,
    mut input: impl Read,
) -> Result<Restored, CopyError> {
    let database = &settings.database;
    if is_locked(settings)? {
        return Err(LockError::Taken(database.clone()).into());
    }
    let failed = |source| CopyError::File { verb: "write", path: database.clone(), source };
    private_files::make_folder(settings.folder()).map_err(failed)?;
    private_files::check(database)?;
    let mut file = PendingFile::beside(database).map_err(failed)?;
    let copied = match path {
        None => {
            io::copy(&mut input, file.file()).map_err(failed)?;
            let checked = check(file.path(), &settings.application);
            checked.map_err(|error| about(error, Path::new("the input")))?
        }
        Some(path) => copy_backup(settings, &mut file, path)?,
    };
    // Not earlier: a restore that fails must leave no trace of a first start.
    let _lock = lock(settings)?;
    settle(settings)?;
    let kept = keep(database).map_err(failed)?;
    file.give_to_owner_of_folder().map_err(failed)?;
    file.replace(database).map_err(failed)?;
    Ok(Restored { copied, kept })
}

/// Copies the file and its `-wal`, and checks the copy.
fn copy_backup(
    settings: &Settings,
    file: &mut PendingFile,
    path: &Path,
) -> Result<Copied, CopyError> {
    let failed = |source| CopyError::File { verb: "read", path: path.to_owned(), source };
    refuse_own(settings, path)?;
    let mut from = private_files::open(path).map_err(failed)?;
    if !from.metadata().map_err(failed)?.is_file() {
        return Err(failed(io::Error::new(ErrorKind::InvalidInput, "it is not a file")));
    }
    io::copy(&mut from, file.file()).map_err(failed)?;
    let wal = side_file(file.path(), "-wal");
    match private_files::open(&side_file(path, "-wal")) {
        Ok(mut from) => {
            let created = private_files::options().create_new(true).open(&wal);
            created.and_then(|mut wal| io::copy(&mut from, &mut wal)).map_err(failed)?;
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let checked = check(file.path(), &settings.application).map_err(|error| about(error, path));
    // A successful check has already removed them.
    for side in ["-wal", "-shm"] {
        let _ = fs::remove_file(side_file(file.path(), side));
    }
    checked
}

/// Makes the old database a single file; fails if it is in use.
///
/// A damaged database stays unchanged.
fn settle(settings: &Settings) -> Result<(), CopyError> {
    if found(settings) != Found::Database {
        return Ok(());
    }
    let database = &settings.database;
    let settled = || -> Result<(), Error> {
        let connection = connect(database)?;
        connection.pragma_update(None, "journal_mode", "delete")?;
        connection.close().map_err(|(_, error)| error.into())
    };
    match settled() {
        Err(error) if !error.is_damage() => Err(failure(database, error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Gives the old database a second name, and returns it.
///
/// The new database then replaces it under the first name. Without hard links, there is a moment
/// without a database; a program that starts then reports it as lost.
fn keep(database: &Path) -> io::Result<Option<PathBuf>> {
    if fs::symlink_metadata(database).is_err() {
        return set_aside(database);
    }
    let kept = free_name(database);
    if fs::hard_link(database, &kept).is_err() {
        return set_aside(database);
    }
    move_sides(database, &kept)?;
    Ok(Some(kept))
}

/// Renames the remains of a database, and returns the new name; `None` if there are none.
pub(crate) fn set_aside(database: &Path) -> io::Result<Option<PathBuf>> {
    let kept = free_name(database);
    let has_database = rename(database, &kept)?;
    let has_sides = move_sides(database, &kept)?;
    Ok((has_database || has_sides).then_some(kept))
}

fn move_sides(database: &Path, kept: &Path) -> io::Result<bool> {
    let mut has_any = false;
    for side in SIDES {
        has_any |= rename(&side_file(database, side), &side_file(kept, side))?;
    }
    // It only speeds up access to the others.
    let _ = fs::remove_file(side_file(database, "-shm"));
    Ok(has_any)
}

fn rename(from: &Path, to: &Path) -> io::Result<bool> {
    match fs::rename(from, to) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Returns the first free name of `….old-1`, `….old-2` and so on, including side files.
fn free_name(database: &Path) -> PathBuf {
    let taken = |name: &Path| fs::symlink_metadata(name).is_ok();
    let names = (1_u64..).map(|number| side_file(database, &format!(".old-{number}")));
    let mut free = names
        .filter(|name| !taken(name) && !SIDES.iter().any(|side| taken(&side_file(name, side))));
    free.next().unwrap_or_default()
}
