//! The configuration: the only reader of the environment.
//!
//! [`Config::load`] reads everything before it reports, so that one run names every problem. It opens
//! nothing but the files that `…_FILE` and `…_SSLROOTCERT` variables name. This module must not
//! depend on the rest of the service, except for the rules of an email address and a password.

mod discogs;
mod encryption;
mod first_admin;
mod limits;
mod misspelt;
mod parsers;
mod stores;
mod system_roots;
mod token_secrets;
mod variables;
mod weak_secret;

use std::net::SocketAddr;
use std::time::Duration;

use env_config::{Problems, Reader};
use ipnet::IpNet;
use private_files::small;
use secrecy::SecretString;
use thiserror::Error;
use url::Url;

pub use discogs::{DiscogsConfig, DiscogsProxy};
pub use encryption::EncryptionKeys;
pub use env_config::{Environment, Problem, Warning};
pub use first_admin::FirstAdmin;
pub use limits::{Budget, Budgets, RateLimits};
pub use stores::{
    ChannelBinding, EmbeddedStores, IfLost, PostgresConfig, PostgresTls, RedisConfig,
    RootCertificates, StatementNames, StoreKind, Stores,
};
pub use system_roots::system_roots_are_readable;
pub(crate) use token_secrets::repeated_secret;
pub use variables::{GROUPS, VARIABLES};
pub(crate) use weak_secret::weak_secret;

/// The checked configuration: everything that an operator can set.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where users, tokens and the OAuth state are kept.
    pub stores: Stores,
    /// `JWT_SECRET_KEY`; `None` only with the embedded stores, which make one.
    pub jwt_secret_key: Option<SecretString>,
    /// `JWT_SECRET_KEY_PREVIOUS`: secrets whose access tokens are still accepted.
    pub jwt_secret_key_previous: Vec<SecretString>,
    /// `JWT_EXPIRE_MINUTES`
    pub access_token_life: Duration,
    /// `ENCRYPTION_*`
    pub encryption: EncryptionKeys,
    /// `ADMIN_EMAIL` with `ADMIN_PASSWORD`
    pub first_admin: Option<FirstAdmin>,
    /// `DISCOGS_*`, and `HTTPS_PROXY` with `NO_PROXY`
    pub discogs: DiscogsConfig,
    /// `API_HOST` with `API_PORT`
    pub api_address: SocketAddr,
    /// `API_HOST` with `API_HEALTH_PORT`
    pub health_address: SocketAddr,
    /// `KEEP_ALIVE_SECONDS`: how long an idle connection is kept open.
    pub keep_alive: Duration,
    /// `DRAIN_SECONDS`: how long requests are still accepted after a stop signal.
    pub drain_time: Duration,
    /// `CORS_ORIGINS`
    pub cors_origins: CorsOrigins,
    /// `WEB_PAGE`
    pub web_page: WebPage,
    /// `APP_BASE_URL`: the front end to which the account page links.
    pub app_base_url: Option<Url>,
    /// `PYTHON_COMPAT`
    pub python_compat: PythonCompat,
    /// `RATE_LIMITS` and `RATE_LIMIT_*`
    pub rate_limits: RateLimits,
    /// `TRUSTED_PROXIES`
    pub trusted_proxies: Vec<IpNet>,
    /// `AUTO_MIGRATE`
    pub migrations: Migrations,
    /// `LOG_LEVEL`
    pub log_level: LogLevel,
    /// `LOG_FORMAT`
    pub log_format: LogFormat,
    /// Warnings for the operator, logged at startup.
    pub warnings: Vec<Warning>,
}

/// Every problem with a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}\nEvery variable is described in docs/configuration.md.")]
pub struct ConfigError(Problems);

/// Which web pages may call the API from a browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CorsOrigins {
    /// `*`
    Any,
    /// These origins, as browsers write them: `https://explore.example.com`.
    Only(Vec<String>),
}

/// Whether the account page is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebPage {
    /// At `/`.
    On,
    /// Not at all.
    Off,
}

/// Whether a newer Python service runs on the same stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PythonCompat {
    /// Its revoked tokens are refused, and each service can finish the other's flows.
    On,
    /// No such service is expected.
    Off,
}

/// Whether `serve` brings the schema up to date by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Migrations {
    /// At every startup.
    Automatic,
    /// Only by the command `migrate`.
    Manual,
}

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// Only errors; Python's `CRITICAL` means the same here.
    Error,
    /// Also what is degraded or insecure.
    Warning,
    /// Also one line per request.
    Info,
    /// Also the probes of the health routes.
    Debug,
    /// Everything.
    Trace,
}

