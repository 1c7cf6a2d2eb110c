//! Finds names similar to a variable: misspelt ones, and those of other programs.
//!
//! Only similar names are reported, since the environment is full of other programs' variables.

use std::net::IpAddr;

use env_config::similar::{is_near, is_slip_of, nearest};
use env_config::{Certainty, Declaration, Environment, Reader, declaration, is_service_link};

use super::VARIABLES;

/// How certain it is that a name was meant for a declared variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Likeness {
    /// A misspelt variable of the stores: an error.
    Misspelt,
    /// Another name for a variable of the stores: an error unless that has a value.
    OtherName,
    /// Less certain, or not about the stores: a warning.
    Possible,
}

/// The prefixes of the stores' variables.
///
/// Any such name shows that the operator wants servers.
const STORE_PREFIXES: [&str; 3] = ["POSTGRES_", "REDIS_", "DATABASE_URL"];

/// Other names for variables of the stores, as in the official PostgreSQL image.
const OTHER_NAMES: [(&str, &[&str]); 6] = [
    ("DATABASE_URL", &["DATABASE_URI", "POSTGRES_URL", "POSTGRES_URI", "POSTGRES_DSN"]),
    ("POSTGRES_HOST", &["POSTGRES_HOSTNAME", "POSTGRES_SERVER", "POSTGRES_ADDR"]),
    ("POSTGRES_USERNAME", &["POSTGRES_USER"]),
    ("POSTGRES_PASSWORD", &["POSTGRES_PASS", "POSTGRES_PWD"]),
    ("POSTGRES_DATABASE", &["POSTGRES_DB", "POSTGRES_DBNAME", "POSTGRES_NAME"]),
    ("REDIS_HOST", &["REDIS_HOSTNAME", "REDIS_SERVER", "REDIS_ADDR", "REDIS_ADDRESS"]),
];

/// Names under which other programs read the same or a similar value.
const OF_OTHER_PROGRAMS: [(&str, &[&str]); 9] = [
    (
        "DATABASE_URL",
        &[
            "DB_URL",
            "DB_URI",
            "DB_DSN",
            "PG_URL",
            "PG_URI",
            "DATABASE_DSN",
            "DATABASE_CONNECTION_STRING",
            "POSTGRESQL_URL",
            "POSTGRESQL_URI",
            "SQLALCHEMY_DATABASE_URI",
            "SQLALCHEMY_DATABASE_URL",
            "JDBC_DATABASE_URL",
        ],
    ),
    ("POSTGRES_HOST", &["PGHOST", "PG_HOST", "DB_HOST", "DATABASE_HOST"]),
    ("REDIS_URL", &["REDIS_TLS_URL", "REDISCLOUD_URL", "REDISTOGO_URL", "VALKEY_URL"]),
    ("REDIS_HOST", &["VALKEY_HOST"]),
    ("POSTGRES_SSLMODE", &["POSTGRES_SSL"]),
    ("JWT_SECRET_KEY", &["JWT_SECRET"]),
    (
        "JWT_SECRET_KEY_PREVIOUS",
        &["JWT_PREVIOUS_SECRET_KEY", "JWT_SECRET_KEY_OLD", "PREVIOUS_JWT_SECRET_KEY"],
    ),
    ("ENCRYPTION_MASTER_KEY", &["OAUTH_ENCRYPTION_KEY", "ENCRYPTION_KEY"]),
    ("TRUSTED_PROXIES", &["TRUSTED_PROXY"]),
];

/// Reports every unknown name that is similar to a declared one.
pub(super) fn note(reader: &mut Reader<'_>) {
    let environment = reader.environment();
    let without_value = |name| (name, "");
    let not_unicode = environment.not_unicode().map(without_value);
    let empty = environment.empty().map(without_value);
    for (name, value) in not_unicode.chain(environment.variables()).chain(empty) {
        if declaration(VARIABLES, name).is_some() {
            continue;
        }
        match meant_by(name, value) {
            Some((meant, likeness)) if is_given(environment, &meant, likeness) => {}
            Some((meant, Likeness::Misspelt | Likeness::OtherName)) => {
                reader.not_read(name, meant, Certainty::Certain);
            }
            Some((meant, Likeness::Possible)) if !environment.is_empty(name) => {
                reader.not_read(name, meant, Certainty::Possible);
            }
            Some(_) | None => {}
        }
    }
}

/// Returns the variables that show that the operator wants servers.
pub(super) fn asking_for_servers<'a>(reader: &Reader<'a>) -> Vec<&'a str> {
    let environment = reader.environment();
    let set = environment.variables().map(|(name, _)| name).chain(environment.not_unicode());
    let misspelt = reader.misspelt().filter(|name| !is_of_stores(name));
    set.filter(|name| is_of_stores(name)).chain(misspelt).collect()
}

