//! Which stores are used. Incomplete variables never select the embedded store.
//!
//! [`names`]: other names for the same database. [`parameters`]: the query of a URL. [`tls`]:
//! encryption.

mod names;
mod parameters;
mod tls;

use discogsography_api::config::{Config, PostgresConfig, RedisConfig, Stores, VARIABLES};
use secrecy::ExposeSecret as _;

use super::{assert_problem, loaded, names_of_problems, problems};

/// All variables that are required with PostgreSQL and Redis.
pub(super) const COMPLETE: [(&str, &str); 6] = [
    ("POSTGRES_ADDRESS", "db.example.com:5433"),
    ("POSTGRES_USERNAME", "digger"),
    ("POSTGRES_PASSWORD", "p4ssword"),
    ("POSTGRES_DATABASE", "discogsography"),
    ("REDIS_URL", "redis://cache.example.com:6380/1"),
    ("JWT_SECRET_KEY", "0123456789abcdef0123456789abcdef"),
];

pub(super) fn servers(config: &Config) -> (&PostgresConfig, &RedisConfig) {
    let Stores::Servers { postgres, redis } = &config.stores else {
        panic!("{:?}", config.stores);
    };
    (postgres, redis)
}

/// Returns the names of all variables, including those ending in `_FILE`.
pub(super) fn all_names() -> Vec<String> {
    let files = VARIABLES.iter().filter(|variable| variable.has_file_variant);
    let files = files.map(|variable| format!("{}_FILE", variable.name));
    VARIABLES.iter().map(|variable| variable.name.to_owned()).chain(files).collect()
}

pub(super) fn is_store_variable(name: &str) -> bool {
    ["POSTGRES_", "REDIS_", "DATABASE_URL"].iter().any(|prefix| name.starts_with(prefix))
}

fn address(address: &str) -> (String, u16) {
    let mut variables = COMPLETE;
    variables[0].1 = address;
    let config = loaded(&variables);
    let (postgres, _) = servers(&config);
    (postgres.host.clone(), postgres.port)
}

#[test]
fn a_complete_configuration_of_servers_is_read() {
    let config = loaded(&COMPLETE);
    let (postgres, redis) = servers(&config);
    assert_eq!((postgres.host.as_str(), postgres.port), ("db.example.com", 5433));
    assert_eq!(postgres.username, "digger");
    assert_eq!(postgres.password.expose_secret(), "p4ssword");
    assert_eq!(postgres.database, "discogsography");
    assert_eq!(redis.url.expose_secret(), "redis://cache.example.com:6380/1");
    assert_eq!(redis.address(), "cache.example.com:6380");
    assert_eq!(redis.namespace, "");
    let secret = config.jwt_secret_key.unwrap();
    assert_eq!(secret.expose_secret(), "0123456789abcdef0123456789abcdef");
}

/// Returns every proper subset of [`COMPLETE`] with a store variable, and the names it lacks.
fn proper_subsets() -> impl Iterator<Item = (Vec<(&'static str, &'static str)>, Vec<&'static str>)>
{
    let all = (1_u32 << COMPLETE.len()) - 1;
    let store_variables = all >> 1;
    (1..all).filter(move |set| set & store_variables != 0).map(|set| {
        let is_given = |at: &usize| set & (1 << at) != 0;
        let given = (0..COMPLETE.len()).filter(is_given).map(|at| COMPLETE[at]).collect();
        let missing =
            (0..COMPLETE.len()).filter(|at| !is_given(at)).map(|at| COMPLETE[at].0).collect();
        (given, missing)
    })
}

#[test]
fn an_incomplete_configuration_names_what_is_set_and_what_is_missing() {
    let mut count = 0;
    for (given, missing) in proper_subsets() {
        let problems = problems(&given);
        let names: Vec<_> = problems.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, missing, "{given:?}");
        let store_variables: Vec<_> =
            given.iter().map(|(name, _)| *name).filter(|name| *name != "JWT_SECRET_KEY").collect();
        for (name, sentence) in problems {
            assert!(sentence.contains(" is missing: it "), "{sentence}");
            let names_all_given = store_variables.iter().all(|given| sentence.contains(given));
            assert!(names_all_given || name == "JWT_SECRET_KEY", "{sentence}");
        }
        count += 1;
    }
    assert_eq!(count, 61);
}

#[test]
fn empty_store_variables_never_select_the_embedded_store() {
    let names = all_names();
    let store_variables: Vec<_> = names.iter().filter(|name| is_store_variable(name)).collect();
    assert!(store_variables.len() > 15);
    for name in &store_variables {
        assert_problem(
            &[(name, "")],
            &format!(
                "{name} is set but empty: give it a value, or remove it to use the embedded store"
            ),
        );
    }
    let empty: Vec<_> = names.iter().map(|name| (name.as_str(), "")).collect();
    let reported = names_of_problems(&empty);
    assert_eq!(reported.len(), store_variables.len());
    assert!(store_variables.iter().all(|name| reported.contains(name)), "{reported:?}");
}

