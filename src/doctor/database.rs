//! Checks the database, PostgreSQL or the SQLite file: access, schema, integrity.

mod postgres;

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use oauth1::Consumer;
use secrecy::ExposeSecret as _;
use sqlite_file::{Integrity, LockError, is_locked, is_lost, quick_check_within};

use super::inspect::{
    self, Inspection, InspectionError, MissingPrivilege, Remedy, StoredSecrets, privileges_in_words,
};
use super::report::{Check, Finding, Measured};
use crate::config::{EmbeddedStores, Migrations};
use crate::keyring::{Keyring, Unreadable};
use crate::migrations::Schema;
use crate::model::ConfigEntry;
use crate::sqlite;
use crate::telemetry::chain;

pub(super) use postgres::{lacking, postgres, refused, too_old};

/// How long the file is checked for damage; less than a check's own limit.
const QUICK_CHECK: Duration = Duration::from_millis(3_500);

/// A read that takes longer is a warning.
const SLOW: Duration = Duration::from_millis(50);

/// The app's Discogs credentials, as stored in the database.
pub(super) enum Credentials {
    /// The database could not be read.
    Unknown,
    /// Neither key nor secret is set.
    NotSet,
    /// Only one of them is set.
    Half,
    /// Both are set.
    Set(Consumer),
    /// Both are set, and can't be decrypted.
    Unreadable(Unreadable),
}

/// What was found in a database.
pub(super) struct Inspected {
    pub(super) findings: Vec<Finding>,
    /// The app's credentials, to check with Discogs.
    pub(super) credentials: Credentials,
    /// `None` if the database could not be read.
    pub(super) secrets: Option<StoredSecrets>,
    /// The tables and columns that only newer releases of the Python service create.
    pub(super) later_python: Vec<String>,
}

impl From<Vec<Finding>> for Inspected {
    /// Of a database that could not be read.
    fn from(findings: Vec<Finding>) -> Self {
        let credentials = Credentials::Unknown;
        Self { findings, credentials, secrets: None, later_python: Vec::new() }
    }
}

impl Inspected {
    fn of(inspection: Inspection, findings: Vec<Finding>) -> Self {
        let credentials = credentials(&inspection.config);
        let Inspection { secrets, later_python, .. } = inspection;
        Self { findings, credentials, secrets: Some(secrets), later_python }
    }
}

/// Checks the file, its schema, and whether a service uses it.
pub(super) fn sqlite(
    stores: &EmbeddedStores,
    migrations: Migrations,
    keyring: &Keyring,
) -> Inspected {
    let path = stores.database();
    let service = service(stores);
    let found = match fs::metadata(&path) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return vec![service, missing(stores, migrations)].into();
        }
        Err(error) => return vec![service, hidden(&path, &error)].into(),
    };
    if found.len() == 0 {
        return vec![service, empty(&path)].into();
    }
    let inspection = match inspect::sqlite(&path, keyring) {
        Ok(inspection) => inspection,
        Err(error) => return vec![service, unreadable(&path, &error)].into(),
    };
    let what = format!("{} (SQLite {}) was read", path.display(), inspection.version);
    let findings =
        vec![service, answered(&what, inspection.latency), schema(&inspection, migrations)];
    Inspected::of(inspection, findings)
}

/// Checks the file for damage. `None` if it can't be read, which [`sqlite`] reports.
pub(super) fn integrity(stores: &EmbeddedStores) -> Option<Finding> {
    let path = stores.database();
    if fs::metadata(&path).ok()?.len() == 0 {
        return None;
    }
    let file = path.display();
    Some(match quick_check_within(&path, QUICK_CHECK).ok()? {
        Integrity::Whole => Finding::ok(Check::Integrity, "quick_check found no damage"),
        Integrity::Unfinished => Finding::note(
            Check::Integrity,
            "quick_check did not finish within 3.5 s, and found no damage so far",
            format!("Check the whole file: `sqlite3 -readonly {file} 'pragma quick_check'`"),
        ),
        Integrity::Damaged(damage) => Finding::error(
            Check::Integrity,
            format!("{file} is damaged: {damage}"),
            "Stop the service and restore the file from a backup, as docs/operations/backup.md says",
        ),
    })
}

/// Reports whether a service holds the lock of the file.
fn service(stores: &EmbeddedStores) -> Finding {
    let error = match is_locked(&sqlite::settings(stores)) {
        Ok(true) => return Finding::ok(Check::Service, "A service is using the file"),
        Ok(false) => return Finding::ok(Check::Service, "No service is using the file"),
        Err(error) => error,
    };
    if let LockError::NotSupported(_) = error {
        let what = "The file system of DATA_DIR has no locks, which the embedded store needs";
        return Finding::error(Check::Service, what, "Set DATA_DIR to a folder on a local disk");
    }
    let what = format!("Can't tell whether a service is using the file: {}", chain(&error));
    Finding::note(Check::Service, what, "Run doctor as the user of the service")
}

