//! Checks PostgreSQL: connection, sign-in, version, privileges, schema and settings.

use super::super::inspect::{self, InspectionError, RiskySetting, Writes};
use super::super::reach::Server;
use super::super::report::{Check, Finding};
use super::super::tls;
use super::{Inspected, answered, remedy, schema};
use crate::config::{Migrations, PostgresConfig};
use crate::keyring::Keyring;
use crate::migrations::Schema;
use crate::storage::postgres::MissingUnique;
use crate::telemetry::chain;

/// The oldest version with every function that the schema needs.
const OLDEST_USABLE: u32 = 13;

/// The oldest version that the tests run on.
const OLDEST_POSTGRES: u32 = 15;

const VARIABLES: tls::Store =
    tls::Store { address: "POSTGRES_ADDRESS (or DATABASE_URL)", roots: "POSTGRES_SSLROOTCERT" };

pub(in crate::doctor) async fn postgres(
    config: &PostgresConfig,
    migrations: Migrations,
    keyring: &Keyring,
) -> Inspected {
    let inspection = match inspect::postgres(config, keyring).await {
        Ok(inspection) => inspection,
        Err(error) => return vec![refused(&error, config)].into(),
    };
    let address = config.address();
    let mut findings = vec![answered(
        &format!("PostgreSQL {} at {address} answered", inspection.version),
        inspection.latency,
    )];
    findings.extend(too_old(&inspection.version));
    if inspection.writes == Writes::Refused {
        findings.push(Finding::error(
            Check::Database,
            "PostgreSQL accepts no writes: it is a standby, or was made read-only",
            "Set POSTGRES_ADDRESS (or POSTGRES_HOST, or DATABASE_URL) to the primary, or promote this \
             server",
        ));
    }
    findings.extend(inspection.limited_encoding.as_ref().map(|encoding| lacking(encoding, config)));
    findings.extend(inspection.risky_settings.iter().map(|setting| risky(*setting, config)));
    findings.extend(inspection.missing_unique.iter().map(not_unique));
    if inspection.missing_unique.is_empty() || inspection.schema != Schema::UpToDate {
        findings.push(schema(&inspection, migrations));
    }
    Inspected::of(inspection, findings)
}

fn server(address: &str) -> Server<'_> {
    Server {
        address,
        name: "PostgreSQL",
        variable: "POSTGRES_ADDRESS (or POSTGRES_HOST, or DATABASE_URL)",
        check: Check::Database,
    }
}

pub(in crate::doctor) fn too_old(version: &str) -> Option<Finding> {
    let major: u32 = version.split('.').next()?.parse().ok()?;
    let fix = format!("Upgrade it to {OLDEST_POSTGRES} or newer");
    if major < OLDEST_USABLE {
        let what = format!(
            "PostgreSQL {version} is too old: versions before {OLDEST_USABLE} lack a function that \
             the schema needs"
        );
        return Some(Finding::error(Check::Database, what, fix));
    }
    (major < OLDEST_POSTGRES).then(|| {
        let what = format!("PostgreSQL {version} is older than {OLDEST_POSTGRES} and not tested");
        Finding::warning(Check::Database, what, fix)
    })
}

/// Reports a risky setting, with its fix.
fn risky(setting: RiskySetting, config: &PostgresConfig) -> Finding {
    let lost = |setting: &str, when: &str| {
        format!("{setting} is off: after {when}, committed data may be lost")
    };
    let (what, fix) = match setting {
        RiskySetting::FsyncOff => (
            lost("fsync", "a crash of the machine"),
            "As a superuser: `alter system set fsync = on`, then reload. Nothing to do if a \
             hosted PostgreSQL keeps its data safe in another way"
                .to_owned(),
        ),
        RiskySetting::SynchronousCommitOff => (
            lost("synchronous_commit", "a crash of PostgreSQL"),
            format!("`alter role \"{}\" set synchronous_commit = on`", config.username),
        ),
        RiskySetting::NoStatementTimeout => (
            "The role has no statement_timeout, which POSTGRES_STATEMENTS=unnamed needs: a statement \
             that hangs keeps its connection"
                .to_owned(),
            format!("`alter role \"{}\" set statement_timeout = '2s'`", config.username),
        ),
    };
    Finding::warning(Check::Database, what, fix)
}

