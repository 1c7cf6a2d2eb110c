//! Opening the file: its mode, its settings, its schema, and a check beside the first requests.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior, params};

use super::first_start::{self, Found};
use super::{SqliteError, foreign, side_file};
use crate::config::{EmbeddedStores, Migrations};
use crate::migrations::{Migration, SQLITE};
use crate::private_files::{self, Half};

/// How long SQLite waits for another process, such as a command beside the service.
const BUSY_TIMEOUT: Duration = Duration::from_secs(3);

const STATEMENTS_KEPT: usize = 32;

/// What [`open`] gives.
pub(super) struct Opened {
    pub(super) writer: Connection,
    pub(super) reader: Connection,
    pub(super) checkpoints: Connection,
    pub(super) applied: Vec<Migration>,
    pub(super) identity: Identity,
}

/// Which file it is, whatever its path leads to later: device and inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity(u64, u64);

/// Opens the file once for each thread, with its schema in place.
pub(super) fn open(stores: &EmbeddedStores, migrations: Migrations) -> Result<Opened, SqliteError> {
    open_all(stores, migrations).map_err(|error| {
        if error.is_lack_of_shared_memory() {
            SqliteError::FileSystem(stores.data_dir.clone())
        } else {
            error
        }
    })
}

fn open_all(stores: &EmbeddedStores, migrations: Migrations) -> Result<Opened, SqliteError> {
    let path = &stores.database();
    // Whoever writes a side file writes the database.
    for side in ["", "-wal", "-shm", "-journal"] {
        private_files::check(&side_file(path, side))?;
    }
    let made = make_file(stores, migrations)?;
    foreign::check_file(path)?;
    private_files::close_to_others(path);
    let identity = Identity::of(path)?;
    let mut writer = connect(path)?;
    writer.pragma_update(None, "journal_mode", "wal")?;
    let applied = [made, migrate(&mut writer, migrations)?].concat();
    let checkpoints = connect(path)?;
    let reader = connect(path)?;
    reader.pragma_update(None, "query_only", true)?;
    Ok(Opened { writer, reader, checkpoints, applied, identity })
}

impl Identity {
    fn of(path: &Path) -> Result<Self, SqliteError> {
        let file = fs::metadata(path).map_err(cannot_open(path))?;
        Ok(Self(file.dev(), file.ino()))
    }

    /// Fails where the path leads elsewhere.
    pub(super) fn check(self, path: &Path) -> Result<(), SqliteError> {
        match fs::metadata(path) {
            Ok(file) if self == Self(file.dev(), file.ino()) => Ok(()),
            Ok(_) | Err(_) => Err(SqliteError::Gone(path.to_owned())),
        }
    }
}

/// Starts `quick_check` on a thread of its own; what it finds goes into `damage`.
pub(super) fn check_beside(path: &Path, damage: Arc<OnceLock<String>>) -> Result<(), SqliteError> {
    let connection = connect(path)?;
    let check = move || {
        let found = match quick_check(&connection) {
            Ok(None) => return,
            Ok(Some(found)) => found,
            Err(error) => error.to_string(),
        };
        tracing::error!(damage = %found, "❌ The database file is damaged: stop the service, then restore it from a backup");
        // Only this thread writes it.
        let _ = damage.set(found);
    };
    let started = thread::Builder::new().name("sqlite-check".to_owned()).spawn(check);
    let path = path.to_owned();
    started.map(drop).map_err(|source| SqliteError::CannotOpen { path, source })
}

/// What is damaged, if anything is.
pub(crate) fn quick_check(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let found = connection.query_row("pragma quick_check(1)", [], |row| row.get::<_, String>(0))?;
    // Its first line names the database, which is always the same.
    let flaw = found.lines().find(|line| !line.starts_with("***")).unwrap_or(&found);
    Ok(if found == "ok" { None } else { Some(flaw.to_owned()) })
}

/// Makes the folder and the file if this is a first start, readable by their owner alone.
///
/// The file is made whole under another name, so an empty one is never taken for a new one: it is
/// what is left of one with users in it. SQLite gives its side files the mode of the file itself.
fn make_file(
    stores: &EmbeddedStores,
    migrations: Migrations,
) -> Result<Vec<Migration>, SqliteError> {
    let path = stores.database();
    private_files::make_folder(&stores.data_dir).map_err(cannot_open(&stores.data_dir))?;
    let applied = match first_start::found(stores) {
        Found::Database => Vec::new(),
        Found::Lost(loss) => return Err(loss.into()),
        Found::Nothing if migrations == Migrations::Manual => {
            return Err(SqliteError::SchemaBehind(
                SQLITE.iter().map(Migration::to_string).collect(),
            ));
        }
        Found::Nothing => make_whole(&path)?,
    };
    let mark = stores.first_start();
    first_start::finish(stores).map_err(cannot_open(&mark))?;
    Ok(applied)
}

/// Gives no migrations if another process was faster.
fn make_whole(path: &Path) -> Result<Vec<Migration>, SqliteError> {
    let half = Half::beside(path).map_err(cannot_open(path))?;
    let mut connection = connect(half.path())?;
    let applied = migrate(&mut connection, Migrations::Automatic)?;
    connection.close().map_err(|(_, error)| error)?;
    half.give_to_owner_of_folder().map_err(cannot_open(path))?;
    match half.publish(path) {
        Ok(()) => Ok(applied),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(Vec::new()),
        Err(error) => Err(cannot_open(path)(error)),
    }
}

pub(super) fn cannot_open(path: &Path) -> impl FnOnce(io::Error) -> SqliteError {
    let path = path.to_owned();
    move |source| SqliteError::CannotOpen { path, source }
}

pub(super) fn connect(path: &Path) -> Result<Connection, SqliteError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "secure_delete", true)?;
    Ok(connection)
}

pub(crate) fn migrate(
    connection: &mut Connection,
    how: Migrations,
) -> Result<Vec<Migration>, SqliteError> {
    let pending = pending(connection)?;
    if pending.is_empty() {
        return Ok(pending);
    }
    if how == Migrations::Manual {
        return Err(SqliteError::SchemaBehind(pending.iter().map(Migration::to_string).collect()));
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    foreign::check(&transaction)?;
    transaction.execute_batch(
        "create table if not exists api_migrations (
            number integer primary key not null,
            name text not null
        ) strict",
    )?;
    let pending = self::pending(&transaction)?;
    for migration in &pending {
        transaction.execute_batch(migration.sql)?;
        transaction.execute(
            "insert into api_migrations (number, name) values (?1, ?2)",
            params![migration.number, migration.name],
        )?;
    }
    transaction.commit()?;
    Ok(pending)
}

/// The migrations that the file lacks; a newer version's are none of our business.
fn pending(connection: &Connection) -> Result<Vec<Migration>, SqliteError> {
    let has_table = connection.table_exists(None, "api_migrations")?;
    if !has_table {
        return Ok(SQLITE.to_vec());
    }
    let mut statement = connection.prepare("select number from api_migrations")?;
    let applied = statement.query_map([], |row| row.get(0))?.collect::<Result<Vec<i32>, _>>()?;
    Ok(SQLITE.iter().copied().filter(|step| !applied.contains(&step.number)).collect())
}
