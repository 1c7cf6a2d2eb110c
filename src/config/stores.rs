//! Which stores are used, and where: one SQLite file, or PostgreSQL with Redis.
//!
//! The embedded default is taken only when nothing at all points to a server. A misspelt or
//! half-given database must not start on an empty file, so anything less than everything is an
//! error that names what is there and what is missing.

mod address;
mod agreement;
mod database_url;
mod postgres;
mod redis;
mod tls;
mod url_parameters;

use std::path::PathBuf;

use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::Warning;
use super::reader::Reader;

pub use tls::{PostgresTls, RootCertificates};

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
    /// `application_name` of `DATABASE_URL`
    pub application_name: Box<str>,
    /// `channel_binding` of `DATABASE_URL`
    pub channel_binding: ChannelBinding,
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
    /// Each time, for poolers that give each transaction another connection.
    Unnamed,
}

/// Whether the sign-in proves that nobody sits between us and the server (RFC 5802 section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChannelBinding {
    /// Never.
    Disable,
    /// Where the server can.
    Prefer,
    /// Always; a server that can't is refused.
    Require,
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

    /// The folder of `serve --sandbox`, whose store is apart from this one.
    #[must_use]
    pub fn sandbox(&self) -> PathBuf {
        self.data_dir.join("sandbox")
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

pub(super) fn read(reader: &mut Reader<'_>) -> Stores {
    let data_dir = reader.text("DATA_DIR").unwrap_or("./data");
    if data_dir.contains('$') {
        let what = "DATA_DIR contains `$`, which nothing replaces: it is part of the folder's name";
        reader.warn(Warning::Careful(what.to_owned()));
    }
    let data_dir = PathBuf::from(data_dir);
    let embedded = Stores::Embedded(EmbeddedStores { data_dir, if_lost: IfLost::Refuse });
    let present = reader.asking_for_servers();
    if present.is_empty() {
        // An environment that lost its values must not start on an empty file either.
        for name in reader.empty_of_stores() {
            let what = "is set but empty: give it a value, or remove it to use the embedded store";
            reader.problem(name, what, None);
        }
        return embedded;
    }
    if let Some(first) = present.first().filter(|_| are_of_kubernetes(reader, &present)) {
        reader.problem(
            first,
            "is set by Kubernetes for a Service of that name and does not name a database: set \
             POSTGRES_ADDRESS, or `enableServiceLinks: false` in the pod",
            Some("POSTGRES_ADDRESS=postgres:5432"),
        );
        return embedded;
    }
    let because = because_set(&present);
    let postgres = postgres::read(reader, &because);
    let redis = redis::read(reader, &because);
    match (postgres, redis) {
        (Some(postgres), Some(redis)) => Stores::Servers { postgres, redis },
        // The problems that were noted end the start.
        _ => embedded,
    }
}

/// Says why something is needed: "because A and B are set".
fn because_set(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [name] => format!("because {name} is set"),
        [names @ .., last] => format!("because {} and {last} are set", names.join(", ")),
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
