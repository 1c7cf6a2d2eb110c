//! What a program chooses: where its files are, and how to recognise them.

use std::path::{Path, PathBuf};

use private_files::folder_of;

use crate::event::Event;
use crate::migrations::Migration;

/// Where the files are, and which application they belong to.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The database. Its folder is created if necessary.
    pub database: PathBuf,
    /// The file that [`crate::lock()`] locks.
    pub lock: PathBuf,
    /// The file that exists until a first start has committed its database.
    pub first_start: PathBuf,
    /// Other files of the program in that folder.
    ///
    /// If one exists, a missing database counts as lost. No backup overwrites them.
    pub others: Vec<PathBuf>,
    /// The application that the database belongs to.
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
    /// The schema, in order. The first migration never changes: it identifies backups.
    pub migrations: &'static [Migration],
    /// A query for one number that describes a backup: `select count(*) from notes`.
    pub count: &'static str,
}

impl Settings {
    pub(crate) fn folder(&self) -> &Path {
        folder_of(&self.database)
    }
}
