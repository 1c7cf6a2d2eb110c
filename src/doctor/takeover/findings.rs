//! The findings about the stores of a Python service.

use super::super::compat;
use super::super::database::{answered, lacking, remedy, too_old};
use super::super::inspect::{Named, PythonDatabase, PythonKeys, Users, Writes};
use super::super::report::{Check, Finding, Severity};
use crate::config::{PostgresConfig, PythonCompat};

const KEEP_SIGN_IN: &str = "Keep /api/auth/login and /api/auth/2fa/ at the Python service, as \
    docs/operations/takeover.md says";

pub(super) fn of_database(database: &PythonDatabase, config: &PostgresConfig) -> Vec<Finding> {
    let PythonDatabase { version, latency, users, connections, .. } = database;
    let address = config.address();
    let reached = format!("PostgreSQL {version} at {address} answered");
    let mut findings = vec![answered(&reached, *latency)];
    findings.extend(too_old(version));
    if database.writes == Writes::Refused {
        findings.push(Finding::note(
            Check::Database,
            "PostgreSQL accepts no writes here: it is a standby, or was made read-only",
            "The service needs the primary",
        ));
    }
    findings.extend(database.limited_encoding.as_ref().map(|encoding| lacking(encoding, config)));
    findings.extend(schema(database));
    findings.extend(privileges(database, config));
    findings.extend(of_users(users));
    findings.push(second_factors(&users.second_factors));
    let connected = match connections {
        1 => "1 user is connected to Discogs".to_owned(),
        connections => format!("{connections} users are connected to Discogs"),
    };
    findings.push(Finding::ok(Check::Connections, connected));
    findings
}

/// Reports the schema, and what the first start changes.
fn schema(database: &PythonDatabase) -> Vec<Finding> {
    let PythonDatabase { later_python, additions, .. } = database;
    let shape = if later_python.is_empty() {
        "The tables are those of the first release of the Python service".to_owned()
    } else {
        let found = later_python.join(", ");
        format!("The tables are those of a newer release of the Python service, with {found}")
    };
    let changes = if additions.is_empty() {
        Finding::ok(Check::Schema, "The first start changes nothing in the schema")
    } else {
        Finding::note(
            Check::Schema,
            format!("The first start adds {}; it changes no row", additions.join(", ")),
            "Nothing to do. To add them yourself, set AUTO_MIGRATE=off and run \
             `discogsography-api migrate`",
        )
    };
    vec![Finding::ok(Check::Schema, shape), changes]
}

/// Reports what the role lacks, which a role that is only meant for this check may.
fn privileges(database: &PythonDatabase, config: &PostgresConfig) -> Option<Finding> {
    let missing = &database.missing_privileges;
    (!missing.is_empty()).then(|| {
        let what = format!(
            "The role {} is enough for this check, but not for the service",
            config.username
        );
        let fix = format!("If the service is to use this role: {}", remedy(missing));
        Finding::note(Check::Schema, what, fix)
    })
}

fn of_users(users: &Users) -> Vec<Finding> {
    let check = Check::Users;
    let (all, able) = (users.all, users.able_to_sign_in());
    let mut what = format!("{able} of {all} users can sign in with their password");
    if users.inactive > 0 {
        what = format!("{what}; deactivated: {}", users.inactive);
    }
    let mut findings = vec![Finding::ok(check, what)];
    let unreadable = &users.unreadable_hashes;
    if unreadable.count > 0 {
        findings.push(Finding::warning(
            check,
            format!("The password hash of {} is not one of the Python service", listed(unreadable)),
            "Nothing to do if they can't sign in to the Python service either",
        ));
    }
    findings
}

fn second_factors(found: &Named) -> Finding {
    let check = Check::SecondFactors;
    if found.count == 0 {
        return Finding::ok(check, "No user has two-factor sign-in");
    }
    let what =
        format!("Two-factor sign-in is on, so this service refuses the sign-in: {}", listed(found));
    Finding::error(check, what, KEEP_SIGN_IN)
}

/// Returns how many users there are, and the email addresses of the first few.
fn listed(users: &Named) -> String {
    let Named { count, first } = users;
    let named = first.join(", ");
    let more = count.saturating_sub(first.len() as u64);
    let users = if *count == 1 { "user" } else { "users" };
    if more == 0 {
        format!("{count} {users} ({named})")
    } else {
        format!("{count} {users} ({named} and {more} more)")
    }
}

/// Reports pending flows, and revocations that would be ignored.
pub(super) fn of_redis(
    setting: PythonCompat,
    later_python: &[String],
    keys: PythonKeys,
) -> Vec<Finding> {
    let mut compat = compat::python_compat(setting, later_python, keys);
    if compat.severity == Severity::Note {
        // Before a takeover, the Python service still runs.
        compat.severity = Severity::Warning;
    }
    let connecting = match keys.flows {
        1 => "1 user is connecting Discogs now".to_owned(),
        flows => format!("{flows} users are connecting Discogs now"),
    };
    let flows = match (keys.flows, setting) {
        (0, _) => Finding::ok(Check::PendingFlows, "No user is connecting Discogs now"),
        (_, PythonCompat::On) => Finding::ok(
            Check::PendingFlows,
            format!("{connecting}, and can finish at either service"),
        ),
        (_, PythonCompat::Off) => Finding::note(
            Check::PendingFlows,
            format!("{connecting}, and would have to start again"),
            "Nothing to do, or set PYTHON_COMPAT=on: then they can finish at either service",
        ),
    };
    let mut findings = vec![flows, compat];
    if keys.is_partial {
        findings.push(Finding::note(
            Check::PythonCompat,
            "Redis has too many keys to read all of them in 2 s, so there may be more",
            "Run the check again, or set PYTHON_COMPAT=on to be safe",
        ));
    }
    findings
}
