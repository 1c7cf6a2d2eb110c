//! The database, PostgreSQL or the SQLite file: there, ours, up to date, whole.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use oauth1::Consumer;
use secrecy::ExposeSecret as _;

use super::reach::Server;
use super::report::{Check, Finding, Measured};
use super::tls;
use crate::config::{EmbeddedStores, Migrations, PostgresConfig};
use crate::migrations::Schema;
use crate::model::ConfigEntry;
use crate::sqlite::{Checked, LockError, is_locked, is_lost, quick_check_within};
use crate::storage::{
    Doubt, Lack, Look, LookError, MissingUnique, PostgresStorage, Remedy, SqliteStorage, Writes,
    rights,
};
use crate::telemetry::chain;

/// So much of its time a check gives to reading the whole file.
const QUICK_CHECK: Duration = Duration::from_millis(3_500);

/// The oldest with every function that the schema needs.
const OLDEST_USABLE: u32 = 13;

/// The oldest that is tried with every change of the service.
const OLDEST_POSTGRES: u32 = 15;

const SLOW: Duration = Duration::from_millis(50);

const WAY: tls::Store =
    tls::Store { address: "POSTGRES_ADDRESS (or DATABASE_URL)", roots: "POSTGRES_SSLROOTCERT" };

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
pub(super) type Looked = (Vec<Finding>, Credentials);

pub(super) async fn postgres(config: &PostgresConfig, migrations: Migrations) -> Looked {
    let address = config.address();
    let server = Server {
        address: &address,
        name: "PostgreSQL",
        variable: "POSTGRES_ADDRESS (or POSTGRES_HOST, or DATABASE_URL)",
        check: Check::Database,
    };
    let look = match PostgresStorage::look(config).await {
        Ok(look) => look,
        Err(LookError::Unreached(unreached)) => {
            return (vec![server.unreached(&unreached)], Credentials::Unknown);
        }
        Err(error) => return (vec![refused(&error, config)], Credentials::Unknown),
    };
    let mut findings =
        vec![answered(&format!("PostgreSQL {} at {address} answers", look.version), look.latency)];
    findings.extend(too_old(&look.version));
    if look.writes == Writes::Refused {
        findings.push(Finding::error(
            Check::Database,
            "PostgreSQL takes no writes: it is a standby, or was made read-only",
            "Point POSTGRES_ADDRESS, or what stands for it, to the primary; or promote this one",
        ));
    }
    findings.extend(look.doubts.iter().map(|doubt| doubted(*doubt, config)));
    findings.extend(look.missing_unique.iter().map(not_unique));
    if look.missing_unique.is_empty() || look.schema != Schema::UpToDate {
        findings.push(schema(&look, migrations));
    }
    (findings, credentials(&look))
}

fn too_old(version: &str) -> Option<Finding> {
    let major: u32 = version.split('.').next()?.parse().ok()?;
    let mend = format!("Upgrade it to {OLDEST_POSTGRES} or newer");
    if major < OLDEST_USABLE {
        let what = format!(
            "PostgreSQL {version} is too old: versions before {OLDEST_USABLE} lack a function that \
             the schema needs"
        );
        return Some(Finding::error(Check::Database, what, mend));
    }
    (major < OLDEST_POSTGRES).then(|| {
        let what = format!("PostgreSQL {version} is older than {OLDEST_POSTGRES}, and not tested");
        Finding::warning(Check::Database, what, mend)
    })
}

/// A promise that the server's settings break, and what restores it.
fn doubted(doubt: Doubt, config: &PostgresConfig) -> Finding {
    let lost = |setting: &str, when: &str| {
        let what = format!("{setting} is off: after {when}, users and connections may be lost");
        let mend = format!("As a superuser: `alter system set {setting} = on`, then reload");
        (what, mend)
    };
    let (what, mend) = match doubt {
        Doubt::Fsync => lost("fsync", "a power failure or a crash of the machine"),
        Doubt::FullPageWrites => lost("full_page_writes", "a power failure"),
        Doubt::SynchronousCommit => {
            let (what, _) = lost("synchronous_commit", "a crash of PostgreSQL");
            let role = &config.username;
            (what, format!("`alter role \"{role}\" set synchronous_commit = on`"))
        }
        Doubt::NoStatementTimeout => (
            "With POSTGRES_STATEMENTS=unnamed the role has to limit its statements, and does not: \
             one that hangs keeps its connection"
                .to_owned(),
            format!("`alter role \"{}\" set statement_timeout = '2s'`", config.username),
        ),
    };
    Finding::warning(Check::Database, what, mend)
}