#[test]
fn one_store_variable_requires_the_others() {
    let missing = COMPLETE.map(|(name, _)| name);
    for (name, because) in [
        ("POSTGRES_", "because POSTGRES_ is set"),
        ("POSTGRES_STATEMENTS", "because POSTGRES_STATEMENTS is set"),
        ("REDIS_PORT", "because REDIS_PORT is set"),
    ] {
        let value = if name == "REDIS_PORT" { "6379" } else { "named" };
        let problems = problems(&[(name, value)]);
        let names: Vec<_> = problems.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, missing, "{name:?}");
        let sentence = format!(
            "POSTGRES_ADDRESS is missing: it is needed {because} (for example: db.example.com:5432)"
        );
        assert_eq!(problems[0].1, sentence);
    }
}

#[test]
fn an_empty_store_variable_is_reported_as_empty() {
    let mut variables = COMPLETE;
    variables[2].1 = "";
    assert_problem(
        &variables,
        "POSTGRES_PASSWORD is empty: it is needed because POSTGRES_ADDRESS, POSTGRES_DATABASE, \
         POSTGRES_USERNAME and REDIS_URL are set (for example: a long random one)",
    );
}

#[test]
fn a_missing_redis_url_says_why_it_is_needed() {
    let without_redis: Vec<_> =
        COMPLETE.into_iter().filter(|(name, _)| *name != "REDIS_URL").collect();
    let problems = problems(&without_redis);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(
        problems[0].1,
        "REDIS_URL is missing: it is needed because POSTGRES_ADDRESS, POSTGRES_DATABASE, \
         POSTGRES_PASSWORD and POSTGRES_USERNAME are set; replicas share the OAuth state \
         through Redis (for example: redis://cache.example.com:6379/0)"
    );
}

#[test]
fn an_address_is_a_host_with_or_without_a_port() {
    for (given, host, port) in [
        ("db", "db", 5432),
        ("db:5433", "db", 5433),
        (" db.example.com:1 ", "db.example.com", 1),
        ("10.0.0.7:65535", "10.0.0.7", 65_535),
        ("[::1]", "::1", 5432),
        ("[2001:db8::7]:5433", "2001:db8::7", 5433),
    ] {
        assert_eq!(address(given), (host.to_owned(), port), "{given}");
    }
}

#[test]
fn an_invalid_address_is_refused() {
    for address in [
        ":5432",
        "db:",
        "db:abc",
        "db:0",
        "db:65536",
        "db:-1",
        "::1",
        "2001:db8::7:5432",
        "[::1",
        "[::1]5432",
        "[]:5432",
        "two words",
        "db/discogsography",
        "postgres://db",
        " ",
    ] {
        let mut variables = COMPLETE;
        variables[0].1 = address;
        assert_eq!(names_of_problems(&variables), ["POSTGRES_ADDRESS"], "{address:?}");
    }
}

#[test]
fn redis_is_configured_by_its_url() {
    for (url, address) in [
        ("redis://cache", "cache:6379"),
        ("redis://:s3cret@cache:6380/2", "cache:6380"),
        ("rediss://user:s3cret@[::1]:6390", "[::1]:6390"),
    ] {
        let mut variables = COMPLETE;
        variables[4].1 = url;
        let config = loaded(&variables);
        assert_eq!(servers(&config).1.address(), address);
    }
    for url in [
        "cache:6379",
        "http://cache",
        "redis://",
        "redis:///0",
        "redis",
        "unix:///run/redis",
        "redis://cache/abc",
        "redis://cache/-1",
        "redis://cache/99999999999",
        "redis://cache?protocol=zzz",
        "redis://%ff:s3cret@cache",
    ] {
        let mut variables = COMPLETE;
        variables[4].1 = url;
        assert_eq!(names_of_problems(&variables), ["REDIS_URL"], "{url}");
    }
}

/// What Kubernetes sets in a pod for Services named `postgres`, `redis` and `api`.
const SERVICE_LINKS: [(&str, &str); 9] = [
    ("API_PORT", "tcp://10.0.0.3:8004"),
    ("API_SERVICE_HOST", "10.0.0.3"),
    ("POSTGRES_PORT", "tcp://10.0.0.1:5432"),
    ("POSTGRES_PORT_5432_TCP", "tcp://10.0.0.1:5432"),
    ("POSTGRES_PORT_5432_TCP_ADDR", "10.0.0.1"),
    ("POSTGRES_SERVICE_HOST", "10.0.0.1"),
    ("POSTGRES_SERVICE_PORT", "5432"),
    ("REDIS_PORT", "tcp://10.0.0.2:6379"),
    ("REDIS_SERVICE_HOST", "10.0.0.2"),
];

#[test]
fn service_links_of_kubernetes_are_ignored_with_a_warning() {
    let config = loaded(&[&COMPLETE[..], &SERVICE_LINKS].concat());
    assert_eq!(servers(&config).0.port, 5433);
    assert_eq!(config.api_address.port(), 8004);
    let warned: Vec<_> = config.warnings.iter().map(|warning| format!("{warning:?}")).collect();
    assert_eq!(warned.len(), 3, "{warned:?}");
    for (warning, name) in warned.iter().zip(["API_PORT", "POSTGRES_PORT", "REDIS_PORT"]) {
        assert!(warning.contains(name) && warning.contains("enableServiceLinks: false"));
    }
}

#[test]
fn service_links_alone_never_select_the_embedded_store() {
    let problems = problems(&SERVICE_LINKS);
    let names: Vec<_> = problems.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["POSTGRES_PORT", "JWT_SECRET_KEY"]);
    assert!(problems[0].1.contains("enableServiceLinks: false"), "{problems:?}");
}
