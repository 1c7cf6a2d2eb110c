//! Keeps notes in one file: opens it, writes, reads, and makes a backup while it is open.

use std::error::Error;
use std::io::{Write as _, stderr};

use rusqlite::{Connection, Transaction};
use sqlite_file::{
    Application, Database, Existing, Migration, Settings, WhenBehind, back_up, begin, lock,
};

const NOTES: Application = Application {
    id: 0x4e4f_5445,
    migrations_table: "migrations",
    migrations: &[Migration {
        number: 1,
        name: "notes",
        sql: "create table notes (text text not null) strict",
    }],
    count: "select count(*) from notes",
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::temp_dir().join("sqlite-file-example");
    let settings = Settings {
        database: folder.join("notes.db"),
        lock: folder.join("notes.lock"),
        first_start: folder.join("first-start"),
        others: Vec::new(),
        application: NOTES,
        on_event: |event| drop(writeln!(stderr(), "{event:?}")),
    };
    begin(&settings)?;
    let _lock = lock(&settings)?;
    let database = Database::new(settings.clone());
    for migration in database.open(WhenBehind::Migrate).await? {
        writeln!(stderr(), "applied {migration}")?;
    }
    let insert = |transaction: &Transaction<'_>| {
        transaction.execute("insert into notes (text) values ('buy records')", [])
    };
    database.write(insert).await?;
    let count = |connection: &mut Connection| {
        connection.query_row("select count(*) from notes", [], |row| row.get::<_, i64>(0))
    };
    writeln!(stderr(), "{} notes", database.read(count).await?)?;
    let copied = back_up(&settings, &folder.join("backup.db"), Existing::Replaced)?;
    writeln!(stderr(), "the backup has {} notes in {} bytes", copied.count, copied.bytes)?;
    database.close().await;
    Ok(())
}
