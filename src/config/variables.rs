//! Every variable, declared once: name, kind, default, example and parser.
//!
//! `docs/configuration.md` has the same groups and the same order.

use std::net::IpAddr;
use std::time::Duration;

use env_config::variables;
use fernet_seal::MasterKey;
use ipnet::IpNet;
use url::Url;

use super::discogs::{parse_proxy, parse_user_agent};
use super::encryption::{parse_master_key, parse_master_keys};
use super::first_admin::{parse_email, parse_password};
use super::limits::{parse_budget, parse_networks};
use super::parsers::{
    parse_format, parse_host, parse_http_url, parse_level, parse_minutes, parse_origins,
    parse_port, parse_seconds, parse_switch,
};
use super::stores::{
    Address, DatabaseUrl, Mode, RedisUrl, parse_address, parse_database_url, parse_mode,
    parse_redis_url, parse_server_port, parse_statements, parse_store_host,
};
use super::{Budget, CorsOrigins, LogFormat, LogLevel, StatementNames};
use crate::model::{Email, NewPassword};

variables! {
    pub(super) GROUPS, VARIABLES:
    "PostgreSQL" {
        POSTGRES_ADDRESS: Address = Variable::parsed(parse_address).example("db.example.com:5432");
        POSTGRES_HOST: Address = Variable::parsed(parse_store_host).example("db.example.com:5432");
        POSTGRES_PORT: u16 = Variable::parsed(parse_server_port).example("5432");
        POSTGRES_USERNAME: String = Variable::text().or_file().example("discogsography");
        POSTGRES_PASSWORD: String = Variable::secret_text().example("a long random one");
        POSTGRES_DATABASE: String = Variable::text().example("discogsography");
        DATABASE_URL: DatabaseUrl = Variable::parsed(parse_database_url).or_file()
            .example("postgresql://discogsography:PASSWORD@db.example.com:5432/discogsography");
        POSTGRES_SSLMODE: Mode = Variable::parsed(parse_mode).example("verify-full");
        POSTGRES_SSLROOTCERT: String = Variable::path()
            .example("/etc/discogsography-api/root.crt");
        POSTGRES_STATEMENTS: StatementNames = Variable::parsed(parse_statements)
            .example("unnamed");
    }
    "Redis" {
        REDIS_URL: RedisUrl = Variable::parsed(parse_redis_url).or_file()
            .example("redis://cache.example.com:6379/0");
        REDIS_HOST: Address = Variable::parsed(parse_store_host).example("cache.example.com");
        REDIS_PORT: u16 = Variable::parsed(parse_server_port).example("6379");
        REDIS_PASSWORD: String = Variable::secret_text();
        REDIS_SSLROOTCERT: String = Variable::path().example("/etc/discogsography-api/root.crt");
    }
    "Access tokens" {
        JWT_SECRET_KEY: String = Variable::secret_text()
            .example("the output of `openssl rand -hex 32`");
        JWT_SECRET_KEY_PREVIOUS: String = Variable::secret_text()
            .example("the secret before");
        JWT_EXPIRE_MINUTES: Duration = Variable::parsed(parse_minutes).default("1440");
    }
    "Encryption of stored secrets" {
        ENCRYPTION_MASTER_KEY: MasterKey = Variable::secret(parse_master_key)
            .example("the output of `discogsography-api keys generate`");
        ENCRYPTION_MASTER_KEY_PREVIOUS: Vec<MasterKey> = Variable::secret(parse_master_keys)
            .example("the key before");
        ENCRYPTION_ALLOW_WEAK_KEY: bool = Variable::parsed(parse_switch).default("off").example("on");
    }
    "The first admin" {
        ADMIN_EMAIL: Email = Variable::parsed(parse_email).or_file().example("admin@example.com");
        ADMIN_PASSWORD: NewPassword = Variable::secret(parse_password)
            .example("a long random one");
    }
    "Discogs" {
        DISCOGS_USER_AGENT: String = Variable::parsed(parse_user_agent)
            .default("Discogsography/1.0 +https://github.com/SimplicityGuy/discogsography");
        DISCOGS_API_URL: Url = Variable::parsed(parse_http_url).default("https://api.discogs.com");
        DISCOGS_WEB_URL: Url = Variable::parsed(parse_http_url).default("https://www.discogs.com");
        DISCOGS_ALLOW_HTTP: bool = Variable::parsed(parse_switch).default("off").example("on");
        HTTPS_PROXY: Url = Variable::parsed(parse_proxy).or_file().or_lower_case()
            .example("http://proxy.example.com:3128");
        NO_PROXY: String = Variable::text().or_lower_case();
    }
    "Listening" {
        API_HOST: IpAddr = Variable::parsed(parse_host).default("127.0.0.1").example("0.0.0.0");
        API_PORT: u16 = Variable::parsed(parse_port).default("8004");
        API_HEALTH_PORT: u16 = Variable::parsed(parse_port).default("8005");
        KEEP_ALIVE_SECONDS: Duration = Variable::parsed(|value| parse_seconds(value, 1..=3600))
            .default("75");
        DRAIN_SECONDS: Duration = Variable::parsed(|value| parse_seconds(value, 0..=600))
            .default("0").example("10");
    }
    "The embedded store" {
        DATA_DIR: String = Variable::path().default("./data");
    }
    "Web pages" {
        CORS_ORIGINS: CorsOrigins = Variable::parsed(parse_origins)
            .default("*").example("https://explore.example.com");
        WEB_PAGE: bool = Variable::parsed(parse_switch).default("on");
        APP_BASE_URL: Url = Variable::parsed(parse_http_url).example("https://explore.example.com");
    }
    "Alongside a Python service" {
        PYTHON_COMPAT: bool = Variable::parsed(parse_switch).default("off").example("on");
    }
    "Request limits" {
        RATE_LIMITS: bool = Variable::parsed(parse_switch).default("on");
        RATE_LIMIT_REGISTER: Budget = Variable::parsed(parse_budget).default("5/60");
        RATE_LIMIT_SIGN_IN: Budget = Variable::parsed(parse_budget).default("10/60");
        RATE_LIMIT_FAILED_SIGN_IN: Budget = Variable::parsed(parse_budget).default("10/900");
        RATE_LIMIT_AUTHORIZE: Budget = Variable::parsed(parse_budget).default("10/60");
        RATE_LIMIT_AUTHORIZE_ADDRESS: Budget = Variable::parsed(parse_budget).default("20/60");
        RATE_LIMIT_VERIFY: Budget = Variable::parsed(parse_budget).default("10/60");
        RATE_LIMIT_VERIFY_ADDRESS: Budget = Variable::parsed(parse_budget).default("20/60");
        TRUSTED_PROXIES: Vec<IpNet> = Variable::parsed(parse_networks)
            .example("10.0.0.0/8,192.168.1.7");
    }
    "Start and log" {
        AUTO_MIGRATE: bool = Variable::parsed(parse_switch).default("on");
        LOG_LEVEL: LogLevel = Variable::parsed(parse_level).default("INFO");
        LOG_FORMAT: LogFormat = Variable::parsed(parse_format).default("auto").example("json");
    }
}