fn not_unique(missing: &MissingUnique) -> Finding {
    let MissingUnique { table, columns } = missing;
    Finding::error(
        Check::Schema,
        format!("The schema was changed: `{table}` has no unique constraint on ({columns})"),
        format!(
            "Remove rows that have the same ({columns}), then, as the owner of the table: \
             `alter table {table} add unique ({columns})`"
        ),
    )
}

/// Why nothing could be seen, and what helps.
fn refused(error: &LookError, config: &PostgresConfig) -> Finding {
    let mend = match error {
        LookError::SignIn(_) => {
            "Correct POSTGRES_USERNAME or POSTGRES_PASSWORD (or DATABASE_URL); or pg_hba.conf, which \
             says who may come from where"
                .to_owned()
        }
        LookError::NoDatabase(_) => format!(
            "Correct POSTGRES_DATABASE, or make it: `createdb --owner {} {}`",
            config.username, config.database
        ),
        LookError::Lacks(lacks) => remedy(lacks),
        LookError::NotPermitted(_) => format!(
            "As the database's owner, or a superuser: `grant connect on database \"{}\" to \"{}\"`",
            config.database, config.username
        ),
        LookError::Crowded(_) => "Raise max_connections, or put PgBouncer before PostgreSQL and \
                                  set POSTGRES_STATEMENTS=unnamed"
            .to_owned(),
        LookError::NotOurs(_) => "Create a database for this service alone, with the encoding \
                                  UTF8, and name it in POSTGRES_DATABASE"
            .to_owned(),
        LookError::NotMade(_) => "Check what that step needs: the name server, the network and \
                                  firewalls on the way, and the load of PostgreSQL"
            .to_owned(),
        LookError::Blocked(_) => "Find what holds the lock: `select pid, state, query from \
                                  pg_stat_activity where xact_start < now() - interval '2s'`"
            .to_owned(),
        LookError::Pooler(_) => {
            format!(
                "Set POSTGRES_STATEMENTS=unnamed, and `alter role \"{}\" set statement_timeout = \
                 '2s'`",
                config.username
            )
        }
        LookError::Unreached(_)
        | LookError::Damaged(_)
        | LookError::Unfinished(_)
        | LookError::Storage(_) => tls::mend_store(error, &WAY).unwrap_or_else(|| {
            let said = chain(error);
            if ["encrypt", "SSL", "TLS"].iter().any(|word| said.contains(word)) {
                "See POSTGRES_SSLMODE in docs/configuration.md".to_owned()
            } else {
                "Check the log of PostgreSQL; if it is starting or being restored, wait for it"
                    .to_owned()
            }
        }),
    };
    Finding::error(Check::Database, format!("PostgreSQL can't be used: {}", chain(error)), mend)
}

/// The file, its schema, and whether a service runs on it.
pub(super) fn sqlite(stores: &EmbeddedStores, migrations: Migrations) -> Looked {
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
    let look = match SqliteStorage::look(&path) {
        Ok(look) => look,
        Err(error) => return (vec![service, unreadable(&path, &error)], Credentials::Unknown),
    };
    let what = format!("{} can be read (SQLite {})", path.display(), look.version);
    let findings = vec![service, answered(&what, look.latency), schema(&look, migrations)];
    (findings, credentials(&look))
}

