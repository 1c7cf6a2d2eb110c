//! Moves committed pages into the database file itself, in the background.
//!
//! By itself, SQLite does this only once the `-wal` file has grown to 4 MB, which takes weeks in a
//! small installation. A plain copy of the database file would be that old.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use rusqlite::Connection;

use crate::Error;

/// A thread that makes a checkpoint at each interval, until this is dropped.
#[derive(Debug)]
pub(crate) struct Checkpoints(
    #[expect(dead_code, reason = "dropping it stops the thread")] Sender<()>,
);

impl Checkpoints {
    pub(crate) fn start(connection: Connection, every: Duration) -> Result<Self, Error> {
        let (stop, stopped) = mpsc::channel();
        let work = move || {
            while stopped.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                // If it fails, the next checkpoint or the closing makes up for it.
                let _ = checkpoint(&connection);
            }
        };
        match thread::Builder::new().name("sqlite-checkpoint".to_owned()).spawn(work) {
            Ok(_) => Ok(Self(stop)),
            Err(source) => Err(Error::CannotOpen { path: "sqlite-checkpoint".into(), source }),
        }
    }
}

/// Passive: it does not wait for readers or writers, and they do not wait for it.
fn checkpoint(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("pragma wal_checkpoint(passive)", [], |_| Ok(()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use rusqlite::{Connection, OpenFlags};

    use crate::{Database, WhenBehind, notes};

    #[tokio::test]
    async fn a_plain_copy_of_the_file_has_what_was_written_a_while_ago() {
        let folder = tempfile::tempdir().unwrap();
        let settings = notes::settings(folder.path());
        let path = settings.database.clone();
        let database = Database::with_checkpoints(settings, Duration::from_millis(1));
        database.open(WhenBehind::Migrate).await.unwrap();
        let insert = "insert into notes (text) values ('new')";
        database.write(move |transaction| transaction.execute(insert, [])).await.unwrap();
        let copy = folder.path().join("copy.db");
        let uri = format!("file:{}?immutable=1", copy.display());
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
        loop {
            fs::copy(&path, &copy).unwrap();
            let copied = Connection::open_with_flags(&uri, flags).unwrap();
            let count = "select count(*) from notes";
            // A copy made during a checkpoint may be torn.
            if copied.query_row(count, [], |row| row.get::<_, i64>(0)) == Ok(1) {
                break;
            }
        }
        database.close().await;
    }
}
