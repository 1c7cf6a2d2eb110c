//! Copies of the database: made beside a running service, and checked before they count.

use std::fs;
use std::io::{self, ErrorKind, Read, Seek as _, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, ErrorCode, OpenFlags};
use thiserror::Error;

use super::first_start::{Found, NoDatabase, found};
use super::open::connect;
use super::{LockError, Loss, SqliteError, side_file};
use crate::config::EmbeddedStores;
use crate::private_files::{self, Half, Unusable};

const TABLES_OF_OURS: &str = "
    select count(*)
    from sqlite_schema
    where type = 'table' and name in ('users', 'oauth_tokens', 'app_config', 'api_migrations')";

const IS_OURS: &str = "
    select count(*)
    from api_migrations
    where number = 1 and name = 'accounts'";

/// Whether a file that has the name of the copy already may be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// It is an error.
    Refused,
    /// It is replaced once the copy is whole.
    Replaced,
}

/// What a copy holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copied {
    /// How many users.
    pub users: i64,
    /// How large it is.
    pub bytes: u64,
}

/// Why there is no copy.
#[derive(Debug, Error)]
pub enum CopyError {
    /// No service has made a database yet.
    #[error(transparent)]
    NoDatabase(#[from] NoDatabase),
    /// The database is missing or empty.
    #[error(transparent)]
    Lost(#[from] Loss),
    /// The name is taken.
    #[error("{} exists: choose another name, or give --force to replace it", .0.display())]
    Exists(PathBuf),
    /// The name is that of a symbolic link, which leads elsewhere.
    #[error("{} is a symbolic link, which --force does not replace: choose another name", .0.display())]
    Link(PathBuf),
    /// The name is that of a file which the service needs.
    #[error("{} is a file of the service itself: choose another name", .0.display())]
    OneOfOurs(PathBuf),
    /// What is to be restored is another application's.
    #[error("{} is not a database of this service", .0.display())]
    NotOurs(PathBuf),
    /// The database, or what is to be restored, is damaged.
    #[error("{} is damaged: {damage}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        damage: String,
    },
    /// Another process has the database open.
    #[error("another process is using {}: try again when it has ended", .0.display())]
    InUse(PathBuf),
    /// A service runs on the database.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A file is somebody else's, or not a file.
    #[error(transparent)]
    Unusable(#[from] Unusable),
    /// A file can't be read or written.
    #[error("can't {verb} {}", .path.display())]
    File {
        /// What was tried.
        verb: &'static str,
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// The copy is whole, and can't be written to where it should go.
    #[error("can't write the copy to stdout")]
    Output(#[source] io::Error),
    /// SQLite can't do it.
    #[error("can't copy the database")]
    Sqlite(#[from] SqliteError),
}

/// Copies the database into a file, as it is at one moment.
///
/// # Errors
///
/// See [`CopyError`]; there is then no file of that name, or the one that was there before.
pub fn back_up(
    stores: &EmbeddedStores,
    target: &Path,
    existing: Existing,
) -> Result<Copied, CopyError> {
    refuse_ours(stores, target)?;
    refuse_existing(target, existing)?;
    let failed = |source| CopyError::File { verb: "write", path: target.to_owned(), source };
    let half = Half::beside(target).map_err(failed)?;
    let copied = copy_into(stores, half.path())?;
    match existing {
        Existing::Replaced => half.replace(target).map_err(failed)?,
        Existing::Refused => half.publish(target).map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => CopyError::Exists(target.to_owned()),
            _ => failed(error),
        })?,
    }
    Ok(copied)
}

/// Writes a copy of the database, made in `DATA_DIR`: nothing is written before it is whole.
///
/// # Errors
///
/// See [`CopyError`].
pub fn write_backup(stores: &EmbeddedStores, out: &mut impl Write) -> Result<Copied, CopyError> {
    let path = stores.database();
    let failed = |source| CopyError::File { verb: "copy", path: path.clone(), source };
    is_there(stores)?;
    let mut half = Half::beside(&path).map_err(failed)?;
    let copied = copy_into(stores, half.path())?;
    half.file().rewind().map_err(failed)?;
    io::copy(half.file(), out).and_then(|_| out.flush()).map_err(CopyError::Output)?;
    Ok(copied)
}

/// Fails if there is nothing to copy.
fn is_there(stores: &EmbeddedStores) -> Result<(), CopyError> {
    for side in ["", "-wal", "-shm", "-journal"] {
        private_files::check(&side_file(&stores.database(), side))?;
    }
    match found(stores) {
        Found::Database => Ok(()),
        Found::Nothing => Err(NoDatabase(stores.database()).into()),
        Found::Lost(loss) => Err(loss.into()),
    }
}

/// Copies all pages in one step, which reads one snapshot: writers go on meanwhile.
fn copy_into(stores: &EmbeddedStores, copy: &Path) -> Result<Copied, CopyError> {
    is_there(stores)?;
    let path = stores.database();
    let copied = copy_pages(&path, copy).map_err(|error| broken(&path, error))?;
    if copied != StepResult::Done {
        return Err(CopyError::InUse(path));
    }
    // A damaged or foreign copy means the database is too.
    check(copy).map_err(|error| match error {
        CopyError::Damaged { damage, .. } => CopyError::Damaged { path, damage },
        CopyError::NotOurs(_) => CopyError::NotOurs(path),
        error => error,
    })
}

fn copy_pages(from: &Path, to: &Path) -> Result<StepResult, SqliteError> {
    let source = connect(from)?;
    source.pragma_update(None, "query_only", true)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut copy = Connection::open_with_flags(to, flags)?;
    // What is half done is thrown away, and the file goes to the disk as a whole at the end.
    copy.pragma_update(None, "journal_mode", "off")?;
    copy.pragma_update(None, "synchronous", "off")?;
    Ok(Backup::new(&source, &mut copy)?.step(-1)?)
}

/// Makes a copy one file without side files, and fails if it is damaged or another application's.
pub(super) fn check(copy: &Path) -> Result<Copied, CopyError> {
    let checked = checked(copy).map_err(|error| broken(copy, error))?;
    let (integrity, is_ours, users) = checked;
    if let Some(damage) = integrity {
        return Err(CopyError::Damaged { path: copy.to_owned(), damage });
    }
    let Some(users) = users.filter(|_| is_ours) else {
        return Err(CopyError::NotOurs(copy.to_owned()));
    };
    let failed = |source| CopyError::File { verb: "read", path: copy.to_owned(), source };
    let bytes = fs::metadata(copy).map_err(failed)?.len();
    Ok(Copied { users, bytes })
}

/// What is damaged, whether the tables are ours, and how many users there are.
fn checked(copy: &Path) -> Result<(Option<String>, bool, Option<i64>), SqliteError> {
    let connection = connect(copy)?;
    connection.pragma_update(None, "journal_mode", "delete")?;
    let check = "pragma integrity_check(1)";
    let said = connection.query_row(check, [], |row| row.get::<_, String>(0))?;
    if said != "ok" {
        return Ok((Some(said), false, None));
    }
    let count = |query| connection.query_row(query, [], |row| row.get::<_, i64>(0));
    if count(TABLES_OF_OURS)? < 4 || count(IS_OURS)? != 1 {
        return Ok((None, false, None));
    }
    let users = count("select count(*) from users")?;
    connection.close().map_err(|(_, error)| error)?;
    Ok((None, true, Some(users)))
}

/// An error of SQLite, which may say that the file is damaged, or in use.
pub(super) fn broken(path: &Path, error: SqliteError) -> CopyError {
    let path = path.to_owned();
    match error.code() {
        Some(ErrorCode::NotADatabase) => CopyError::NotOurs(path),
        Some(ErrorCode::DatabaseCorrupt) => CopyError::Damaged { path, damage: error.to_string() },
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => CopyError::InUse(path),
        _ => error.into(),
    }
}

/// Fails if the path leads to a file that the service needs, by whatever name.
pub(super) fn refuse_ours(stores: &EmbeddedStores, path: &Path) -> Result<(), CopyError> {
    let database = stores.database();
    let sides = ["-wal", "-shm", "-journal"].map(|ending| side_file(&database, ending));
    let ours = [database, stores.jwt_secret(), stores.lock(), stores.first_start()];
    let Some(found) = identity(path) else {
        // A missing side file is found by its name, in its folder.
        let is_side = sides.iter().any(|side| same_name(side, path));
        let is_ours = is_side || ours.iter().any(|ours| same_name(ours, path));
        return if is_ours { Err(CopyError::OneOfOurs(path.to_owned())) } else { Ok(()) };
    };
    if ours.iter().chain(&sides).any(|ours| identity(ours) == Some(found)) {
        return Err(CopyError::OneOfOurs(path.to_owned()));
    }
    Ok(())
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
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

/// Copies everything into a new file.
pub(super) fn fill(half: &mut Half, mut from: impl Read) -> io::Result<()> {
    io::copy(&mut from, half.file()).map(drop)
}
