//! Opens the file: its mode, SQLite's settings, its schema, and a check in the background.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use private_files::{PendingFile, Unusable};
use rusqlite::{Connection, OpenFlags};

use crate::first_start::{self, Found};
use crate::migrations::{behind, migrate};
use crate::{Error, Event, Migration, Settings, WhenBehind, foreign, side_file};

/// How long SQLite waits for another process, such as a command-line tool.
const BUSY_TIMEOUT: Duration = Duration::from_secs(3);

const PREPARED_STATEMENTS: usize = 32;

/// The connections to the file, one for each thread.
pub(crate) struct Opened {
    pub(crate) writer: Connection,
    pub(crate) reader: Connection,
    pub(crate) checkpoints: Connection,
    pub(crate) applied: Vec<Migration>,
    pub(crate) id: FileId,
}

/// Identifies a file by device and inode, whatever its path later leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileId(u64, u64);

/// Opens the file once for each thread, with its schema in place.
pub(crate) fn open(settings: &Settings, when_behind: WhenBehind) -> Result<Opened, Error> {
    open_all(settings, when_behind).map_err(|error| {
        if error.is_lack_of_shared_memory() {
            Error::FileSystem(settings.folder().to_owned())
        } else {
            error
        }
    })
}

fn open_all(settings: &Settings, when_behind: WhenBehind) -> Result<Opened, Error> {
    let Settings { database: path, application, .. } = settings;
    check_files(settings)?;
    let at_creation = create_file(settings, when_behind)?;
    foreign::check_file(path, application)?;
    restrict_to_owner(path, settings.on_event);
    let id = FileId::of(path).map_err(cannot_open(path))?;
    let mut writer = connect(path)?;
    writer.pragma_update(None, "journal_mode", "wal")?;
    let applied = [at_creation, migrate(&mut writer, application, when_behind)?].concat();
    let checkpoints = connect(path)?;
    let reader = connect(path)?;
    reader.pragma_update(None, "query_only", true)?;
    Ok(Opened { writer, reader, checkpoints, applied, id })
}

/// Fails if the database or a side file must not be used.
///
/// A user who can write a side file can change the database.
pub(crate) fn check_files(settings: &Settings) -> Result<(), Unusable> {
    let files = ["", "-wal", "-shm", "-journal"].map(|end| side_file(&settings.database, end));
    files.iter().try_for_each(|file| private_files::check(file))
}

/// Gives a file the mode 0600, and reports a change or failure.
pub fn restrict_to_owner(path: &Path, on_event: fn(Event<'_>)) {
    match private_files::restrict_to_owner(path) {
        Ok(false) => {}
        Ok(true) => on_event(Event::ClosedToOthers(path)),
        Err(error) => on_event(Event::OpenToOthers(path, &error)),
    }
}

impl FileId {
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        fs::metadata(path).map(|file| Self(file.dev(), file.ino()))
    }

    /// Fails if the path leads to another file.
    pub(crate) fn check(self, path: &Path) -> Result<(), Error> {
        match Self::of(path) {
            Ok(found) if found == self => Ok(()),
            Ok(_) | Err(_) => Err(Error::Gone(path.to_owned())),
        }
    }
}

/// Starts `quick_check` on its own thread, which stores the damage that it finds.
pub(crate) fn check_in_background(
    Settings { database: path, on_event, .. }: &Settings,
    damage: Arc<OnceLock<String>>,
) -> Result<(), Error> {
    let on_event = *on_event;
    let connection = connect(path)?;
    let check = move || {
        let found = match quick_check(&connection) {
            Ok(None) => return,
            Ok(Some(found)) => found,
            Err(error) => error.to_string(),
        };
        on_event(Event::Damaged(&found));
        // Only this thread sets it.
        let _ = damage.set(found);
    };
    let started = thread::Builder::new().name("sqlite-check".to_owned()).spawn(check);
    started.map(drop).map_err(cannot_open(path))
}

/// What is damaged; `None` if nothing is.
pub(crate) fn quick_check(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let found = connection.query_row("pragma quick_check(1)", [], |row| row.get::<_, String>(0))?;
    // The first line names the database, which is always the same.
    let flaw = found.lines().find(|line| !line.starts_with("***")).unwrap_or(&found);
    Ok(if found == "ok" { None } else { Some(flaw.to_owned()) })
}

/// On a first start, creates the folder and the file, readable by their owner only.
///
/// The file is completed under another name. So an empty file is never mistaken for a new one: it
/// is the rest of a file that had content. SQLite gives its side files the mode of the file itself.
fn create_file(settings: &Settings, when_behind: WhenBehind) -> Result<Vec<Migration>, Error> {
    private_files::make_folder(settings.folder()).map_err(cannot_open(settings.folder()))?;
    let applied = match first_start::found(settings) {
        Found::Database => Vec::new(),
        Found::Lost(loss) => return Err(loss.into()),
        Found::Nothing if when_behind == WhenBehind::Fail => {
            return Err(behind(settings.application.migrations));
        }
        Found::Nothing => create_complete(settings)?,
    };
    first_start::finish(settings).map_err(cannot_open(&settings.first_start))?;
    Ok(applied)
}

/// Returns no migrations if another process created the file first.
fn create_complete(settings: &Settings) -> Result<Vec<Migration>, Error> {
    let path = &settings.database;
    let file = PendingFile::beside(path).map_err(cannot_open(path))?;
    let mut connection = connect(file.path())?;
    let applied = migrate(&mut connection, &settings.application, WhenBehind::Migrate)?;
    connection.close().map_err(|(_, error)| error)?;
    file.give_to_owner_of_folder().map_err(cannot_open(path))?;
    match file.publish(path) {
        Ok(()) => Ok(applied),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(Vec::new()),
        Err(error) => Err(cannot_open(path)(error)),
    }
}

pub(crate) fn cannot_open(path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::CannotOpen { path, source }
}

pub(crate) fn connect(path: &Path) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(PREPARED_STATEMENTS);
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "secure_delete", true)?;
    Ok(connection)
}
