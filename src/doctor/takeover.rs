//! `takeover check`: what this service would find in the stores of a Python service.
//!
//! It changes nothing, and a role that can only read is enough.

mod findings;

use std::time::Duration;

use super::bounded::{SERVER, in_time};
use super::database::{self, Credentials};
use super::inspect::{InspectionError, python_database};
use super::report::{Check, Finding, Report};
use super::{alone, configuration, discogs, keys, redis, report_on};
use crate::config::{Config, Environment, PostgresConfig, RedisConfig, Stores};
use crate::surroundings::Surroundings;

/// The limit of the checks of PostgreSQL, which read every user and every secret.
const WHOLE_DATABASE: Duration = Duration::from_secs(330);

/// Checks the configuration, and the stores and the app's credentials that it names.
pub async fn check_takeover(environment: &Environment, surroundings: &Surroundings) -> Report {
    let check = async |config: Config| {
        let mut findings = configuration::usable(&config);
        match &config.stores {
            Stores::Servers { postgres, redis } => {
                findings.extend(Box::pin(servers(postgres, redis, &config, surroundings)).await);
            }
            Stores::Embedded(_) => findings.push(Finding::error(
                Check::Variables,
                "No variable names the PostgreSQL of a Python service",
                "Set POSTGRES_HOST, REDIS_HOST and the other variables of the Python service",
            )),
        }
        findings
    };
    report_on(environment, surroundings, check).await
}

async fn servers(
    postgres: &PostgresConfig,
    redis: &RedisConfig,
    config: &Config,
    surroundings: &Surroundings,
) -> Vec<Finding> {
    let keyring = keys::keyring(config, surroundings);
    let of_discogs = in_time(
        SERVER,
        discogs::discogs(&config.discogs, surroundings),
        |finding| (alone(finding), None),
        (Check::Discogs, "Discogs"),
    );
    let database = in_time(
        WHOLE_DATABASE,
        async { python_database(postgres, &keyring).await.map_err(|it| refused(&it, postgres)) },
        Err,
        (Check::Database, "PostgreSQL"),
    );
    let of_redis = in_time(
        SERVER,
        redis::read_only(redis),
        |finding| (alone(finding), None),
        (Check::Redis, "Redis"),
    );
    let (database, (of_redis, python_keys), (of_discogs, way)) =
        tokio::join!(database, of_redis, of_discogs);
    let mut findings = vec![keys::key(config, &keyring)];
    findings.extend([of_redis, of_discogs].concat());
    let mut credentials = Credentials::Unknown;
    let mut later_python = Vec::new();
    match database {
        Ok(database) => {
            credentials = database::credentials(&database.config);
            findings.extend(findings::of_database(&database, postgres));
            findings.extend(keys::stored(&keyring, &database.secrets));
            later_python = database.later_python;
        }
        Err(finding) => findings.push(finding),
    }
    if let Some(keys) = python_keys {
        findings.extend(findings::of_redis(config.python_compat, &later_python, keys));
    }
    findings.push(discogs::credentials(way, keys::opened(&keyring, credentials)).await);
    findings
}

/// Reports why the database could not be read.
fn refused(error: &InspectionError, config: &PostgresConfig) -> Finding {
    match error {
        InspectionError::Incompatible(reason) => Finding::error(
            Check::Database,
            format!("This is not the database of a Python service: {reason}"),
            "Set POSTGRES_DATABASE to the database of the Python service",
        ),
        InspectionError::PermissionDenied(_) => Finding::error(
            Check::Database,
            format!("The role {} is not allowed to read the tables", config.username),
            format!(
                "As the owner of the tables: `grant select on all tables in schema public to \"{}\"`",
                config.username
            ),
        ),
        error => database::refused(error, config),
    }
}
