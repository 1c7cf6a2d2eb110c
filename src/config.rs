//! The configuration: the only reader of the environment.
//!
//! [`Config::load`] looks at everything before it says anything, so that one run names every
//! problem. It opens nothing but the files that `…_FILE` and `…_SSLROOTCERT` variables name. Must
//! not know the rest of the service, but for the rules of what a user may be.

mod discogs;
mod environment;
mod first_admin;
mod limits;
mod misspelt;
mod problem;
mod reader;
mod shown;
mod stores;
mod system_roots;
mod variables;
mod warning;
mod wrapped;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use ipnet::IpNet;
use secrecy::SecretString;
use url::Url;

use reader::Reader;

pub use discogs::{DiscogsConfig, DiscogsProxy};
pub use environment::Environment;
pub use first_admin::FirstAdmin;
pub use limits::{Budget, Budgets, RateLimits};
pub use problem::{ConfigError, Problem};
pub use stores::{
    ChannelBinding, EmbeddedStores, IfLost, PostgresConfig, PostgresTls, RedisConfig,
    RootCertificates, StatementNames, StoreKind, Stores,
};
pub use system_roots::system_roots_are_readable;
pub use variables::{VARIABLES, Variable};
pub use warning::Warning;

const MINUTE: u64 = 60;
const YEAR_IN_MINUTES: u64 = 525_600;

/// Everything that an operator can set, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where users, tokens and the OAuth state are kept.
    pub stores: Stores,
    /// `JWT_SECRET_KEY`; `None` only with the embedded stores, which make one.
    pub jwt_secret_key: Option<SecretString>,
    /// `JWT_EXPIRE_MINUTES`
    pub access_token_life: Duration,
    /// `ADMIN_EMAIL` with `ADMIN_PASSWORD`
    pub first_admin: Option<FirstAdmin>,
    /// `DISCOGS_*`, and `HTTPS_PROXY` with `NO_PROXY`
    pub discogs: DiscogsConfig,
    /// `API_HOST` with `API_PORT`
    pub api_address: SocketAddr,
    /// `API_HOST` with `API_HEALTH_PORT`
    pub health_address: SocketAddr,
    /// `KEEP_ALIVE_SECONDS`: how long a connection is kept that waits for its next request.
    pub keep_alive: Duration,
    /// `DRAIN_SECONDS`: for how long requests are still accepted after a signal to stop.
    pub drain_time: Duration,
    /// `CORS_ORIGINS`
    pub cors_origins: CorsOrigins,
    /// `WEB_PAGE`
    pub web_page: WebPage,
    /// `APP_BASE_URL`: the front end to which the account page links.
    pub app_base_url: Option<Url>,
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
    /// What the operator should hear about at start, though it is no error.
    pub warnings: Vec<Warning>,
}

/// Which web pages may call the API from a browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CorsOrigins {
    /// `*`
    Any,
    /// These, each as a browser writes it: `https://explore.example.com`.
    Only(Vec<String>),
}

/// Whether the account page is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebPage {
    /// At `/`.
    On,
    /// Only the API is.
    Off,
}

/// Whether `serve` brings the schema up to date by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Migrations {
    /// At every start.
    Automatic,
    /// Only the command `migrate` does.
    Manual,
}

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// Errors only; Python's `CRITICAL` means the same here.
    Error,
    /// And what is degraded or insecure.
    Warning,
    /// And one line per request.
    Info,
    /// And the probes of the health routes.
    Debug,
    /// Everything.
    Trace,
}

/// What a log line looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Pretty on a terminal, JSON elsewhere.
    Auto,
    /// One JSON object a line.
    Json,
    /// For people.
    Pretty,
}

impl Config {
    /// Reads the whole configuration.
    ///
    /// # Errors
    ///
    /// With every problem there is, not only the first.
    pub fn load(environment: &Environment) -> Result<Self, ConfigError> {
        let mut reader = Reader::new(environment);
        let stores = stores::read(&mut reader);
        let discogs = discogs::read(&mut reader);
        let host = reader.parsed("API_HOST", "0.0.0.0", parse_host);
        let host = host.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let mut port = |name, example, default| {
            let port = reader.parsed(name, example, parse_port).unwrap_or(default);
            SocketAddr::new(host, port)
        };
        let api_address = port("API_PORT", "8004", 8004);
        let health_address = port("API_HEALTH_PORT", "8005", 8005);
        if api_address.port() == health_address.port() && api_address.port() != 0 {
            reader.clash("API_HEALTH_PORT", "API_PORT", "8005");
        }
        let jwt_secret_key = read_jwt_secret_key(&mut reader);
        let config = Self {
            stores,
            jwt_secret_key,
            access_token_life: reader
                .parsed("JWT_EXPIRE_MINUTES", "1440", parse_minutes)
                .unwrap_or(Duration::from_secs(24 * 60 * MINUTE)),
            first_admin: first_admin::read(&mut reader),
            discogs,
            api_address,
            health_address,
            keep_alive: reader
                .parsed("KEEP_ALIVE_SECONDS", "75", |value| parse_seconds(value, 1..=3600))
                .unwrap_or(Duration::from_secs(75)),
            drain_time: reader
                .parsed("DRAIN_SECONDS", "10", |value| parse_seconds(value, 0..=600))
                .unwrap_or(Duration::ZERO),
            cors_origins: reader
                .parsed("CORS_ORIGINS", "https://explore.example.com", parse_origins)
                .unwrap_or(CorsOrigins::Any),
            web_page: match reader.parsed("WEB_PAGE", "on", parse_switch) {
                Some(true) | None => WebPage::On,
                Some(false) => WebPage::Off,
            },
            app_base_url: reader.parsed(
                "APP_BASE_URL",
                "https://explore.example.com",
                discogs::parse_http_url,
            ),
            rate_limits: limits::read(&mut reader),
            trusted_proxies: limits::read_proxies(&mut reader),
            migrations: match reader.parsed("AUTO_MIGRATE", "on", parse_switch) {
                Some(true) | None => Migrations::Automatic,
                Some(false) => Migrations::Manual,
            },
            log_level: reader.parsed("LOG_LEVEL", "INFO", parse_level).unwrap_or(LogLevel::Info),
            log_format: reader
                .parsed("LOG_FORMAT", "json", parse_format)
                .unwrap_or(LogFormat::Auto),
            warnings: Vec::new(),
        };
        system_roots::check(&mut reader, environment);
        Ok(Self { warnings: reader.finish()?, ..config })
    }