/// Reports a file that this user can't see; it may exist.
fn hidden(path: &Path, error: &std::io::Error) -> Finding {
    Finding::error(
        Check::Database,
        format!("Can't tell whether {} exists: {error}", path.display()),
        "Run doctor as the user of the service, or give this user access to DATA_DIR",
    )
}

/// Reports an empty file: it may once have held users, so the service refuses it.
fn empty(path: &Path) -> Finding {
    Finding::error(
        Check::Database,
        format!("{} is empty, so the service does not start", path.display()),
        "Restore a backup: `discogsography-api restore FILE`. To start with an empty database \
         instead: `discogsography-api serve --new-database`",
    )
}

fn missing(stores: &EmbeddedStores, migrations: Migrations) -> Finding {
    let file = stores.database();
    let file = file.display();
    if is_lost(&sqlite::settings(stores)) {
        return Finding::error(
            Check::Database,
            format!("{file} is missing, though a service has run in this folder"),
            "Put the file back, or restore a backup: `discogsography-api restore FILE`. To start with \
             an empty database instead: `discogsography-api serve --new-database`",
        );
    }
    let what = format!("{file} does not exist yet");
    match migrations {
        Migrations::Automatic => Finding::note(
            Check::Database,
            what,
            "Nothing to do for a new installation: the first start creates it. Otherwise, DATA_DIR \
             names a different folder than before, or its disk is not mounted",
        ),
        Migrations::Manual => Finding::error(
            Check::Database,
            format!("{what}, and AUTO_MIGRATE is off"),
            "Create it: `discogsography-api migrate`",
        ),
    }
}

fn unreadable(path: &Path, error: &InspectionError) -> Finding {
    let what = format!("{} can't be read: {}", path.display(), chain(error));
    let fix = match error {
        InspectionError::Unfinished(_) => {
            let what =
                "A service was killed, and its last writes are in a file beside the database";
            let fix = "Start the service, which recovers them, then run doctor again";
            return Finding::note(Check::Database, what, fix);
        }
        InspectionError::Incompatible(_) => {
            "Set DATA_DIR to a folder for this service alone; the file was not changed"
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
            "Check the disk and the owner of the file, or run doctor as the user of the service"
        }
    };
    Finding::error(Check::Database, what, fix)
}

pub(super) fn answered(what: &str, latency: Duration) -> Finding {
    let milliseconds = latency.as_secs_f64() * 1000.0;
    let what = format!("{what} in {milliseconds:.1} ms");
    let finding = if latency > SLOW {
        let fix = "Check its load, its disk and the network: every request waits for it";
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
                    format!("The next start migrates it, as does {fix}"),
                ),
            }
        }
        Schema::Ahead(newer) => Finding::note(
            Check::Schema,
            format!("A newer version used this database and applied {}", newer.join(", ")),
            "Nothing to do if you went back to this version on purpose: migrations only add",
        ),
        Schema::Changed(what) => Finding::error(
            Check::Schema,
            format!("The schema was changed by other software: {what}"),
            "Undo that change, or restore the tables from a backup: migrations do not repair it",
        ),
    }
}

/// Returns how to grant what the role lacks, or how to migrate without it.
pub(super) fn remedy(missing: &[MissingPrivilege]) -> String {
    let mut grants = Vec::new();
    for privilege in missing {
        match &privilege.remedy {
            Remedy::Grant(statement) => grants.push(statement.as_str()),
            Remedy::Owner(owner) => {
                return format!(
                    "`discogsography-api migrate`, once, with the POSTGRES_USERNAME and password of \
                     {owner}, which owns that table; then run doctor again with those of the service"
                );
            }
        }
    }
    format!("As the owner of the database and its tables, or a superuser: `{}`", grants.join("; "))
}

pub(super) fn list(names: &[String]) -> String {
    format!("{} {}", names.join(", "), if names.len() == 1 { "is" } else { "are" })
}

pub(super) fn credentials(config: &[ConfigEntry]) -> Credentials {
    let is_any_set = config.iter().any(|entry| !entry.value.expose_secret().is_empty());
    match ConfigEntry::consumer(config) {
        Some(consumer) => Credentials::Set(consumer),
        None if is_any_set => Credentials::Half,
        None => Credentials::NotSet,
    }
}
