//! Which stores are used, and where: one SQLite file, or PostgreSQL with Redis.
//!
//! The embedded default is taken only when nothing at all points to a server. A misspelt or
//! half-given database must not start on an empty file, so anything less than everything is an
//! error that names what is there and what is missing.

mod address;
mod database_url;
mod given;
mod postgres;
mod redis;
mod tls;

use std::path::PathBuf;

use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::environment::Reader;

pub use tls::{PostgresTls, RootCertificates};

/// Any variable with such a name says that somebody wants servers.
const SERVER_PREFIXES: [&str; 3] = ["POSTGRES_", "REDIS_", "DATABASE_URL"];

/// Where users, tokens and the OAuth state are kept.
#[derive(Debug, Clone)]
pub enum Stores {
    /// Everything in one SQLite file.
    Embedded(EmbeddedStores),
    /// PostgreSQL, and Redis for the OAuth state.
    Servers {
        /// `POSTGRES_*` and `DATABASE_URL`
        postgres: PostgresConfig,
        /// `REDIS_*`
        redis: RedisConfig,
    },
}

/// Which embedded store a command is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreKind {
    /// The one in `DATA_DIR`.
    Real,
    /// That of `serve --sandbox`, so that nothing made up is found in the real one.
    Sandbox,
}

/// The folder of the embedded stores.
#[derive(Debug, Clone)]
pub struct EmbeddedStores {
    /// `DATA_DIR`
    pub data_dir: PathBuf,
    /// What a start does if the database is lost.
    pub if_lost: IfLost,
}

/// What a start does if the folder says that a service has run, and the database is missing or empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfLost {
    /// Nothing is made, and nothing works until a backup is restored.
    Refuse,
    /// `serve --new-database`: a new database is made.
    StartAfresh,
}

/// How to reach PostgreSQL.
#[derive(Debug, Clone)]
pub struct PostgresConfig {
    /// Host name or IP address.
    pub host: String,
    /// `POSTGRES_PORT`, or what follows the host.
    pub port: u16,
    /// `POSTGRES_USERNAME`
    pub username: String,
    /// `POSTGRES_PASSWORD`
    pub password: SecretString,
    /// `POSTGRES_DATABASE`
    pub database: String,
    /// `POSTGRES_SSLMODE` with `POSTGRES_SSLROOTCERT`
    pub tls: PostgresTls,
    /// `POSTGRES_STATEMENTS`
    pub statements: StatementNames,
}

impl PostgresConfig {
    /// Host and port, as in a URL.
    #[must_use]
    pub fn address(&self) -> String {
        format!("{}:{}", address::in_url(&self.host), self.port)
    }
}

/// Whether statements are prepared by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatementNames {
    /// Once for each connection.
    Named,
    /// Anew each time, for poolers that give each transaction another connection.
    Unnamed,
}

/// How to reach Redis.
#[derive(Debug, Clone)]
pub struct RedisConfig {
    /// `REDIS_URL`, or what `REDIS_HOST` and the others make of it; may carry a password.
    pub url: SecretString,
    /// `REDIS_SSLROOTCERT`: whom to trust with `rediss://`; `None` for the roots that everybody has.
    pub roots: Option<RootCertificates>,
    /// Stands before every key; empty but in tests, which share a server.
    pub namespace: String,
}

impl EmbeddedStores {
    /// The SQLite file.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.data_dir.join("discogsography.db")
    }

    /// The file that a running service keeps locked.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.data_dir.join("discogsography.lock")
    }

    /// The file that is there until the first start has committed its database.
    #[must_use]
    pub fn first_start(&self) -> PathBuf {
        self.data_dir.join("first-start")
    }

    /// The file of the secret that was made for `JWT_SECRET_KEY`.
    #[must_use]
    pub fn jwt_secret(&self) -> PathBuf {
        self.data_dir.join("jwt-secret")
    }
}

impl RedisConfig {
    /// `host:port`, without what is secret.
    #[must_use]
    pub fn address(&self) -> String {
        let Ok(url) = Url::parse(self.url.expose_secret()) else {
            return String::new();
        };
        format!("{}:{}", url.host_str().unwrap_or_default(), url.port().unwrap_or(6379))
    }
}

/// The variables that say that somebody wants servers, whether they are enough or not.
pub(super) fn asking_for_servers<'a>(reader: &Reader<'a>) -> Vec<&'a str> {
    reader.names_beginning_with(&SERVER_PREFIXES)
}

pub(super) fn read(reader: &mut Reader<'_>) -> Stores {
    let data_dir = reader.text("DATA_DIR").map_or_else(|| PathBuf::from("./data"), PathBuf::from);
    let embedded = Stores::Embedded(EmbeddedStores { data_dir, if_lost: IfLost::Refuse });
    let present = asking_for_servers(reader);
    if present.is_empty() {
        return embedded;
    }
    if let Some(first) = present.first().filter(|_| are_of_kubernetes(reader, &present)) {
        reader.problem(
            first,
            "and its like say that Kubernetes has a Service of that name, not where the database \
             is: set `enableServiceLinks: false` in the pod",
            "POSTGRES_ADDRESS=postgres:5432",
        );
        return embedded;
    }
    let asked_for_by = present.join(", ");
    let postgres = postgres::read(reader, &asked_for_by);
    let redis = redis::read(reader, &asked_for_by);
    match (postgres, redis) {
        (Some(postgres), Some(redis)) => Stores::Servers { postgres, redis },
        // The problems that were noted end the start.
        _ => embedded,
    }
}

/// Whether Kubernetes may have set them all: `POSTGRES_SERVICE_HOST`, `REDIS_PORT_6379_TCP`, or a
/// port that holds no port and so counts as not set.
fn are_of_kubernetes(reader: &Reader<'_>, names: &[&str]) -> bool {
    names.iter().all(|name| {
        let is_unread = reader.text(name).is_none() && !reader.has_problem_with(name);
        let is_link = name.ends_with("_PORT") && is_unread;
        is_link || name.contains("_SERVICE_") || name.contains("_PORT_")
    })
}
