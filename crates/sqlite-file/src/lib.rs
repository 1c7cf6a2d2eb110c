//! One SQLite file for an async program, with a writer and a reader thread.
//!
//! - [`Database`]: opens the file, brings its schema up to date, runs reads and transactions. A slow disk
//!   holds up its threads and never the async ones; every wait has a time limit.
//! - [`lock()`]: keeps a second process from using the database.
//! - [`back_up`], [`write_backup`], [`restore()`]: copies of a database in use, verified before
//!   they get their final name.
//! - [`begin`], [`start_afresh`], [`is_lost`]: distinguish a first start from a lost database.
//! - [`ReadOnly`], [`quick_check_within`]: read the file without changing it.
//!
//! This crate must not depend on what the tables mean: see [`Settings`] and [`Application`].

mod checkpoints;
mod copy;
mod database;
mod error;
mod event;
mod first_start;
mod foreign;
mod lock;
mod migrations;
#[cfg(test)]
mod notes;
mod open;
mod read_only;
mod restore;
mod settings;
mod worker;
mod writability;

use std::path::{Path, PathBuf};

pub use copy::{Copied, CopyError, Existing, back_up, write_backup};
pub use database::Database;
pub use error::Error;
pub use event::Event;
pub use first_start::{Loss, NoDatabase, begin, is_lost, require_database, start_afresh};
pub use lock::{LockError, is_locked, lock};
pub use migrations::{Migration, WhenBehind};
pub use open::restrict_to_owner;
pub use private_files::Unusable;
pub use read_only::{Integrity, ReadOnly, quick_check_within};
pub use restore::{Restored, restore};
pub use settings::{Application, Settings};

/// A file that SQLite keeps beside the database, by its ending: `-wal`, `-shm` or `-journal`.
#[must_use]
pub fn side_file(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}
