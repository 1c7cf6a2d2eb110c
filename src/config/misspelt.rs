//! Variables that look like ours and are not: misspelt names, names that other programs use, and
//! what Kubernetes puts in the place of a port.
//!
//! Only what is near to a name of ours is spoken of: the environment is full of others' variables.

use std::net::IpAddr;

use strsim::osa_distance;

use super::variables::{VARIABLES, Variable};

/// A variable that is probably meant by a name that is not ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Guess {
    /// The variable of ours.
    pub(super) meant: String,
    /// How sure that is.
    pub(super) likeness: Likeness,
}

/// How sure it is that a name stands for one of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Likeness {
    /// A variable of the stores with a slip of the pen: an error.
    Misspelt,
    /// Another name for a variable of the stores: an error where that is not given otherwise.
    OtherName,
    /// Less sure, or not about the stores: a warning.
    Possible,
}

/// What the names of the stores' variables begin with. Any such name says that servers are wanted.
pub(super) const STORE_PREFIXES: [&str; 3] = ["POSTGRES_", "REDIS_", "DATABASE_URL"];

/// Other names for variables of the stores, among them those of the official PostgreSQL image.
const OTHER_NAMES: [(&str, &[&str]); 6] = [
    ("DATABASE_URL", &["DATABASE_URI", "POSTGRES_URL", "POSTGRES_URI", "POSTGRES_DSN"]),
    ("POSTGRES_HOST", &["POSTGRES_HOSTNAME", "POSTGRES_SERVER", "POSTGRES_ADDR"]),
    ("POSTGRES_USERNAME", &["POSTGRES_USER"]),
    ("POSTGRES_PASSWORD", &["POSTGRES_PASS", "POSTGRES_PWD"]),
    ("POSTGRES_DATABASE", &["POSTGRES_DB", "POSTGRES_DBNAME", "POSTGRES_NAME"]),
    ("REDIS_HOST", &["REDIS_HOSTNAME", "REDIS_SERVER", "REDIS_ADDR", "REDIS_ADDRESS"]),
];

/// Names that other programs use for the same, or nearly the same.
const OF_OTHER_PROGRAMS: [(&str, &[&str]); 7] = [
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
    ("TRUSTED_PROXIES", &["TRUSTED_PROXY"]),
];

/// The most slips of the pen in the name of a variable of the stores.
const MOST_SLIPS: usize = 2;

/// In shorter names one other character makes another word: `APP_PORT`, `HTTP_PROXY`.
const LONG: usize = 12;

/// Kubernetes tells every pod about each Service in its namespace: one called `redis` sets
/// `REDIS_PORT=tcp://10.0.0.7:6379`, unless the pod has `enableServiceLinks: false`.
pub(super) fn is_service_link(name: &str, value: &str) -> bool {
    let is_address = ["tcp://", "udp://", "sctp://"].iter().any(|begin| value.starts_with(begin));
    is_address && name.ends_with("_PORT")
}

/// The variable that was probably meant by a name that is not ours.
pub(super) fn meant_by(name: &str, value: &str) -> Option<Guess> {
    if is_service_link(name, value) {
        return None;
    }
    let guess = |meant: &str, likeness| Guess { meant: meant.to_owned(), likeness };
    listed(&OTHER_NAMES, name)
        .map(|meant| guess(meant, Likeness::OtherName))
        .or_else(|| listed(&OF_OTHER_PROGRAMS, name).map(|meant| guess(meant, Likeness::Possible)))
        .or_else(|| nearest(name, is_slip_of).map(|meant| guess(&meant, Likeness::Misspelt)))
        .or_else(|| nearest(name, is_near).map(|meant| guess(&meant, Likeness::Possible)))
        .or_else(|| address_meant_by(name, value).map(|meant| guess(meant, Likeness::Possible)))
}

fn listed(list: &[(&'static str, &[&str])], name: &str) -> Option<&'static str> {
    list.iter().find(|(_, names)| names.contains(&name)).map(|(meant, _)| *meant)
}

/// Names that platforms set, or that other services read, for the address to listen on.
fn address_meant_by(name: &str, value: &str) -> Option<&'static str> {
    match name {
        "PORT" if value.parse::<u16>().is_ok() => Some("API_PORT"),
        // Some shells keep the name of the machine in it.
        "HOST" if value.parse::<IpAddr>().is_ok() => Some("API_HOST"),
        _ => None,
    }
}

fn nearest(name: &str, is_like: fn(&str, &str) -> bool) -> Option<String> {
    let like = VARIABLES.iter().flat_map(names_of).filter(|ours| is_like(name, ours));
    like.min_by_key(|ours| osa_distance(name, ours))
}

fn names_of(variable: &Variable) -> impl Iterator<Item = String> {
    let file_name = variable.may_be_a_file.then(|| format!("{}_FILE", variable.name));
    std::iter::once(variable.name.to_owned()).chain(file_name)
}

/// Whether a name is that of a variable of the stores, but for a few slips of the pen.
fn is_slip_of(name: &str, ours: &str) -> bool {
    let is_of_the_stores = STORE_PREFIXES.iter().any(|prefix| ours.starts_with(prefix));
    let is_close =
        squeezed(name) == squeezed(ours) || osa_distance(&name.to_uppercase(), ours) <= MOST_SLIPS;
    is_of_the_stores && (is_close || is_file_of(name, ours))
}

/// Whether a name asks for a file that holds the value, though `ours` can't be given so.
fn is_file_of(name: &str, ours: &str) -> bool {
    name.strip_suffix("_FILE") == Some(ours)
}

fn is_near(name: &str, ours: &str) -> bool {
    if squeezed(name) == squeezed(ours) || is_file_of(name, ours) {
        return true;
    }
    let (Some((family, rest)), Some((our_family, our_rest))) =
        (name.split_once('_'), ours.split_once('_'))
    else {
        return false;
    };
    if family == our_family {
        return osa_distance(rest, our_rest) <= (our_rest.len() / 4).clamp(1, 3);
    }
    rest == our_rest && ours.len() >= LONG && osa_distance(family, our_family) == 1
}

/// A name without what is most easily got wrong.
fn squeezed(name: &str) -> String {
    let name = name.trim().trim_start_matches("export ");
    name.replace(['_', '-', '.', ' ', '\u{feff}'], "").to_uppercase()
}

#[cfg(test)]
mod tests {
    use super::{Likeness, is_service_link, meant_by};
    use crate::config::VARIABLES;

    fn guess(name: &str) -> Option<(String, Likeness)> {
        meant_by(name, "x").map(|guess| (guess.meant, guess.likeness))
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
            assert_eq!(meant_by(name, value).unwrap().meant, meant);
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
