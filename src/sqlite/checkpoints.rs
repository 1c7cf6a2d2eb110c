//! Moves what was committed into the database file itself, beside the work and never before it.
//!
//! SQLite does so by itself only once its side file has 4 MB, which may be weeks on a small site: a
//! plain copy of the one file would be as old.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use rusqlite::Connection;

use super::SqliteError;

/// A thread that moves it again and again, until this is dropped.
#[derive(Debug)]
pub(super) struct Checkpoints(#[expect(dead_code, reason = "its end is the signal")] Sender<()>);

impl Checkpoints {
    pub(super) fn start(connection: Connection, every: Duration) -> Result<Self, SqliteError> {
        let (stop, stopped) = mpsc::channel();
        let work = move || {
            while stopped.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                // What fails now is tried again the next time, or is done at the stop.
                let _ = checkpoint(&connection);
            }
        };
        match thread::Builder::new().name("sqlite-checkpoint".to_owned()).spawn(work) {
            Ok(_) => Ok(Self(stop)),
            Err(source) => {
                Err(SqliteError::CannotOpen { path: "sqlite-checkpoint".into(), source })
            }
        }
    }
}

/// Passive: it waits for nobody, and nobody waits for it.
fn checkpoint(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("pragma wal_checkpoint(passive)", [], |_| Ok(()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use rusqlite::{Connection, OpenFlags};

    use crate::config::{EmbeddedStores, IfLost, Migrations};
    use crate::sqlite::Database;

    #[tokio::test]
    async fn a_plain_copy_of_the_file_alone_has_what_was_written_a_while_ago() {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path().to_owned();
        let stores = EmbeddedStores { data_dir, if_lost: IfLost::Refuse };
        let database = Database::with_checkpoints(stores.clone(), Duration::from_millis(1));
        database.open(Migrations::Automatic).await.unwrap();
        let insert = "insert into app_config (key, value, updated_at) values ('k', 'v', 0)";
        database.write(move |transaction| transaction.execute(insert, [])).await.unwrap();
        let copy = folder.path().join("copy.db");
        let uri = format!("file:{}?immutable=1", copy.display());
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
        loop {
            fs::copy(stores.database(), &copy).unwrap();
            let copied = Connection::open_with_flags(&uri, flags).unwrap();
            let count = "select count(*) from app_config";
            // A copy that is made in the middle of a checkpoint may be torn.
            if copied.query_row(count, [], |row| row.get::<_, i64>(0)) == Ok(1) {
                break;
            }
        }
        database.close().await;
    }
}
