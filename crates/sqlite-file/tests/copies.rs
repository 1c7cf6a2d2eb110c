//! A database is written, backed up, changed, restored and read again.

#![expect(clippy::unwrap_used, reason = "a helper of a test may panic")]

use std::io::empty;
use std::path::Path;

use rusqlite::{Connection, Transaction};
use sqlite_file::{
    Application, CopyError, Database, Error, Existing, Migration, Settings, WhenBehind, back_up,
    restore,
};

const MIGRATIONS: &[Migration] = &[
    Migration { number: 1, name: "notes", sql: "create table notes (text text not null) strict" },
    Migration { number: 2, name: "tags", sql: "create table tags (name text not null) strict" },
];

fn settings(folder: &Path, migrations: &'static [Migration]) -> Settings {
    Settings {
        database: folder.join("notes.db"),
        lock: folder.join("notes.lock"),
        first_start: folder.join("first-start"),
        others: Vec::new(),
        application: Application {
            id: 7,
            migrations_table: "migrations",
            migrations,
            count: "select count(*) from notes",
        },
        on_event: |_| (),
    }
}

async fn write(settings: &Settings, note: &'static str) {
    let database = Database::new(settings.clone());
    // The threads of a closed database may still be closing the file.
    while let Err(error) = database.open(WhenBehind::Migrate).await {
        assert!(matches!(error, Error::Sqlite(_)), "{error}");
    }
    let insert = move |transaction: &Transaction<'_>| {
        transaction.execute("insert into notes (text) values (?1)", [note])
    };
    assert_eq!(database.write(insert).await.unwrap(), 1);
    database.close().await;
}

fn notes(path: &Path) -> Vec<String> {
    let connection = Connection::open(path).unwrap();
    let mut statement = connection.prepare("select text from notes").unwrap();
    let notes = statement.query_map([], |row| row.get("text")).unwrap();
    notes.map(Result::unwrap).collect()
}

#[tokio::test]
async fn a_restored_backup_replaces_the_database_and_keeps_it() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path(), MIGRATIONS);
    let backup = folder.path().join("backup.db");
    write(&settings, "first").await;
    let copied = back_up(&settings, &backup, Existing::Refused).unwrap();
    assert_eq!(copied.count, 1);
    let again = back_up(&settings, &backup, Existing::Refused);
    assert!(matches!(again, Err(CopyError::Exists(_))), "{again:?}");
    write(&settings, "second").await;
    let restored = loop {
        match restore(&settings, Some(&backup), empty()) {
            Err(CopyError::InUse(_) | CopyError::Sqlite(_)) => std::thread::yield_now(),
            restored => break restored.unwrap(),
        }
    };
    assert_eq!(restored.copied, copied);
    assert_eq!(notes(&settings.database), ["first"]);
    assert_eq!(notes(&restored.kept.unwrap()), ["first", "second"]);
}

#[tokio::test]
async fn a_foreign_database_is_neither_opened_nor_restored() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path(), MIGRATIONS);
    let foreign = folder.path().join("foreign.db");
    Connection::open(&foreign).unwrap().execute_batch("create table songs (name text)").unwrap();
    let restored = restore(&settings, Some(&foreign), empty());
    assert!(matches!(restored, Err(CopyError::Foreign(_))), "{restored:?}");
    std::fs::rename(&foreign, &settings.database).unwrap();
    let opened = Database::new(settings).open(WhenBehind::Migrate).await;
    assert!(matches!(opened, Err(Error::Foreign(_))), "{opened:?}");
}

#[tokio::test]
async fn missing_migrations_are_applied_or_reported() {
    let folder = tempfile::tempdir().unwrap();
    write(&settings(folder.path(), &MIGRATIONS[..1]), "first").await;
    let database = Database::new(settings(folder.path(), MIGRATIONS));
    let missing = loop {
        match database.open(WhenBehind::Fail).await {
            Err(Error::Sqlite(_)) => std::thread::yield_now(),
            Err(Error::SchemaBehind(missing)) => break missing,
            checked => panic!("{checked:?}"),
        }
    };
    assert_eq!(missing, ["0002_tags"]);
    assert_eq!(database.open(WhenBehind::Migrate).await.unwrap(), MIGRATIONS[1..]);
    database.close().await;
}
