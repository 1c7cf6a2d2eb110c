//! Backups of a database in use, which are checked before they are kept.

use std::fs;
use std::io::{self, ErrorKind, Seek as _, Write};
use std::path::{Path, PathBuf};

use private_files::{PendingFile, Unusable};
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::first_start::{Found, found};
use crate::migrations::applied;
use crate::open::{FileId, check_files, connect};
use crate::{Application, Error, LockError, Loss, NoDatabase, Settings, side_file};

/// What happens if a file with the copy's name exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// It is an error.
    Refused,
    /// It is replaced once the copy is complete.
    Replaced,
}

/// The contents of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copied {
    /// The result of [`Application::count`].
    pub count: i64,
    /// Its size.
    pub bytes: u64,
}

/// Why a copy or a restore failed.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// No database was created yet.
    #[error(transparent)]
    NoDatabase(#[from] NoDatabase),
    /// The database is missing or empty.
    #[error(transparent)]
    Lost(#[from] Loss),
    /// The name is taken.
    #[error("{} exists: choose another name", .0.display())]
    Exists(PathBuf),
    /// The name is that of a symbolic link, which is never replaced.
    #[error("{} is a symbolic link, which is not replaced: choose another name", .0.display())]
    Link(PathBuf),
    /// The name is that of a file that the program uses.
    #[error("{} is a file of the service itself: choose another name", .0.display())]
    Own(PathBuf),
    /// The database or the backup belongs to another program.
    #[error("{} is not a database of this service", .0.display())]
    Foreign(PathBuf),
    /// The database, or the backup, is damaged.
    #[error("{} is damaged: {damage}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// SQLite's description.
        damage: String,
    },
    /// Another process has the database open.
    #[error("another process is using {}: try again when it has ended", .0.display())]
    InUse(PathBuf),
    /// A program runs on the database.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A file belongs to another user, or is not a regular file.
    #[error(transparent)]
    Unusable(#[from] Unusable),
    /// A file can't be read or written.
    #[error("can't {verb} {}", .path.display())]
    File {
        /// What failed: `read`, `write` or `copy`.
        verb: &'static str,
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// The copy is complete, but can't be written to the output.
    #[error("can't write the copy to the output")]
    Output(#[source] io::Error),
    /// SQLite failed.
    #[error("can't copy the database")]
    Sqlite(#[from] Error),
}

/// Copies one snapshot of the database into a file.
///
/// # Errors
///
/// See [`CopyError`]. The target is then unchanged.
pub fn back_up(
    settings: &Settings,
    target: &Path,
    existing: Existing,
) -> Result<Copied, CopyError> {
    refuse_own(settings, target)?;
    refuse_existing(target, existing)?;
    let failed = |source| CopyError::File { verb: "write", path: target.to_owned(), source };
    let file = PendingFile::beside(target).map_err(failed)?;
    let copied = copy_into(settings, file.path())?;
    match existing {
        Existing::Replaced => file.replace(target).map_err(failed)?,
        Existing::Refused => file.publish(target).map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => CopyError::Exists(target.to_owned()),
            _ => failed(error),
        })?,
    }
    Ok(copied)
}

/// Writes a copy of one snapshot of the database.
///
/// The copy is completed in the database's folder first, so an error leaves the output empty.
///
/// # Errors
///
/// See [`CopyError`].
pub fn write_backup(settings: &Settings, out: &mut impl Write) -> Result<Copied, CopyError> {
    let path = &settings.database;
    let failed = |source| CopyError::File { verb: "copy", path: path.clone(), source };
    require_source(settings)?;
    let mut file = PendingFile::beside(path).map_err(failed)?;
    let copied = copy_into(settings, file.path())?;
    file.file().rewind().map_err(failed)?;
    io::copy(file.file(), out).and_then(|_| out.flush()).map_err(CopyError::Output)?;
    Ok(copied)
}

/// Fails if there is no database to copy.
fn require_source(settings: &Settings) -> Result<(), CopyError> {
    check_files(settings)?;
    match found(settings) {
        Found::Database => Ok(()),
        Found::Nothing => Err(NoDatabase(settings.database.clone()).into()),
        Found::Lost(loss) => Err(loss.into()),
    }
}

/// Copies all pages in one step, which reads one snapshot and blocks no writer.
fn copy_into(settings: &Settings, copy: &Path) -> Result<Copied, CopyError> {
    require_source(settings)?;
    let path = &settings.database;
    let copied = copy_pages(path, copy).map_err(|error| failure(path, error))?;
    if copied != StepResult::Done {
        return Err(CopyError::InUse(path.clone()));
    }
    // If the copy is damaged or foreign, so is the database.
    check(copy, &settings.application).map_err(|error| about(error, path))
}

/// Replaces the copy's path with the original's in an error.
pub(crate) fn about(error: CopyError, original: &Path) -> CopyError {
    let path = original.to_owned();
    match error {
        CopyError::Damaged { damage, .. } => CopyError::Damaged { path, damage },
        CopyError::Foreign(_) => CopyError::Foreign(path),
        error => error,
    }
}

fn copy_pages(from: &Path, to: &Path) -> Result<StepResult, Error> {
    let source = connect(from)?;
    source.pragma_update(None, "query_only", true)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut copy = Connection::open_with_flags(to, flags)?;
    // An incomplete copy is deleted, and a complete one is synced to the disk at the end.
    copy.pragma_update(None, "journal_mode", "off")?;
    copy.pragma_update(None, "synchronous", "off")?;
    Ok(Backup::new(&source, &mut copy)?.step(-1)?)
}

/// Makes a copy a single file; fails if it is damaged or another program's.
pub(crate) fn check(copy: &Path, application: &Application) -> Result<Copied, CopyError> {
    let (damage, count) = checked(copy, application).map_err(|error| failure(copy, error))?;
    if let Some(damage) = damage {
        return Err(CopyError::Damaged { path: copy.to_owned(), damage });
    }
    let Some(count) = count else { return Err(CopyError::Foreign(copy.to_owned())) };
    let failed = |source| CopyError::File { verb: "read", path: copy.to_owned(), source };
    let bytes = fs::metadata(copy).map_err(failed)?.len();
    Ok(Copied { count, bytes })
}

/// Returns the damage, and the application's count if the copy is its own.
fn checked(copy: &Path, application: &Application) -> Result<(Option<String>, Option<i64>), Error> {
    let connection = connect(copy)?;
    connection.pragma_update(None, "journal_mode", "delete")?;
    let check = "pragma integrity_check(1)";
    let result = connection.query_row(check, [], |row| row.get::<_, String>(0))?;
    if result != "ok" {
        return Ok((Some(result), None));
    }
    if !is_own(&connection, application)? {
        return Ok((None, None));
    }
    let count = connection.query_row(application.count, [], |row| row.get(0))?;
    connection.close().map_err(|(_, error)| error)?;
    Ok((None, Some(count)))
}

/// Whether the first migration was applied, and its tables exist.
fn is_own(connection: &Connection, application: &Application) -> rusqlite::Result<bool> {
    let Some(first) = application.migrations.first() else { return Ok(false) };
    let new = Connection::open_in_memory()?;
    new.execute_batch(first.sql)?;
    let mut tables = new.prepare("select name from sqlite_schema where type = 'table'")?;
    for table in tables.query_map([], |row| row.get::<_, String>("name"))? {
        if !connection.table_exists(None, table?.as_str())? {
            return Ok(false);
        }
    }
    let applied = applied(connection, application)?;
    Ok(applied.iter().any(|(number, name)| (*number, &**name) == (first.number, first.name)))
}

/// Converts errors that mean damage, a foreign file, or a file in use.
pub(crate) fn failure(path: &Path, error: Error) -> CopyError {
    let path = path.to_owned();
    match error.code() {
        Some(ErrorCode::NotADatabase) => CopyError::Foreign(path),
        Some(ErrorCode::DatabaseCorrupt) => CopyError::Damaged { path, damage: error.to_string() },
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => CopyError::InUse(path),
        _ => error.into(),
    }
}

/// Fails if the path leads, by any name, to a file that the program uses.
pub(crate) fn refuse_own(settings: &Settings, path: &Path) -> Result<(), CopyError> {
    let Settings { database, lock, first_start, others, .. } = settings;
    let sides = ["-wal", "-shm", "-journal"].map(|ending| side_file(database, ending));
    let mut own = others.iter().chain([database, lock, first_start]).chain(&sides);
    let is_own = match FileId::of(path) {
        Ok(found) => own.any(|own| FileId::of(own).is_ok_and(|id| id == found)),
        // A file that does not exist is recognised by its name and folder.
        Err(_) => own.any(|own| same_name(own, path)),
    };
    if is_own { Err(CopyError::Own(path.to_owned())) } else { Ok(()) }
}

fn same_name(one: &Path, other: &Path) -> bool {
    let folder = |path: &Path| fs::canonicalize(private_files::folder_of(path)).ok();
    one.file_name() == other.file_name() && folder(one) == folder(other)
}

fn refuse_existing(target: &Path, existing: Existing) -> Result<(), CopyError> {
    let Ok(found) = fs::symlink_metadata(target) else { return Ok(()) };
    match existing {
        Existing::Replaced if found.is_file() => Ok(()),
        Existing::Replaced if found.is_symlink() => Err(CopyError::Link(target.to_owned())),
        Existing::Replaced => Ok(private_files::check(target)?),
        Existing::Refused => Err(CopyError::Exists(target.to_owned())),
    }
}
