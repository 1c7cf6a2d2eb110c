//! Replaces the database with a backup; the old one stays until the last step.

use std::fs;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use super::copy::{self, Copied, CopyError, broken, check};
use super::first_start::{Found, found};
use super::lock::{is_locked, lock};
use super::open::connect;
use super::{LockError, SqliteError, side_file};
use crate::config::EmbeddedStores;
use crate::private_files::{self, Half};

/// What SQLite keeps beside the database that belongs to its content.
const SIDES: [&str; 2] = ["-wal", "-journal"];

/// What was restored.
#[derive(Debug)]
pub struct Restored {
    /// What the database holds now.
    pub copied: Copied,
    /// Where the database is now that was there before, if there was one.
    pub kept: Option<PathBuf>,
}

/// Restores a backup from a file, or from what is read if there is no path.
///
/// # Errors
///
/// See [`CopyError`]; the database is then the one that was there before.
pub fn restore(
    stores: &EmbeddedStores,
    path: Option<&Path>,
    stdin: impl Read,
) -> Result<Restored, CopyError> {
    let database = stores.database();
    if is_locked(stores)? {
        return Err(LockError::Taken(database).into());
    }
    let failed = |source| CopyError::File { verb: "write", path: database.clone(), source };
    private_files::make_folder(&stores.data_dir).map_err(failed)?;
    private_files::check(&database)?;
    let mut half = Half::beside(&database).map_err(failed)?;
    let copied = match path {
        None => {
            copy::fill(&mut half, stdin).map_err(failed)?;
            check(half.path()).map_err(|error| named(error, Path::new("the input")))?
        }
        Some(path) => take_in(stores, &mut half, path)?,
    };
    // Only now: a restore that fails leaves no trace of a service.
    let _lock = lock(stores)?;
    settle(stores)?;
    let kept = keep(&database).map_err(failed)?;
    half.give_to_owner_of_folder().map_err(failed)?;
    half.replace(&database).map_err(failed)?;
    Ok(Restored { copied, kept })
}

/// Copies the file, with what waits beside it, and checks the copy.
fn take_in(stores: &EmbeddedStores, half: &mut Half, path: &Path) -> Result<Copied, CopyError> {
    let failed = |source| CopyError::File { verb: "read", path: path.to_owned(), source };
    copy::refuse_ours(stores, path)?;
    let from = private_files::open(path).map_err(failed)?;
    if !from.metadata().map_err(failed)?.is_file() {
        return Err(failed(io::Error::new(ErrorKind::InvalidInput, "it is not a file")));
    }
    copy::fill(half, from).map_err(failed)?;
    let wal = side_file(half.path(), "-wal");
    match private_files::open(&side_file(path, "-wal")) {
        Ok(mut from) => {
            let made = private_files::options().create_new(true).open(&wal);
            made.and_then(|mut made| io::copy(&mut from, &mut made)).map_err(failed)?;
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let checked = check(half.path()).map_err(|error| named(error, path));
    // They are gone if all went well.
    for side in ["-wal", "-shm"] {
        let _ = fs::remove_file(side_file(half.path(), side));
    }
    checked
}

/// Names what was to be restored instead of our copy of it.
fn named(error: CopyError, path: &Path) -> CopyError {
    match error {
        CopyError::Damaged { damage, .. } => CopyError::Damaged { path: path.to_owned(), damage },
        CopyError::NotOurs(_) => CopyError::NotOurs(path.to_owned()),
        error => error,
    }
}

/// Takes what waits beside the old database into it, so that it is one file, which nobody has open.
///
/// One that is damaged stays as it is.
fn settle(stores: &EmbeddedStores) -> Result<(), CopyError> {
    if found(stores) != Found::Database {
        return Ok(());
    }
    let database = stores.database();
    let settled = || -> Result<(), SqliteError> {
        let connection = connect(&database)?;
        connection.pragma_update(None, "journal_mode", "delete")?;
        connection.close().map_err(|(_, error)| error.into())
    };
    match settled() {
        Err(error) if !error.is_damage() => Err(broken(&database, error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Gives the old database another name beside its own, which the new one then takes over at once.
///
/// A file system without hard links has an instant in which there is none: a service that is
/// started then says so.
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

/// Gives what there is of a database another name; `None` if there is nothing.
pub(super) fn set_aside(database: &Path) -> io::Result<Option<PathBuf>> {
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
    // It only speeds up the others.
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

/// `discogsography.db.old-1`, or the next that neither a database nor a side file has.
fn free_name(database: &Path) -> PathBuf {
    let taken = |name: &Path| fs::symlink_metadata(name).is_ok();
    let names = (1_u64..).map(|number| side_file(database, &format!(".old-{number}")));
    let mut free = names
        .filter(|name| !taken(name) && !SIDES.iter().any(|side| taken(&side_file(name, side))));
    free.next().unwrap_or_default()
}
