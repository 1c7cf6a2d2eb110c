//! The database, PostgreSQL or the SQLite file: there, ours, up to date, whole.

mod postgres;

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use oauth1::Consumer;
use secrecy::ExposeSecret as _;
use sqlite_file::{Integrity, LockError, is_locked, is_lost, quick_check_within};

use super::inspect::{
    self, Inspection, InspectionError, MissingPrivilege, Remedy, privileges_in_words,
};
use super::report::{Check, Finding, Measured};
use crate::config::{EmbeddedStores, Migrations};
use crate::migrations::Schema;
use crate::model::ConfigEntry;
use crate::sqlite;
use crate::telemetry::chain;

pub(super) use postgres::postgres;

/// So much of its time a check gives to reading the whole file.
const QUICK_CHECK: Duration = Duration::from_millis(3_500);

const SLOW: Duration = Duration::from_millis(50);

/// The app's Discogs credentials, as far as the database tells.
pub(super) enum Credentials {
    /// It could not be asked.
    Unknown,
    /// Neither of them.
    NotSet,
    /// One of them.
    Half,
    /// Both.
    Set(Consumer),
}

/// What was found, and the credentials to ask Discogs with.
pub(super) type Inspected = (Vec<Finding>, Credentials);

/// The file, its schema, and whether a service runs on it.
pub(super) fn sqlite(stores: &EmbeddedStores, migrations: Migrations) -> Inspected {
    let path = stores.database();
    let service = service(stores);
    let found = match fs::metadata(&path) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return (vec![service, missing(stores, migrations)], Credentials::Unknown);
        }
        Err(error) => return (vec![service, hidden(&path, &error)], Credentials::Unknown),
    };
    if found.len() == 0 {
        return (vec![service, empty(&path)], Credentials::Unknown);
    }
    let inspection = match inspect::sqlite(&path) {
        Ok(inspection) => inspection,
        Err(error) => return (vec![service, unreadable(&path, &error)], Credentials::Unknown),
    };
    let what = format!("{} can be read (SQLite {})", path.display(), inspection.version);
    let findings =
        vec![service, answered(&what, inspection.latency), schema(&inspection, migrations)];
    (findings, credentials(&inspection))
}

/// Whether the file is whole, as far as the time goes; where it can't be read, [`sqlite`] says why.
pub(super) fn integrity(stores: &EmbeddedStores) -> Option<Finding> {
    let path = stores.database();
    if fs::metadata(&path).ok()?.len() == 0 {
        return None;
    }
    let file = path.display();
    Some(match quick_check_within(&path, QUICK_CHECK).ok()? {
        Integrity::Whole => Finding::ok(Check::Integrity, "The file is whole (quick_check)"),
        Integrity::Unfinished => Finding::note(
            Check::Integrity,
            "The file is too large to be read in 3.5 s; what was read of it is whole",
            format!("For the rest: `sqlite3 -readonly {file} 'pragma quick_check'`"),
        ),
        Integrity::Damaged(damage) => Finding::error(
            Check::Integrity,
            format!("{file} is damaged: {damage}"),
            "Stop the service and restore the file from a backup, as docs/operations/backup.md says",
        ),
    })
}

/// Whether a service runs on the file, as its lock tells.
fn service(stores: &EmbeddedStores) -> Finding {
    let error = match is_locked(&sqlite::settings(stores)) {
        Ok(true) => return Finding::ok(Check::Service, "A service is running on the file"),
        Ok(false) => return Finding::ok(Check::Service, "No service is running on the file"),
        Err(error) => error,
    };
    if let LockError::NotSupported(_) = error {
        let what = "The file system of DATA_DIR has no locks, which the embedded store needs";
        return Finding::error(Check::Service, what, "Set DATA_DIR to a folder on a local disk");
    }
    let what = format!("Whether a service is running on the file is unknown: {}", chain(&error));
    Finding::note(Check::Service, what, "Run this as the user of the service")
}

/// What another user may see is no reason to say that there is nothing.
fn hidden(path: &Path, error: &std::io::Error) -> Finding {
    Finding::error(
        Check::Database,
        format!("Whether {} is there could not be seen: {error}", path.display()),
        "Run this as the user of the service, or give DATA_DIR to this one",
    )
}

/// What is left of a file with users in it: the service refuses to begin with it.
fn empty(path: &Path) -> Finding {
    Finding::error(
        Check::Database,
        format!("{} is empty, and the service does not start on it", path.display()),
        "Restore a backup: `discogsography-api restore FILE`. To start with an empty database \
         instead: `serve --new-database`",
    )
}

