//! Which stores are used, and where: one SQLite file, or PostgreSQL with Redis.
//!
//! The embedded store is used only if no variable points to a server. A misspelt or incomplete
//! database setting must not make the service start on an empty file: it is an error, which names
//! what is set and what is missing.

mod address;
mod database_url;
mod postgres;
mod redis;
mod tls;
mod url_parameters;

use std::path::PathBuf;

use env_config::{Reader, Warning};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::misspelt::{asking_for_servers, is_of_stores};
use super::variables::DATA_DIR;

pub(super) use address::{Address, parse_address, parse_server_port, parse_store_host};
pub(super) use database_url::{DatabaseUrl, parse_database_url};
pub(super) use postgres::parse_statements;
pub(super) use redis::{RedisUrl, parse_redis_url};
pub(super) use tls::{Mode, parse_mode};
pub use tls::{PostgresTls, RootCertificates};

/// Where users, Discogs tokens and flows are stored.
#[derive(Debug, Clone)]
pub enum Stores {
    /// Everything in one SQLite file.
    Embedded(EmbeddedStores),
    /// PostgreSQL for users, and Redis for flows and request counts.
    Servers {
        /// `POSTGRES_*` and `DATABASE_URL`
        postgres: PostgresConfig,
        /// `REDIS_*`
        redis: RedisConfig,
    },
}

/// Which embedded store a command uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreKind {
    /// The one in `DATA_DIR`.
    Real,
    /// The one of `serve --sandbox`, which keeps made-up data separate.
    Sandbox,
}

/// The folder of the embedded stores.
#[derive(Debug, Clone)]
pub struct EmbeddedStores {
    /// `DATA_DIR`
    pub data_dir: PathBuf,
    /// What happens at startup if the database is lost.
    pub if_lost: IfLost,
}

/// What to do at startup if a database was here before, and is missing or empty now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfLost {
    /// The start fails until a backup is restored.
    Refuse,
    /// A new database is created (`serve --new-database`).
    StartAfresh,
}

/// How to reach PostgreSQL.
#[derive(Debug, Clone)]
pub struct PostgresConfig {
    /// Host name or IP address.
    pub host: String,
    /// `POSTGRES_PORT`, or the port after the host.
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
    /// Returns host and port, as in a URL.
    #[must_use]
    pub fn address(&self) -> String {
        format!("{}:{}", address::in_url(&self.host), self.port)
    }
}

/// Whether prepared statements have names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatementNames {
    /// Prepared once per connection.
    Named,
    /// Prepared for each execution, for poolers that share connections.
    Unnamed,
}

/// Whether the sign-in rules out a man in the middle (RFC 5802 section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChannelBinding {
    /// Never.
    Disable,
    /// If the server supports it.
    Prefer,
    /// Always; a server that does not support it is refused.
    Require,
}

/// How to reach Redis.
#[derive(Debug, Clone)]
pub struct RedisConfig {
    /// `REDIS_URL`, or built from `REDIS_HOST` and the others; may contain a password.
    pub url: SecretString,
    /// `REDIS_SSLROOTCERT`: the roots for `rediss://`; `None` for the system's roots.
    pub roots: Option<RootCertificates>,
    /// A prefix of every key; empty except in tests, which share a server.
    pub namespace: String,
}

impl EmbeddedStores {
    /// The SQLite file.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.data_dir.join("discogsography.db")
    }

    /// The folder of `serve --sandbox`, which has a store of its own.
    #[must_use]
    pub fn sandbox(&self) -> PathBuf {
        self.data_dir.join("sandbox")
    }

    /// The file that a running service keeps locked.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.data_dir.join("discogsography.lock")
    }

    /// The file that exists until the first start has committed its database.
    #[must_use]
    pub fn first_start(&self) -> PathBuf {
        self.data_dir.join("first-start")
    }

    /// The file of the key that was generated for `ENCRYPTION_MASTER_KEY`.
    #[must_use]
    pub fn master_key(&self) -> PathBuf {
        self.data_dir.join("master-key")
    }

    /// The file of the secret that was generated for `JWT_SECRET_KEY`.
    #[must_use]
    pub fn jwt_secret(&self) -> PathBuf {
        self.data_dir.join("jwt-secret")
    }
}

impl RedisConfig {
    /// `host:port`, without the password.
    #[must_use]
    pub fn address(&self) -> String {
        let Ok(url) = Url::parse(self.url.expose_secret()) else {
            return String::new();
        };
        format!("{}:{}", url.host_str().unwrap_or_default(), url.port().unwrap_or(6379))
    }
}

pub(super) fn read(reader: &mut Reader<'_>) -> Option<Stores> {
    let data_dir = reader.value(&DATA_DIR);
    if data_dir.as_ref().is_some_and(|path| path.contains('$')) {
        let what = "DATA_DIR contains `$`. Variables in it are not expanded: the `$` is part of the folder's name";
        reader.warn(Warning::Careful(what.to_owned()));
    }
    let present = asking_for_servers(reader);
    if present.is_empty() {
        refuse_lost_values(reader);
        let embedded = EmbeddedStores { data_dir: data_dir?.into(), if_lost: IfLost::Refuse };
        return Some(Stores::Embedded(embedded));
    }
    if let Some(first) = present.first().filter(|_| are_of_kubernetes(reader, &present)) {
        reader.problem(
            first,
            "is set by Kubernetes for a Service of that name and does not name a database: set \
             POSTGRES_ADDRESS, or `enableServiceLinks: false` in the pod",
            Some("POSTGRES_ADDRESS=postgres:5432"),
        );
        return None;
    }
    let because = because_set(&present);
    let postgres = postgres::read(reader, &because);
    let redis = redis::read(reader, &because);
    Some(Stores::Servers { postgres: postgres?, redis: redis? })
}

/// Reports variables of the stores that are set but empty.
///
/// If the variables have lost their values, the service must not start with a new, empty database.
fn refuse_lost_values(reader: &mut Reader<'_>) {
    for name in reader.environment().empty().filter(|name| is_of_stores(name)) {
        let what = "is set but empty: give it a value, or remove it to use the embedded store";
        reader.problem(name, what, None);
    }
}

/// Explains why a value is required: "because A and B are set".
fn because_set(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [name] => format!("because {name} is set"),
        [names @ .., last] => format!("because {} and {last} are set", names.join(", ")),
    }
}

/// Whether all `names` look like variables that Kubernetes sets.
///
/// Those are names like `POSTGRES_SERVICE_HOST` and `REDIS_PORT_6379_TCP`, and `…_PORT` with a URL.
fn are_of_kubernetes(reader: &Reader<'_>, names: &[&str]) -> bool {
    names.iter().all(|name| {
        let is_unread = reader.text(name).is_none() && !reader.has_problem_with(name);
        let is_link = name.ends_with("_PORT") && is_unread;
        is_link || name.contains("_SERVICE_") || name.contains("_PORT_")
    })
}
