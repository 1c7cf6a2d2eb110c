//! The application of the unit tests.

use std::path::Path;

use crate::{Application, Migration, Settings};

pub(crate) fn settings(folder: &Path) -> Settings {
    Settings {
        database: folder.join("notes.db"),
        lock: folder.join("notes.lock"),
        first_start: folder.join("first-start"),
        others: vec![folder.join("key")],
        application: Application {
            id: 7,
            migrations_table: "migrations",
            migrations: &[Migration {
                number: 1,
                name: "notes",
                sql: "create table notes (text text not null) strict",
            }],
            count: "select count(*) from notes",
        },
        on_event: |_| (),
    }
}