/// Reports an encoding with which the service runs, but refuses some text.
pub(in crate::doctor) fn lacking(encoding: &str, config: &PostgresConfig) -> Finding {
    let PostgresConfig { database, username, .. } = config;
    Finding::error(
        Check::Database,
        format!(
            "The encoding of the database is {encoding}: users whose email address or Discogs username has \
             a character that it lacks can't register or connect"
        ),
        format!(
            "Stop the service, copy the data to a database with the encoding UTF8 (`createdb --encoding \
             UTF8 --template template0 --owner {username} NEW`, then `pg_dump {database} | psql NEW`), \
             and name that one in POSTGRES_DATABASE (or DATABASE_URL)"
        ),
    )
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

/// Reports why the database could not be inspected.
pub(in crate::doctor) fn refused(error: &InspectionError, config: &PostgresConfig) -> Finding {
    let fix = match error {
        InspectionError::Unreached(unreached) => return server(&config.address()).unreached(unreached),
        InspectionError::SignInRefused(_) => {
            "Correct POSTGRES_USERNAME or POSTGRES_PASSWORD (or DATABASE_URL), or allow this role and \
             machine in pg_hba.conf"
                .to_owned()
        }
        InspectionError::NoDatabase(_) => format!(
            "Correct POSTGRES_DATABASE, or create it: `createdb --owner {} {}`",
            config.username, config.database
        ),
        InspectionError::MissingPrivileges(missing) => remedy(missing),
        InspectionError::PermissionDenied(_) => format!(
            "As the database's owner, or a superuser: `grant connect on database \"{}\" to \"{}\"`",
            config.database, config.username
        ),
        InspectionError::TooManyConnections(_) => "Raise max_connections, or put PgBouncer in front of it and \
                                  set POSTGRES_STATEMENTS=unnamed"
            .to_owned(),
        InspectionError::Incompatible(_) => "Create a database for this service alone, with the encoding \
                                  UTF8, and name it in POSTGRES_DATABASE"
            .to_owned(),
        InspectionError::ConnectTimeout(_) => "Check what that step needs: the name server, the network and \
                                  firewalls on the way, and the load of PostgreSQL"
            .to_owned(),
        InspectionError::StatementTimeout(_) => "Find what holds the lock: `select pid, state, query from \
                                  pg_stat_activity where xact_start < now() - interval '2s'`"
            .to_owned(),
        InspectionError::RefusedByPooler(_) => {
            format!(
                "Set POSTGRES_STATEMENTS=unnamed, and `alter role \"{}\" set statement_timeout = \
                 '2s'`",
                config.username
            )
        }
        InspectionError::Damaged(_)
        | InspectionError::Unfinished(_)
        | InspectionError::Storage(_) => tls::fix_store(error, &VARIABLES).unwrap_or_else(|| {
            let said = chain(error);
            if ["encrypt", "SSL", "TLS"].iter().any(|word| said.contains(word)) {
                "See POSTGRES_SSLMODE in docs/configuration.md".to_owned()
            } else {
                "Check the log of PostgreSQL; if it is starting or being restored, wait for it"
                    .to_owned()
            }
        }),
    };
    Finding::error(Check::Database, format!("PostgreSQL can't be used: {}", chain(error)), fix)
}

#[cfg(test)]
mod tests {
    use super::super::super::report::Severity;
    use super::too_old;

    #[test]
    fn an_untested_version_is_a_warning_and_an_unusable_one_an_error() {
        let severity = |version| too_old(version).map(|finding| finding.severity);
        for (version, expected) in [
            ("12.22", Some(Severity::Error)),
            ("13.0", Some(Severity::Warning)),
            ("14.20", Some(Severity::Warning)),
            ("15.0", None),
            ("18.4", None),
            ("19beta1", None),
        ] {
            assert_eq!(severity(version), expected, "{version}");
        }
    }
}