/// Whether a name starts like a variable of the stores.
pub(super) fn is_of_stores(name: &str) -> bool {
    STORE_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Whether the value is already set, by the variable itself or by another one.
///
/// If so, the unknown name belongs to another program, unless it is clearly a misspelling.
fn is_given(environment: &Environment, meant: &str, likeness: Likeness) -> bool {
    let is_set = |name: &str| {
        let names = [name, &format!("{name}_FILE")];
        let mut declared = names.into_iter().filter(|it| declaration(VARIABLES, it).is_some());
        declared.any(|name| environment.get(name).is_some())
    };
    let meant = meant.strip_suffix("_FILE").unwrap_or(meant);
    let has_host = is_set("POSTGRES_ADDRESS") || is_set("POSTGRES_HOST");
    let sign_in = ["POSTGRES_USERNAME", "POSTGRES_PASSWORD", "POSTGRES_DATABASE"];
    let is_misspelt = likeness == Likeness::Misspelt;
    is_set(meant)
        || match meant {
            "DATABASE_URL" => !is_misspelt && has_host && sign_in.iter().all(|name| is_set(name)),
            "POSTGRES_ADDRESS" | "POSTGRES_HOST" => has_host || is_set("DATABASE_URL"),
            "POSTGRES_PORT" => is_set("DATABASE_URL"),
            "REDIS_URL" => !is_misspelt && is_set("REDIS_HOST"),
            "REDIS_HOST" | "REDIS_PORT" | "REDIS_PASSWORD" => is_set("REDIS_URL"),
            meant => sign_in.contains(&meant) && is_set("DATABASE_URL"),
        }
}

/// Returns the variable that was probably meant by an unknown name.
fn meant_by(name: &str, value: &str) -> Option<(String, Likeness)> {
    if is_service_link(name, value) {
        return None;
    }
    let declared = || VARIABLES.iter().flat_map(Declaration::names);
    let of_stores = declared().filter(|name| is_of_stores(name));
    listed(&OTHER_NAMES, name)
        .map(|meant| (meant.to_owned(), Likeness::OtherName))
        .or_else(|| {
            listed(&OF_OTHER_PROGRAMS, name).map(|meant| (meant.to_owned(), Likeness::Possible))
        })
        .or_else(|| nearest(name, of_stores, is_slip_of).map(|it| (it, Likeness::Misspelt)))
        .or_else(|| nearest(name, declared(), is_near).map(|it| (it, Likeness::Possible)))
        .or_else(|| {
            address_meant_by(name, value).map(|meant| (meant.to_owned(), Likeness::Possible))
        })
}

fn listed(list: &[(&'static str, &[&str])], name: &str) -> Option<&'static str> {
    list.iter().find(|(_, names)| names.contains(&name)).map(|(meant, _)| *meant)
}

/// Names that platforms set, or other services read, for the listening address.
fn address_meant_by(name: &str, value: &str) -> Option<&'static str> {
    match name {
        "PORT" if value.parse::<u16>().is_ok() => Some("API_PORT"),
        // Some shells store the machine's name in `HOST`.
        "HOST" if value.parse::<IpAddr>().is_ok() => Some("API_HOST"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Likeness, is_service_link, meant_by};
    use crate::config::VARIABLES;

    fn guess(name: &str) -> Option<(String, Likeness)> {
        meant_by(name, "x")
    }

    #[test]
    fn a_misspelt_variable_of_the_stores_is_recognised() {
        for (written, meant) in [
            ("DATABSE_URL", "DATABASE_URL"),
            ("DATABASEURL", "DATABASE_URL"),
            ("database_url", "DATABASE_URL"),
            ("DATABASE-URL", "DATABASE_URL"),
            ("\u{feff}DATABASE_URL", "DATABASE_URL"),
            ("export DATABASE_URL", "DATABASE_URL"),
            ("DATABASE_URL_FIEL", "DATABASE_URL_FILE"),
            ("POSGRES_ADDRESS", "POSTGRES_ADDRESS"),
            ("POSTGRESS_ADDRESS", "POSTGRES_ADDRESS"),
            ("POSTGRES_ADDRES", "POSTGRES_ADDRESS"),
            ("POSTGRES_ADDRESS_FILE", "POSTGRES_ADDRESS"),
            ("POSTGRES_SSL_MODE", "POSTGRES_SSLMODE"),
            ("POSTGRES_SLLMODE", "POSTGRES_SSLMODE"),
            ("POSTGRES_PASSWORD_FIEL", "POSTGRES_PASSWORD_FILE"),
            ("POSTGRESQL_HOST", "POSTGRES_HOST"),
            ("REDISURL", "REDIS_URL"),
            ("REDIS_URI", "REDIS_URL"),
            ("REDDIS_URL", "REDIS_URL"),
        ] {
            assert_eq!(guess(written), Some((meant.to_owned(), Likeness::Misspelt)), "{written}");
        }
    }

    #[test]
    fn other_names_of_the_stores_are_known() {
        for (written, meant) in [
            ("DATABASE_URI", "DATABASE_URL"),
            ("POSTGRES_USER", "POSTGRES_USERNAME"),
            ("POSTGRES_DB", "POSTGRES_DATABASE"),
            ("POSTGRES_URL", "DATABASE_URL"),
        ] {
            assert_eq!(guess(written), Some((meant.to_owned(), Likeness::OtherName)), "{written}");
        }
    }

    #[test]
    fn what_may_be_meant_is_recognised() {
        for (written, meant) in [
            ("LOGLEVEL", "LOG_LEVEL"),
            ("LOG_LEVLE", "LOG_LEVEL"),
            ("log_level", "LOG_LEVEL"),
            ("RATE_LIMIT_SIGNIN", "RATE_LIMIT_SIGN_IN"),
            ("RATELIMITS", "RATE_LIMITS"),
            ("RATE_LIMIT", "RATE_LIMITS"),
            ("JWT_SECRET", "JWT_SECRET_KEY"),
            ("JWT_SECRET_KEYFILE", "JWT_SECRET_KEY_FILE"),
            ("JWT_EXPIRES_MINUTES", "JWT_EXPIRE_MINUTES"),
            ("CORS_ORIGIN", "CORS_ORIGINS"),
            ("TRUSTED_PROXY", "TRUSTED_PROXIES"),
            ("TRUSTD_PROXIES", "TRUSTED_PROXIES"),
            ("DISCOG_API_URL", "DISCOGS_API_URL"),
            ("ADMIN_EMIAL", "ADMIN_EMAIL"),
            ("DATA_DIR_FILE", "DATA_DIR"),
            ("PGHOST", "POSTGRES_HOST"),
            ("DB_URL", "DATABASE_URL"),
            ("POSTGRESQL_URL", "DATABASE_URL"),
            ("SQLALCHEMY_DATABASE_URI", "DATABASE_URL"),
        ] {
            assert_eq!(guess(written), Some((meant.to_owned(), Likeness::Possible)), "{written}");
        }
        for (name, value, meant) in [
            ("PORT", "9000", "API_PORT"),
            ("HOST", "0.0.0.0", "API_HOST"),
            ("HOST", "::", "API_HOST"),
        ] {
            assert_eq!(meant_by(name, value).unwrap().0, meant);
        }
    }

    #[test]
    fn what_belongs_to_others_is_left_alone() {
        for foreign in [
            "PATH",
            "HOME",
            "USER",
            "PWD",
            "LANG",
            "TERM",
            "HOSTNAME",
            "PORT",
            "DEBUG",
            "LOG",
            "HTTP_PROXY",
            "http_proxy",
            "ALL_PROXY",
            "FTP_PROXY",
            "APP_PORT",
            "APP_HOST",
            "API_KEY",
            "API_TOKEN",
            "API_PATH",
            "API_ROOT",
            "API_URL",
            "LOG_DIR",
            "LOG_FILE",
            "WEB_PORT",
            "WEB_PATH",
            "JWT_ALGORITHM",
            "DISCOGS_TOKEN",
            "DISCOGS_CONSUMER_KEY",
            "DISCOGS_USER",
            "DATABASE_USER",
            "DATABASE_NAME",
            "MYSQL_PASSWORD",
            "REDIS_DB",
            "NEO4J_PASSWORD",
            "RABBITMQ_PASSWORD",
            "XDG_DATA_DIRS",
            "SSL_CERT_FILE",
            "RUST_LOG",
            "API_SERVICE_HOST",
            "API_SERVICE_PORT",
            "API_PORT_8004_TCP",
            "API_PORT_8004_TCP_PORT",
            "POSTGRES_SERVICE_HOST",
            "POSTGRES_SERVICE_PORT",
            "POSTGRES_PORT_5432_TCP_ADDR",
            "REDIS_SERVICE_PORT_REDIS",
            "REDIS_PORT_6379_TCP_PROTO",
            "KUBERNETES_PORT",
            "KUBERNETES_SERVICE_HOST",
            "POSTGRES_INITDB_ARGS",
            "ADMIN_USER",
            "AUTO_START",
            "POSTGRES_HOST_AUTH_METHOD",
            "POSTGRES_POOL_MIN_SIZE",
            "DATABASE_KEY",
            "PGUSER",
        ] {
            assert_eq!(guess(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn a_service_with_a_name_near_to_ours_is_left_alone() {
        assert_eq!(meant_by("POSTGRE_PORT", "tcp://10.0.0.1:5432"), None);
    }

    #[test]
    fn a_service_link_is_no_port() {
        for name in VARIABLES.iter().map(|variable| variable.name) {
            assert_eq!(is_service_link(name, "tcp://10.0.0.1:1"), name.ends_with("_PORT"));
            assert!(!is_service_link(name, "5432"));
        }
    }
}
