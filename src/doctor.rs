//! `doctor`: checks everything that the service depends on, and reports problems with their fixes.
//!
//! It changes nothing: no schema, no file, no key. Every check has a time limit and is independent
//! of the others. Findings show no secret. This module must not depend on HTTP.

mod bounded;
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
mod tls;

use crate::config::{Config, EmbeddedStores, Environment, Migrations, StoreKind, Stores};
use crate::surroundings::Surroundings;
use crate::tls::{install_provider, public_roots};
use bounded::{SERVER, in_time, on_disk};
use database::{Credentials, Inspected};

pub use report::{Area, Check, Finding, Measured, Report, Severity};

/// Checks everything, each check with a time limit. With the sandbox's store, Discogs is not called.
pub async fn examine(
    environment: &Environment,
    store: StoreKind,
    surroundings: &Surroundings,
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
            let config = match store {
                StoreKind::Real => config,
                StoreKind::Sandbox => config.in_sandbox(),
            };
            findings.extend(configuration::usable(&config));
            findings.extend(Box::pin(dependencies(config, store, surroundings)).await);
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
    let mut findings = match store {
        StoreKind::Real => Box::pin(stores_and_discogs(&config, surroundings)).await,
        StoreKind::Sandbox => Box::pin(stores(&config.stores, config.migrations)).await.0,
    };
    let strength = move || secrets::strength(&config);
    findings.extend(on_disk(strength, alone, (Check::JwtSecret, "the secrets")).await);
    findings
}

async fn stores_and_discogs(config: &Config, surroundings: &Surroundings) -> Vec<Finding> {
    let of_discogs = in_time(
        SERVER,
        discogs::discogs(&config.discogs, surroundings),
        |finding| (alone(finding), None),
        (Check::Discogs, "Discogs"),
    );
    let (of_stores, (found, way)) =
        tokio::join!(stores(&config.stores, config.migrations), of_discogs);
    let (mut findings, credentials) = of_stores;
    let keyring = keys::keyring(config, surroundings);
    findings.push(keys::key(config, &keyring));
    let credentials = keys::opened(&keyring, credentials);
    let is_reached = way.is_some();
    findings.extend(found);
    let asked = discogs::credentials(way, credentials);
    let what = (Check::AppCredentials, "the app's credentials");
    findings.push(in_time(SERVER, asked, |finding| finding, what).await);
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

async fn stores(stores: &Stores, migrations: Migrations) -> Inspected {
    match stores {
        Stores::Embedded(embedded) => files(embedded, migrations).await,
        Stores::Servers { postgres, redis } => {
            let database = in_time(
                SERVER,
                database::postgres(postgres, migrations),
                |finding| (alone(finding), Credentials::Unknown),
                (Check::Database, "PostgreSQL"),
            );
            let redis = in_time(SERVER, redis::redis(redis), alone, (Check::Redis, "Redis"));
            let ((mut findings, credentials), redis) = tokio::join!(database, redis);
            findings.extend(redis);
            (findings, credentials)
        }
    }
}

async fn files(embedded: &EmbeddedStores, migrations: Migrations) -> Inspected {
    let (folder, file, whole) = (embedded.clone(), embedded.clone(), embedded.clone());
    let (folder, (found, credentials), whole) = tokio::join!(
        on_disk(move || data_dir::data_dir(&folder), alone, (Check::DataDir, "DATA_DIR")),
        on_disk(
            move || database::sqlite(&file, migrations),
            |finding| (alone(finding), Credentials::Unknown),
            (Check::Database, "the SQLite file"),
        ),
        on_disk(
            move || Vec::from_iter(database::integrity(&whole)),
            alone,
            (Check::Integrity, "the whole SQLite file"),
        ),
    );
    ([found, whole, folder].concat(), credentials)
}

fn alone(finding: Finding) -> Vec<Finding> {
    vec![finding]
}
