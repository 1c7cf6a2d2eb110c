//! `doctor`: checks everything that the service depends on, and reports problems with their fixes.
//!
//! It changes nothing: no schema, no file, no key. Every check has a time limit and is independent
//! of the others. Findings show no secret. `takeover` checks the stores of a Python service in the
//! same way. This module must not depend on HTTP.

mod bounded;
mod compat;
mod configuration;
mod data_dir;
mod database;
mod discogs;
mod inspect;
mod keys;
mod pretty;
mod reach;
mod redis;
mod report;
mod secrets;
mod takeover;
mod tls;

use std::sync::Arc;

use crate::config::{
    Config, EmbeddedStores, Environment, PostgresConfig, RedisConfig, StoreKind, Stores,
};
use crate::keyring::Keyring;
use crate::surroundings::Surroundings;
use crate::tls::{install_provider, public_roots};
use bounded::{SERVER, in_time, on_disk};
use database::Inspected;
use inspect::python_keys;

pub use report::{Area, Check, Finding, Measured, Report, Severity};
pub use takeover::check_takeover;

/// Checks everything, each check with a time limit. With the sandbox's store, Discogs is not called.
pub async fn examine(
    environment: &Environment,
    store: StoreKind,
    surroundings: &Surroundings,
) -> Report {
    let check = async |config: Config| {
        let config = match store {
            StoreKind::Real => config,
            StoreKind::Sandbox => config.in_sandbox(),
        };
        let mut findings = configuration::usable(&config);
        findings.extend(Box::pin(dependencies(config, store, surroundings)).await);
        findings
    };
    report_on(environment, surroundings, check).await
}

/// Checks the configuration, and what it names with `check`.
async fn report_on(
    environment: &Environment,
    surroundings: &Surroundings,
    check: impl AsyncFnOnce(Config) -> Vec<Finding>,
) -> Report {
    install_provider();
    let now = surroundings.clock.now();
    let (of_files, of_variables) = (environment.clone(), environment.clone());
    let files = (Check::SecretFiles, "the files of secrets");
    let mut findings = on_disk(move || secrets::files(&of_files), alone, files).await;
    // These read files, too, so they run on a thread.
    let load = move || {
        drop(public_roots());
        Ok(Config::load(&of_variables))
    };
    match on_disk(load, Err, (Check::Variables, "the variables and their files")).await {
        Ok(Ok(config)) => {
            findings.extend(check(config).await);
            Report::new(now, true, findings)
        }
        Ok(Err(error)) => {
            findings.extend(configuration::unusable(&error));
            Report::new(now, false, findings)
        }
        Err(unread) => {
            findings.push(unread);
            Report::new(now, false, findings)
        }
    }
}

/// Checks the configured servers and files concurrently.
async fn dependencies(
    config: Config,
    store: StoreKind,
    surroundings: &Surroundings,
) -> Vec<Finding> {
    let keyring = Arc::new(keys::keyring(&config, surroundings));
    let mut findings = match store {
        StoreKind::Real => Box::pin(stores_and_discogs(&config, &keyring, surroundings)).await,
        StoreKind::Sandbox => Box::pin(stores(&config, &keyring)).await.findings,
    };
    let strength = move || secrets::strength(&config);
    findings.extend(on_disk(strength, alone, (Check::JwtSecret, "the secrets")).await);
    findings
}

async fn stores_and_discogs(
    config: &Config,
    keyring: &Arc<Keyring>,
    surroundings: &Surroundings,
) -> Vec<Finding> {
    let of_discogs = in_time(
        SERVER,
        discogs::discogs(&config.discogs, surroundings),
        |finding| (alone(finding), None),
        (Check::Discogs, "Discogs"),
    );
    let (inspected, (of_discogs, way)) = tokio::join!(stores(config, keyring), of_discogs);
    let Inspected { mut findings, credentials, secrets, .. } = inspected;
    findings.push(keys::key(config, keyring));
    findings.extend(secrets.iter().flat_map(|secrets| keys::stored(keyring, secrets)));
    findings.extend(of_discogs);
    let is_reached = way.is_some();
    findings.push(discogs::credentials(way, keys::opened(keyring, credentials)).await);
    if !is_reached && has_only_a_sandbox(&config.stores).await {
        findings.iter_mut().for_each(discogs::suggest_sandbox);
    }
    findings
}

/// Whether `serve --sandbox` has run on the embedded store, but not `serve`.
async fn has_only_a_sandbox(stores: &Stores) -> bool {
    let Stores::Embedded(embedded) = stores else { return false };
    let (real, sandbox) = (embedded.database(), embedded.sandbox());
    let is_sandbox_alone = move || sandbox.is_dir() && !real.exists();
    on_disk(is_sandbox_alone, |_| false, (Check::DataDir, "DATA_DIR")).await
}

async fn stores(config: &Config, keyring: &Arc<Keyring>) -> Inspected {
    match &config.stores {
        Stores::Embedded(embedded) => files(embedded, config, keyring).await,
        Stores::Servers { postgres, redis } => servers(postgres, redis, config, keyring).await,
    }
}

async fn servers(
    postgres: &PostgresConfig,
    redis: &RedisConfig,
    config: &Config,
    keyring: &Keyring,
) -> Inspected {
    let database = in_time(
        SERVER,
        database::postgres(postgres, config.migrations, keyring),
        |finding| alone(finding).into(),
        (Check::Database, "PostgreSQL"),
    );
    let of_redis = in_time(SERVER, redis::redis(redis), alone, (Check::Redis, "Redis"));
    let (mut inspected, of_redis, keys) = tokio::join!(database, of_redis, python_keys(redis));
    inspected.findings.extend(of_redis);
    let compat = match keys {
        Ok(keys) => compat::python_compat(config.python_compat, &inspected.later_python, keys),
        Err(error) => compat::unknown(&error),
    };
    inspected.findings.push(compat);
    inspected
}

async fn files(embedded: &EmbeddedStores, config: &Config, keyring: &Arc<Keyring>) -> Inspected {
    let (folder, file, whole) = (embedded.clone(), embedded.clone(), embedded.clone());
    let (migrations, keyring) = (config.migrations, Arc::clone(keyring));
    let (folder, mut inspected, whole) = tokio::join!(
        on_disk(move || data_dir::data_dir(&folder), alone, (Check::DataDir, "DATA_DIR")),
        on_disk(
            move || database::sqlite(&file, migrations, &keyring),
            |finding| alone(finding).into(),
            (Check::Database, "the SQLite file"),
        ),
        on_disk(
            move || Vec::from_iter(database::integrity(&whole)),
            alone,
            (Check::Integrity, "the whole SQLite file"),
        ),
    );
    inspected.findings.extend([whole, folder].concat());
    inspected
}

fn alone(finding: Finding) -> Vec<Finding> {
    vec![finding]
}
