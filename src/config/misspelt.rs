//! Variables that look like ours and are not: misspelt ones, and what Kubernetes puts in their
//! place.
//!
//! Only what is near to a name of ours is spoken of: the environment is full of others' variables.

use strsim::osa_distance;

use super::variables::{VARIABLES, Variable};

/// Names that other programs have for the same thing, too far from ours to be mistakes in writing.
const OFTEN_MEANT: [(&str, &str); 4] = [
    ("JWT_SECRET", "JWT_SECRET_KEY"),
    ("POSTGRES_USER", "POSTGRES_USERNAME"),
    ("POSTGRES_DB", "POSTGRES_DATABASE"),
    ("TRUSTED_PROXY", "TRUSTED_PROXIES"),
];

/// In shorter names one other character makes another word: `APP_PORT`, `HTTP_PROXY`.
const LONG: usize = 12;

/// Kubernetes tells every pod about each Service in its namespace: one called `redis` sets
/// `REDIS_PORT=tcp://10.0.0.7:6379`, unless the pod has `enableServiceLinks: false`.
pub(super) fn is_service_link(name: &str, value: &str) -> bool {
    let is_address = ["tcp://", "udp://", "sctp://"].iter().any(|begin| value.starts_with(begin));
    is_address && name.ends_with("_PORT")
}

/// The variable that was probably meant by a name that is none of ours.
pub(super) fn meant_by(name: &str) -> Option<String> {
    if let Some((_, meant)) = OFTEN_MEANT.iter().find(|(written, _)| *written == name) {
        return Some((*meant).to_owned());
    }
    let near = VARIABLES.iter().flat_map(names_of).filter(|ours| is_near(name, ours));
    near.min_by_key(|ours| osa_distance(name, ours))
}

fn names_of(variable: &Variable) -> impl Iterator<Item = String> {
    let file_name = variable.may_be_a_file.then(|| format!("{}_FILE", variable.name));
    std::iter::once(variable.name.to_owned()).chain(file_name)
}

fn is_near(name: &str, ours: &str) -> bool {
    if squeezed(name) == squeezed(ours) {
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
    name.replace(['_', '-'], "").to_uppercase()
}

#[cfg(test)]
mod tests {
    use super::{is_service_link, meant_by};
    use crate::config::VARIABLES;

    #[test]
    fn what_is_misspelt_is_recognised() {
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
            ("POSTGRES_PASWORD", "POSTGRES_PASSWORD"),
            ("POSTGRES_PASSWORD_FIEL", "POSTGRES_PASSWORD_FILE"),
            ("POSTGRESS_DATABASE", "POSTGRES_DATABASE"),
            ("POSTGRES_USER", "POSTGRES_USERNAME"),
            ("REDIS_URI", "REDIS_URL"),
            ("CORS_ORIGIN", "CORS_ORIGINS"),
            ("TRUSTED_PROXY", "TRUSTED_PROXIES"),
            ("TRUSTD_PROXIES", "TRUSTED_PROXIES"),
            ("DISCOG_API_URL", "DISCOGS_API_URL"),
            ("ADMIN_EMIAL", "ADMIN_EMAIL"),
        ] {
            assert_eq!(meant_by(written).as_deref(), Some(meant), "{written}");
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
            "DATABASE_HOST",
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
        ] {
            assert_eq!(meant_by(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn a_service_link_is_no_port() {
        for name in VARIABLES.iter().map(|variable| variable.name) {
            assert_eq!(is_service_link(name, "tcp://10.0.0.1:1"), name.ends_with("_PORT"));
            assert!(!is_service_link(name, "5432"));
        }
    }
}
