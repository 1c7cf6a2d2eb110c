//! Which stores are used, and where: one SQLite file, or PostgreSQL with Redis.
//!
//! The embedded default is taken only when nothing at all points to a server. A misspelt or
//! half-given database must not start on an empty file, so anything less than everything is an
//! error that names what is there and what is missing.

use std::path::PathBuf;

use redis::IntoConnectionInfo as _;
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::environment::Reader;

const POSTGRES_PORT: u16 = 5432;
const POSTGRES_ADDRESS_EXAMPLE: &str = "db.example.com:5432";
const REDIS_URL_EXAMPLE: &str = "redis://cache.example.com:6379/0";

/// Any variable with such a name says that somebody wants servers.
const SERVER_PREFIXES: [&str; 3] = ["POSTGRES_", "REDIS_", "DATABASE_URL"];

/// Where users, tokens and the OAuth state are kept.
#[derive(Debug, Clone)]
pub enum Stores {
    /// Everything in one SQLite file.
    Embedded(EmbeddedStores),
    /// PostgreSQL, and Redis for the OAuth state.
    Servers {
        /// `POSTGRES_*`
        postgres: PostgresConfig,
        /// `REDIS_URL`
        redis: RedisConfig,
    },
}

/// The folder of the embedded stores.
#[derive(Debug, Clone)]
pub struct EmbeddedStores {
    /// `DATA_DIR`
    pub data_dir: PathBuf,
}

/// How to reach PostgreSQL.
#[derive(Debug, Clone)]
pub struct PostgresConfig {
    /// Host name or IP address of `POSTGRES_ADDRESS`.
    pub host: String,
    /// Port of `POSTGRES_ADDRESS`.
    pub port: u16,
    /// `POSTGRES_USERNAME`
    pub username: String,
    /// `POSTGRES_PASSWORD`
    pub password: SecretString,
    /// `POSTGRES_DATABASE`
    pub database: String,
    /// `POSTGRES_STATEMENTS`
    pub statements: StatementNames,
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
    /// `REDIS_URL`, which may carry a password.
    pub url: SecretString,
    /// Stands before every key; empty but in tests, which share a server.
    pub namespace: String,
}

impl EmbeddedStores {
    /// The SQLite file.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.data_dir.join("discogsography.db")
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
    let embedded = Stores::Embedded(EmbeddedStores { data_dir });
    let present = asking_for_servers(reader);
    if present.is_empty() {
        return embedded;
    }
    if present.contains(&"DATABASE_URL") {
        reader.problem(
            "DATABASE_URL",
            "is not read; give POSTGRES_ADDRESS, POSTGRES_USERNAME, POSTGRES_PASSWORD and \
             POSTGRES_DATABASE instead",
            POSTGRES_ADDRESS_EXAMPLE,
        );
    }
    let asked_for_by = present.join(", ");
    let postgres = read_postgres(reader, &asked_for_by);
    let redis = read_redis(reader, &asked_for_by);
    match (postgres, redis) {
        (Some(postgres), Some(redis)) => Stores::Servers { postgres, redis },
        // The problems that were noted end the start.
        _ => embedded,
    }
}

fn read_postgres(reader: &mut Reader<'_>, asked_for_by: &str) -> Option<PostgresConfig> {
    let address = reader.parsed("POSTGRES_ADDRESS", POSTGRES_ADDRESS_EXAMPLE, parse_address);
    let username = reader.secret_text("POSTGRES_USERNAME");
    let password = reader.secret("POSTGRES_PASSWORD");
    let database = reader.text("POSTGRES_DATABASE");
    let statements = reader.parsed("POSTGRES_STATEMENTS", "unnamed", parse_statements);
    let why = format!("belongs to PostgreSQL, which {asked_for_by} asks for");
    for (name, is_missing, example) in [
        ("POSTGRES_ADDRESS", address.is_none(), POSTGRES_ADDRESS_EXAMPLE),
        ("POSTGRES_USERNAME", username.is_none(), "discogsography"),
        ("POSTGRES_PASSWORD", password.is_none(), "a long random one"),
        ("POSTGRES_DATABASE", database.is_none(), "discogsography"),
    ] {
        if is_missing {
            reader.missing(name, &why, example);
        }
    }
    let (host, port) = address?;
    let database = database?.to_owned();
    let (username, password) = (username?, password?);
    let statements = statements.unwrap_or(StatementNames::Named);
    Some(PostgresConfig { host, port, username, password, database, statements })
}

fn read_redis(reader: &mut Reader<'_>, asked_for_by: &str) -> Option<RedisConfig> {
    let Some(url) = read_redis_url(reader) else {
        let why = format!(
            "is needed with PostgreSQL, which {asked_for_by} asks for: replicas share the OAuth \
             state through it"
        );
        reader.missing("REDIS_URL", &why, REDIS_URL_EXAMPLE);
        return None;
    };
    Some(RedisConfig { url, namespace: String::new() })
}

fn parse_statements(value: &str) -> Result<StatementNames, String> {
    match value.to_ascii_lowercase().as_str() {
        "named" => Ok(StatementNames::Named),
        "unnamed" => Ok(StatementNames::Unnamed),
        _ => Err("is neither named nor unnamed".to_owned()),
    }
}

/// Reads `host:port`, `host`, `[IPv6]:port` or `[IPv6]`.
fn parse_address(value: &str) -> Result<(String, u16), String> {
    let (host, port) = match value.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, port)) => (host, Some(port.strip_prefix(':').ok_or("has no `:` after `]`")?)),
        None => match value.split_once(':') {
            Some((_, port)) if port.contains(':') => {
                return Err("an IPv6 address needs brackets".to_owned());
            }
            Some((host, port)) => (host, Some(port)),
            None => (value, None),
        },
    };
    let port = match port.map(str::parse) {
        None => POSTGRES_PORT,
        Some(Ok(port)) if port > 0 => port,
        Some(_) => return Err("port is not a number from 1 to 65535".to_owned()),
    };
    if host.is_empty()
        || host.contains(|character: char| character.is_whitespace() || character == '/')
    {
        return Err("host is missing or malformed".to_owned());
    }
    Ok((host.to_owned(), port))
}

fn read_redis_url(reader: &mut Reader<'_>) -> Option<SecretString> {
    let url = reader.secret_text("REDIS_URL")?;
    match check_redis_url(url.trim()) {
        Ok(()) => Some(url.trim().into()),
        // The URL may carry a password, so the value is not shown.
        Err(what) => {
            reader.problem("REDIS_URL", what, REDIS_URL_EXAMPLE);
            None
        }
    }
}

/// Checks what the library would refuse, or send to the server as it is.
fn check_redis_url(url: &str) -> Result<(), &'static str> {
    let is_redis = Url::parse(url).is_ok_and(|url| {
        matches!(url.scheme(), "redis" | "rediss")
            && url.host_str().is_some_and(|host| !host.is_empty())
    });
    if !is_redis {
        return Err("is not a URL that begins with redis:// or rediss:// and names a host");
    }
    let info = url.into_connection_info().map_err(|_| {
        "is not a URL that Redis clients know: a host and port, a user and password, the number \
         of a database, and nothing else"
    })?;
    if i32::try_from(info.redis_settings().db()).is_ok_and(|number| number >= 0) {
        Ok(())
    } else {
        Err("names a database that is no number from 0 on")
    }
}
