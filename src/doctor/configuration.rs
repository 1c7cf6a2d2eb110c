//! The configuration as [`Config::load`] reads it: every problem, every warning.

use super::report::{Check, Finding, Severity};
use crate::config::{Config, ConfigError, Stores, Warning};

/// What is said of a name that looks like one of ours.
const NOT_READ: &str = " is not read";

const CORRECT_NAME: &str = "Correct its name, or leave it out";

/// Every problem, and that nothing else could be looked at.
pub(super) fn unusable(error: &ConfigError) -> Vec<Finding> {
    let problems = error.problems().iter().map(|problem| {
        let what = problem.to_string();
        let fix = if what.contains(NOT_READ) {
            CORRECT_NAME.to_owned()
        } else {
            format!("docs/configuration.md says what {} may be", problem.name())
        };
        Finding::error(Check::Variables, what, fix)
    });
    let rest = Finding::note(
        Check::Variables,
        "The stores, the disk and Discogs were not looked at",
        "They need a configuration that can be used: fix it first",
    );
    problems.chain([rest]).collect()
}

/// What a service would run with, and what it would warn about at its start.
pub(super) fn usable(config: &Config) -> Vec<Finding> {
    let stores = match &config.stores {
        Stores::Embedded(embedded) => {
            format!("the SQLite file {}", embedded.database().display())
        }
        Stores::Servers { postgres, redis } => format!(
            "PostgreSQL at {}/{} and Redis at {}",
            postgres.address(),
            postgres.database,
            redis.address()
        ),
    };
    let usable = Finding::ok(Check::Variables, format!("It can be used; the stores are {stores}"));
    let warnings = config.warnings.iter().map(warning);
    [usable].into_iter().chain(warnings).chain(proxies(config)).collect()
}

/// A warning of the start, with what to do about it.
pub(super) fn warning(warning: &Warning) -> Finding {
    let (severity, what) = match warning {
        Warning::Careful(what) => (Severity::Warning, what),
        Warning::Alarming(what) => (Severity::Error, what),
    };
    // A warning begins with the name of its variable, or the file that stands for it.
    let name = what.split_whitespace().next().unwrap_or_default();
    let (check, fix) = match name {
        _ if what.contains(" is used exactly like that") => (
            Check::Variables,
            format!(
                "Remove it where {name} is set; if it belongs to the secret, leave it, the same in \
                 every service"
            ),
        ),
        _ if what.contains(NOT_READ) => (Check::Variables, CORRECT_NAME.to_owned()),
        "TRUSTED_PROXIES" => (
            Check::TrustedProxies,
            "Name only your own proxies, as in `TRUSTED_PROXIES=10.0.0.0/8`".to_owned(),
        ),
        "DATABASE_URL" | "DATABASE_URL_FILE" | "REDIS_URL" | "REDIS_URL_FILE" => (
            Check::Variables,
            format!("Remove them from {name}, unless another program needs them there"),
        ),
        "SSL_CERT_FILE" | "SSL_CERT_DIR" => (
            Check::Variables,
            format!("Set {name} to root certificates in PEM form, or leave it out"),
        ),
        "RATE_LIMITS" => (Check::Variables, "Unset RATE_LIMITS, or set it to `on`".to_owned()),
        name if name.starts_with("DISCOGS_") => {
            (Check::Variables, format!("Set {name} to an address that begins with https://"))
        }
        name if name == "JWT_SECRET_KEY" || name.contains('/') => (
            Check::JwtSecret,
            "Set the output of `openssl rand -hex 32` as JWT_SECRET_KEY, in every service that \
             checks tokens; whoever is signed in then has to sign in again"
                .to_owned(),
        ),
        name => (Check::Variables, format!("See {name} in docs/configuration.md")),
    };
    Finding { severity, ..Finding::note(check, what, fix) }
}

/// Where nobody is trusted, and the service can be reached from elsewhere.
fn proxies(config: &Config) -> Option<Finding> {
    let address = config.api_address.ip();
    if !config.trusted_proxies.is_empty() || address.is_loopback() {
        return None;
    }
    Some(Finding::note(
        Check::TrustedProxies,
        format!("The API listens on {address}, and no proxy is trusted"),
        "Only if it stands behind a reverse proxy or load balancer, whose people would share one \
         budget: name that proxy in TRUSTED_PROXIES",
    ))
}