/// The format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Pretty on a terminal, JSON elsewhere.
    Auto,
    /// One JSON object a line.
    Json,
    /// Text for people.
    Pretty,
}

impl ConfigError {
    /// Every problem: first unknown names, then variables in their documented order.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        self.0.as_slice()
    }
}

impl Config {
    /// Reads the whole configuration.
    ///
    /// # Errors
    ///
    /// Every problem, not only the first.
    pub fn load(environment: &Environment) -> Result<Self, ConfigError> {
        let mut reader = Reader::new(environment, VARIABLES, small::read_text);
        misspelt::note(&mut reader);
        let config = read(&mut reader);
        system_roots::check(&mut reader, environment);
        let (config, warnings) = reader.finish(config).map_err(ConfigError)?;
        Ok(Self { warnings, ..config })
    }

    /// Returns this configuration with the store of `serve --sandbox`.
    #[must_use]
    pub fn in_sandbox(mut self) -> Self {
        if let Stores::Embedded(embedded) = &mut self.stores {
            embedded.data_dir = embedded.sandbox();
        }
        self
    }
}

/// Returns `None` if anything is wrong, but only after reading everything.
fn read(reader: &mut Reader<'_>) -> Option<Config> {
    let stores = stores::read(reader);
    let addresses = read_addresses(reader);
    let (jwt_secret_key, jwt_secret_key_previous) = token_secrets::read(reader);
    let access_token_life = reader.value(&variables::JWT_EXPIRE_MINUTES);
    let encryption = encryption::read(reader);
    let first_admin = first_admin::read(reader);
    let discogs = discogs::read(reader);
    let keep_alive = reader.value(&variables::KEEP_ALIVE_SECONDS);
    let drain_time = reader.value(&variables::DRAIN_SECONDS);
    let cors_origins = reader.value(&variables::CORS_ORIGINS);
    let has_web_page = reader.value(&variables::WEB_PAGE);
    let app_base_url = reader.value(&variables::APP_BASE_URL);
    let python_compat = read_python_compat(reader);
    let rate_limits = limits::read(reader);
    let trusted_proxies = limits::read_proxies(reader);
    let migrates = reader.value(&variables::AUTO_MIGRATE);
    let log_level = reader.value(&variables::LOG_LEVEL);
    let log_format = reader.value(&variables::LOG_FORMAT);
    let (api_address, health_address) = addresses?;
    Some(Config {
        stores: stores?,
        jwt_secret_key,
        jwt_secret_key_previous,
        access_token_life: access_token_life?,
        encryption: encryption?,
        first_admin,
        discogs: discogs?,
        api_address,
        health_address,
        keep_alive: keep_alive?,
        drain_time: drain_time?,
        cors_origins: cors_origins?,
        web_page: if has_web_page? { WebPage::On } else { WebPage::Off },
        app_base_url,
        python_compat: python_compat?,
        rate_limits: rate_limits?,
        trusted_proxies,
        migrations: if migrates? { Migrations::Automatic } else { Migrations::Manual },
        log_level: log_level?,
        log_format: log_format?,
        warnings: Vec::new(),
    })
}

fn read_addresses(reader: &mut Reader<'_>) -> Option<(SocketAddr, SocketAddr)> {
    let host = reader.value(&variables::API_HOST);
    let api = reader.value(&variables::API_PORT);
    let health = reader.value(&variables::API_HEALTH_PORT);
    if api.is_some_and(|port| port != 0) && api == health {
        reader.invalid(&variables::API_HEALTH_PORT, "is the same as API_PORT");
    }
    Some((SocketAddr::new(host?, api?), SocketAddr::new(host?, health?)))
}

fn read_python_compat(reader: &mut Reader<'_>) -> Option<PythonCompat> {
    if !reader.value(&variables::PYTHON_COMPAT)? {
        return Some(PythonCompat::Off);
    }
    if misspelt::asking_for_servers(reader).is_empty() {
        let what = "is on, but there is no Redis: set PYTHON_COMPAT=off, or set REDIS_URL to the \
                    Redis of the Python service";
        let example = Some("REDIS_URL=redis://cache.example.com:6379/0");
        reader.problem(variables::PYTHON_COMPAT.declaration.name, what, example);
    }
    Some(PythonCompat::On)
}
