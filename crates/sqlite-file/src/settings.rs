//! What a program decides: where its files are, and what makes a file its own.

use std::path::{Path, PathBuf};

use private_files::folder_of;

use crate::event::Event;
use crate::migrations::Migration;

/// Where the files are, and whose they are.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The database. Its folder is created if necessary.
    pub database: PathBuf,
    /// The file that [`crate::lock()`] locks.
    pub lock: PathBuf,
    /// The file that exists until a first start has committed its database.
    pub first_start: PathBuf,
    /// Other files of the program in that folder. If one exists, a missing database is lost; no backup
    /// overwrites them.
    pub others: Vec<PathBuf>,
    /// Whose database it is.
    pub application: Application,
    /// Called with each event that the program may want to log.
    pub on_event: fn(Event<'_>),
}

/// The application that a database belongs to.
#[derive(Debug, Clone, Copy)]
pub struct Application {
    /// The `application_id` in the header of the file.
    pub id: u32,
    /// The table that records which migrations were applied.
    pub migrations_table: &'static str,
    /// The schema, in order. The first migration never changes: it tells whose a backup is.
    pub migrations: &'static [Migration],
    /// A query for one number that describes a backup: `select count(*) from notes`.
    pub count: &'static str,
}

impl Settings {
    pub(crate) fn folder(&self) -> &Path {
        folder_of(&self.database)
    }
}