    /// The same configuration with the store of `serve --sandbox`, a folder inside the real one.
    #[must_use]
    pub fn in_sandbox(mut self) -> Self {
        if let Stores::Embedded(embedded) = &mut self.stores {
            embedded.data_dir = embedded.sandbox();
        }
        self
    }
}

fn read_jwt_secret_key(reader: &mut Reader<'_>) -> Option<SecretString> {
    let secret = reader.secret("JWT_SECRET_KEY");
    match &secret {
        Some(secret) => {
            if let Some(warning) = Warning::of_weak_secret("JWT_SECRET_KEY", secret) {
                reader.warn(warning);
            }
        }
        None if !reader.asking_for_servers().is_empty() => reader.missing(
            "JWT_SECRET_KEY",
            "is needed with PostgreSQL; every replica and Curator check tokens with it",
            "the output of `openssl rand -hex 32`",
        ),
        None => {}
    }
    secret
}

fn parse_host(value: &str) -> Result<IpAddr, String> {
    match value {
        "localhost" => Ok(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        _ => value.trim_matches(['[', ']']).parse().map_err(|_| "is not an IP address".to_owned()),
    }
}

fn parse_port(value: &str) -> Result<u16, String> {
    value.parse().map_err(|_| "is not a port number from 1 to 65535".to_owned())
}

fn parse_minutes(value: &str) -> Result<Duration, String> {
    match value.parse() {
        Ok(minutes @ 1..=YEAR_IN_MINUTES) => Ok(Duration::from_secs(minutes * MINUTE)),
        _ => Err("is not a whole number of minutes from 1 to 525600".to_owned()),
    }
}

fn parse_seconds(value: &str, allowed: RangeInclusive<u64>) -> Result<Duration, String> {
    let seconds = value.parse().ok().filter(|seconds| allowed.contains(seconds));
    seconds.map(Duration::from_secs).ok_or_else(|| {
        format!("is not a whole number of seconds from {} to {}", allowed.start(), allowed.end())
    })
}

fn parse_switch(value: &str) -> Result<bool, String> {
    match value.to_ascii_lowercase().as_str() {
        "on" | "true" | "1" | "yes" => Ok(true),
        "off" | "false" | "0" | "no" => Ok(false),
        _ => Err("is neither on nor off".to_owned()),
    }
}

fn parse_origins(value: &str) -> Result<CorsOrigins, String> {
    let origins: Vec<_> = value.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
    if origins == ["*"] {
        return Ok(CorsOrigins::Any);
    }
    if origins.is_empty() {
        return Err("names no origin".to_owned());
    }
    if origins.contains(&"*") {
        return Err("has `*`, which means any origin, beside another one".to_owned());
    }
    let parsed = origins.iter().enumerate().map(|(place, origin)| {
        // Which one it is, where there are several: it may hold a password, so it is not shown.
        let of_which =
            if origins.len() > 1 { format!(" (origin {})", place + 1) } else { String::new() };
        parse_origin(origin).map_err(|what| format!("{what}{of_which}"))
    });
    parsed.collect::<Result<_, _>>().map(CorsOrigins::Only)
}

/// Reads one origin, and gives it as browsers write it.
fn parse_origin(origin: &str) -> Result<String, &'static str> {
    if !["http://", "https://"].iter().any(|scheme| origin.to_lowercase().starts_with(scheme)) {
        return Err("needs https:// in front");
    }
    let url = Url::parse(origin).map_err(|_| "names no valid host and port")?;
    let serialized = url.origin().ascii_serialization();
    let is_one = url.origin().is_tuple() && !origin.contains('*');
    if is_one && serialized == origin.trim_end_matches('/').to_lowercase() {
        Ok(serialized)
    } else {
        Err("must be a scheme, a host and perhaps a port, and nothing else")
    }
}

fn parse_level(value: &str) -> Result<LogLevel, String> {
    match value.to_ascii_uppercase().as_str() {
        "CRITICAL" | "ERROR" => Ok(LogLevel::Error),
        "WARNING" | "WARN" => Ok(LogLevel::Warning),
        "INFO" => Ok(LogLevel::Info),
        "DEBUG" => Ok(LogLevel::Debug),
        "TRACE" => Ok(LogLevel::Trace),
        _ => Err("is not one of DEBUG, INFO, WARNING, ERROR, CRITICAL, TRACE".to_owned()),
    }
}

fn parse_format(value: &str) -> Result<LogFormat, String> {
    match value.to_ascii_lowercase().as_str() {
        "auto" => Ok(LogFormat::Auto),
        "json" => Ok(LogFormat::Json),
        "pretty" => Ok(LogFormat::Pretty),
        _ => Err("is neither json nor pretty".to_owned()),
    }
}