/// Whether the file is whole, as far as the time goes; where it can't be read, [`sqlite`] says why.
pub(super) fn integrity(stores: &EmbeddedStores) -> Option<Finding> {
    let path = stores.database();
    if fs::metadata(&path).ok()?.len() == 0 {
        return None;
    }
    let file = path.display();
    Some(match quick_check_within(&path, QUICK_CHECK).ok()? {
        Checked::Whole => Finding::ok(Check::Integrity, "The file is whole (quick_check)"),
        Checked::Unfinished => Finding::note(
            Check::Integrity,
            "The file is too large to be read in 3.5 s; what was read of it is whole",
            format!("For the rest: `sqlite3 -readonly {file} 'pragma quick_check'`"),
        ),
        Checked::Damaged(damage) => Finding::error(
            Check::Integrity,
            format!("{file} is damaged: {damage}"),
            "Stop the service and restore the file from a backup, as docs/operations.md says",
        ),
    })
}

/// Whether a service runs on the file, as its lock tells.
fn service(stores: &EmbeddedStores) -> Finding {
    let error = match is_locked(stores) {
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
    if is_lost(stores) {
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

fn unreadable(path: &Path, error: &LookError) -> Finding {
    let what = format!("{} can't be read: {}", path.display(), chain(error));
    let mend = match error {
        LookError::Unfinished(_) => {
            let what = "A service was killed here, and what it wrote last waits beside the file";
            let mend = "Start the service, which takes it in, and run this again";
            return Finding::note(Check::Database, what, mend);
        }
        LookError::NotOurs(_) => {
            "Set DATA_DIR to a folder of this service's own; the file was left as it is"
        }
        LookError::Damaged(_) => {
            "Stop the service and restore the file from a backup, as docs/operations.md says"
        }
        LookError::SignIn(_)
        | LookError::NoDatabase(_)
        | LookError::Lacks(_)
        | LookError::NotPermitted(_)
        | LookError::Crowded(_)
        | LookError::Unreached(_)
        | LookError::NotMade(_)
        | LookError::Blocked(_)
        | LookError::Pooler(_)
        | LookError::Storage(_) => {
            "Look at the disk, and at who owns the file; or run this as the user of the service"
        }
    };
    Finding::error(Check::Database, what, mend)
}

fn answered(what: &str, latency: Duration) -> Finding {
    let milliseconds = latency.as_secs_f64() * 1000.0;
    let what = format!("{what}, in {milliseconds:.1} ms");
    let finding = if latency > SLOW {
        let mend = "Look at its load, its disk, and the network on the way: requests wait for it";
        Finding::warning(Check::Database, what, mend)
    } else {
        Finding::ok(Check::Database, what)
    };
    finding.measured(Measured::Milliseconds(milliseconds))
}

fn schema(look: &Look, migrations: Migrations) -> Finding {
    match &look.schema {
        Schema::UpToDate => Finding::ok(Check::Schema, "The schema is up to date"),
        Schema::Behind(missing) => {
            let what = format!("The schema is behind: {} missing", list(missing));
            let mend = "`discogsography-api migrate`";
            if !look.lacks_to_migrate.is_empty() {
                let lacks = rights(&look.lacks_to_migrate);
                let what = format!("{what}, and the role that would mend it lacks {lacks}");
                return Finding::error(Check::Schema, what, remedy(&look.lacks_to_migrate));
            }
            match migrations {
                Migrations::Manual => Finding::error(Check::Schema, what, mend),
                Migrations::Automatic => Finding::warning(
                    Check::Schema,
                    what,
                    format!("The next start brings it up to date, as does {mend}"),
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
            "Undo that change, or restore the tables from a backup: migrations don't mend it",
        ),
    }
}

/// What gives the role what it lacks, or does without.
fn remedy(lacks: &[Lack]) -> String {
    let mut grants = Vec::new();
    for lack in lacks {
        match &lack.remedy {
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

fn credentials(look: &Look) -> Credentials {
    let is_any_set = look.config.iter().any(|entry| !entry.value.expose_secret().is_empty());
    match ConfigEntry::consumer(&look.config) {
        Some(consumer) => Credentials::Set(consumer),
        None if is_any_set => Credentials::Half,
        None => Credentials::NotSet,
    }
}