fn missing(stores: &EmbeddedStores, migrations: Migrations) -> Finding {
    let file = stores.database();
    let file = file.display();
    if is_lost(&sqlite::settings(stores)) {
        return Finding::error(
            Check::Database,
            format!("{file} is missing, though a service has run in this folder"),
            "Put the file back, or a backup of it: `discogsography-api restore FILE`. To start with \
             an empty database instead: `serve --new-database`",
        );
    }
    let what = format!("{file} is not there yet");
    match migrations {
        Migrations::Automatic => Finding::note(
            Check::Database,
            what,
            "Nothing to do if this is new: the first start makes it. Otherwise DATA_DIR is another \
             folder than before",
        ),
        Migrations::Manual => Finding::error(
            Check::Database,
            format!("{what}, and AUTO_MIGRATE is off"),
            "Make it: `discogsography-api migrate`",
        ),
    }
}

fn unreadable(path: &Path, error: &InspectionError) -> Finding {
    let what = format!("{} can't be read: {}", path.display(), chain(error));
    let fix = match error {
        InspectionError::Unfinished(_) => {
            let what = "A service was killed here, and what it wrote last waits beside the file";
            let fix = "Start the service, which takes it in, and run this again";
            return Finding::note(Check::Database, what, fix);
        }
        InspectionError::NotOurs(_) => {
            "Set DATA_DIR to a folder of this service's own; the file was left as it is"
        }
        InspectionError::Damaged(_) => {
            "Stop the service and restore the file from a backup, as docs/operations/backup.md says"
        }
        InspectionError::SignInRefused(_)
        | InspectionError::NoDatabase(_)
        | InspectionError::MissingPrivileges(_)
        | InspectionError::PermissionDenied(_)
        | InspectionError::TooManyConnections(_)
        | InspectionError::Unreached(_)
        | InspectionError::ConnectTimeout(_)
        | InspectionError::StatementTimeout(_)
        | InspectionError::RefusedByPooler(_)
        | InspectionError::Storage(_) => {
            "Look at the disk, and at who owns the file; or run this as the user of the service"
        }
    };
    Finding::error(Check::Database, what, fix)
}

fn answered(what: &str, latency: Duration) -> Finding {
    let milliseconds = latency.as_secs_f64() * 1000.0;
    let what = format!("{what}, in {milliseconds:.1} ms");
    let finding = if latency > SLOW {
        let fix = "Look at its load, its disk, and the network on the way: requests wait for it";
        Finding::warning(Check::Database, what, fix)
    } else {
        Finding::ok(Check::Database, what)
    };
    finding.measured(Measured::Milliseconds(milliseconds))
}

fn schema(inspection: &Inspection, migrations: Migrations) -> Finding {
    match &inspection.schema {
        Schema::UpToDate => Finding::ok(Check::Schema, "The schema is up to date"),
        Schema::Behind(missing) => {
            let what = format!("The schema is behind: {} missing", list(missing));
            let fix = "`discogsography-api migrate`";
            if !inspection.missing_to_migrate.is_empty() {
                let lacks = privileges_in_words(&inspection.missing_to_migrate);
                let what = format!("{what}, and the role lacks the privileges to migrate: {lacks}");
                return Finding::error(Check::Schema, what, remedy(&inspection.missing_to_migrate));
            }
            match migrations {
                Migrations::Manual => Finding::error(Check::Schema, what, fix),
                Migrations::Automatic => Finding::warning(
                    Check::Schema,
                    what,
                    format!("The next start brings it up to date, as does {fix}"),
                ),
            }
        }
        Schema::Ahead(newer) => Finding::note(
            Check::Schema,
            format!("A newer version was here: {} came with it", newer.join(", ")),
            "Nothing to do if you went back to this version on purpose: migrations only add",
        ),
        Schema::Changed(what) => Finding::error(
            Check::Schema,
            format!("The schema was changed by somebody else: {what}"),
            "Undo that change, or restore the tables from a backup: migrations don't repair it",
        ),
    }
}

/// What gives the role what it lacks, or does without.
fn remedy(missing: &[MissingPrivilege]) -> String {
    let mut grants = Vec::new();
    for privilege in missing {
        match &privilege.remedy {
            Remedy::Grant(statement) => grants.push(statement.as_str()),
            Remedy::Owner(owner) => {
                return format!(
                    "`discogsography-api migrate`, once, with the POSTGRES_USERNAME and password of \
                     {owner}, who owns that table; then look again with those of the service"
                );
            }
        }
    }
    format!("As the owner of the database and its tables, or a superuser: `{}`", grants.join("; "))
}

fn list(names: &[String]) -> String {
    format!("{} {}", names.join(", "), if names.len() == 1 { "is" } else { "are" })
}

fn credentials(inspection: &Inspection) -> Credentials {
    let is_any_set = inspection.config.iter().any(|entry| !entry.value.expose_secret().is_empty());
    match ConfigEntry::consumer(&inspection.config) {
        Some(consumer) => Credentials::Set(consumer),
        None if is_any_set => Credentials::Half,
        None => Credentials::NotSet,
    }
}
