//! Reports every problem and warning of [`Config::load`].

use super::report::{Check, Finding, Severity};
use crate::config::{Config, ConfigError, Stores, Warning};

/// A part of every message about a name similar to a variable.
const NOT_READ: &str = " is not read";

const CORRECT_NAME: &str = "Correct its name, or remove it";

/// Reports every problem, and that the other checks were skipped.
pub(super) fn unusable(error: &ConfigError) -> Vec<Finding> {
    let problems = error.problems().iter().map(|problem| {
        let what = problem.to_string();
        let fix = if what.contains(NOT_READ) {
            CORRECT_NAME.to_owned()
        } else {
            format!("See {} in docs/configuration.md", problem.name())
        };
        Finding::error(Check::Variables, what, fix)
    });
    let rest = Finding::note(
        Check::Variables,
        "The stores, the disk and Discogs were not checked",
        "They need a valid configuration: fix it first",
    );
    problems.chain([rest]).collect()
}

/// Reports the stores that the service would use, and the warnings that it would log.
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
    let usable = Finding::ok(
        Check::Variables,
        format!("The configuration is valid; the stores are {stores}"),
    );
    let warnings = config.warnings.iter().map(warning);
    [usable].into_iter().chain(warnings).chain(proxies(config)).collect()
}

/// Reports a warning, with its fix.
pub(super) fn warning(warning: &Warning) -> Finding {
    let (severity, what) = match warning {
        Warning::Careful(what) => (Severity::Warning, what),
        Warning::Alarming(what) => (Severity::Error, what),
    };
    // A warning starts with the name of its variable or file.
    let name = what.split_whitespace().next().unwrap_or_default();
    let (check, fix) = match name {
        _ if what.contains(" is used exactly like that") => (
            Check::Variables,
            format!(
                "Remove it where {name} is set, unless it belongs to the secret and every service has \
                 the same"
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
        "SSL_CERT_FILE" | "SSL_CERT_DIR" => {
            (Check::Variables, format!("Set {name} to root certificates in PEM form, or remove it"))
        }
        "RATE_LIMITS" => (Check::Variables, "Unset RATE_LIMITS, or set it to `on`".to_owned()),
        name if name.starts_with("DISCOGS_") => {
            (Check::Variables, format!("Set {name} to an address that begins with https://"))
        }
        "ENCRYPTION_MASTER_KEY" => (
            Check::EncryptionKey,
            "Move it to ENCRYPTION_MASTER_KEY_PREVIOUS, set the output of `discogsography-api keys \
             generate` as ENCRYPTION_MASTER_KEY, then run `discogsography-api keys rotate`"
                .to_owned(),
        ),
        "JWT_SECRET_KEY_PREVIOUS" => (
            Check::JwtSecret,
            "Remove it from JWT_SECRET_KEY_PREVIOUS: at the latest JWT_EXPIRE_MINUTES after no \
             service signs with it any more, it is of no use"
                .to_owned(),
        ),
        name if name == "JWT_SECRET_KEY" || name.contains('/') => (
            Check::JwtSecret,
            "Set the output of `openssl rand -hex 32` as JWT_SECRET_KEY, in every service that \
             checks tokens; all users then have to sign in again"
                .to_owned(),
        ),
        name => (Check::Variables, format!("See {name} in docs/configuration.md")),
    };
    Finding { severity, ..Finding::note(check, what, fix) }
}

/// Reports that no proxy is trusted although other machines can reach the service.
fn proxies(config: &Config) -> Option<Finding> {
    let address = config.api_address.ip();
    if !config.trusted_proxies.is_empty() || address.is_loopback() {
        return None;
    }
    Some(Finding::note(
        Check::TrustedProxies,
        format!("The API listens on {address}, and no proxy is trusted"),
        "If it is behind a reverse proxy or load balancer, name that in TRUSTED_PROXIES: all users \
         share its request limits otherwise",
    ))
}
