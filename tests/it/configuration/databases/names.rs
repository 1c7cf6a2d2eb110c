//! Other variables for the same servers: `DATABASE_URL`, and those of newer Python services.

use discogsography_api::config::Config;
use secrecy::ExposeSecret as _;

use super::super::{assert_problem, loaded, names_of_problems, problems};
use super::{COMPLETE, servers};

/// PostgreSQL's variables without its address.
const SIGN_IN: [(&str, &str); 3] = [
    ("POSTGRES_USERNAME", "digger"),
    ("POSTGRES_PASSWORD", "p4ssword"),
    ("POSTGRES_DATABASE", "discogsography"),
];
const REDIS: (&str, &str) = ("REDIS_URL", "redis://cache.example.com:6380/1");
const KEY: (&str, &str) = ("JWT_SECRET_KEY", "0123456789abcdef0123456789abcdef");

/// Returns a complete configuration except PostgreSQL's address, plus these variables.
fn with_postgres(variables: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
    [&SIGN_IN[..], &[REDIS, KEY], variables].concat()
}

/// Returns a complete configuration except Redis, plus these variables.
fn with_redis(variables: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
    [&SIGN_IN[..], &[("POSTGRES_ADDRESS", "db"), KEY], variables].concat()
}

/// Returns a complete configuration, plus these variables.
fn complete_with(variables: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
    [&COMPLETE[..], variables].concat()
}

fn postgres_address(config: &Config) -> (&str, u16) {
    let (postgres, _) = servers(config);
    (&postgres.host, postgres.port)
}

#[test]
fn host_and_port_may_be_separate_variables() {
    for (variables, expected) in [
        (vec![("POSTGRES_HOST", "db")], ("db", 5432)),
        (vec![("POSTGRES_HOST", "db:5433")], ("db", 5433)),
        (vec![("POSTGRES_HOST", "db"), ("POSTGRES_PORT", "5433")], ("db", 5433)),
        (vec![("POSTGRES_HOST", "[2001:db8::7]"), ("POSTGRES_PORT", "1")], ("2001:db8::7", 1)),
        (vec![("POSTGRES_HOST", "2001:DB8:0::7"), ("POSTGRES_PORT", "1")], ("2001:db8::7", 1)),
        (vec![("POSTGRES_HOST", "::1"), ("POSTGRES_ADDRESS", "[::1]:7")], ("::1", 7)),
        (vec![("POSTGRES_ADDRESS", "db"), ("POSTGRES_PORT", "5433")], ("db", 5433)),
        (vec![("POSTGRES_ADDRESS", "db:5433"), ("POSTGRES_HOST", "DB")], ("db", 5433)),
        (vec![("POSTGRES_ADDRESS", "db:5433"), ("POSTGRES_PORT", "5433")], ("db", 5433)),
    ] {
        assert_eq!(
            postgres_address(&loaded(&with_postgres(&variables))),
            expected,
            "{variables:?}"
        );
    }
}

#[test]
fn a_database_url_is_enough_for_postgresql() {
    for (url, expected, password) in [
        (
            "postgres://digger:p4ssword@DB.example.com:5433/discogsography",
            ("db.example.com", 5433),
            "p4ssword",
        ),
        ("postgresql://digger:p%40ss%2F%C3%BC%25@db/discogsography", ("db", 5432), "p@ss/ü%"),
        ("postgresql://dig%67er:p4ssword@[::1]:1/discogs%6Fgraphy", ("::1", 1), "p4ssword"),
    ] {
        let config = loaded(&[("DATABASE_URL", url), REDIS, KEY]);
        let (postgres, _) = servers(&config);
        assert_eq!(postgres_address(&config), expected, "{url}");
        assert_eq!((&*postgres.username, &*postgres.database), ("digger", "discogsography"));
        assert_eq!(postgres.password.expose_secret(), password);
    }
}

#[test]
fn other_variables_complete_a_database_url() {
    let config = loaded(&with_postgres(&[("DATABASE_URL", "postgres://db")]));
    assert_eq!(postgres_address(&config), ("db", 5432));
    let config = loaded(&with_postgres(&[
        ("DATABASE_URL", "postgres:///discogsography"),
        ("POSTGRES_HOST", "db"),
    ]));
    assert_eq!(postgres_address(&config), ("db", 5432));
    let problems = problems(&[("DATABASE_URL", "postgres://digger@db/discogsography"), REDIS, KEY]);
    assert_eq!(
        problems.iter().map(|(_, sentence)| sentence.as_str()).collect::<Vec<_>>(),
        ["POSTGRES_PASSWORD is missing: it is needed because DATABASE_URL and REDIS_URL are set \
          (for example: a long random one)"]
    );
}

#[test]
fn an_invalid_database_url_is_refused() {
    for url in [
        "db.example.com",
        "mysql://db/discogsography",
        "postgres:digger",
        "postgres://db:70000/discogsography",
        "postgres://one,two/discogsography",
        "postgres://digger:%FF@db/discogsography",
        "postgres://digger:p#ssword@db/discogsography",
        "postgres://digger:1?ssword@db/discogsography",
        "postgres://digger:p4ssword@db:0/discogsography",
    ] {
        let names = names_of_problems(&[("DATABASE_URL", url), REDIS, KEY]);
        assert_eq!(names, ["DATABASE_URL"], "{url}");
    }
}

#[test]
fn an_invalid_host_never_selects_the_embedded_store() {
    for host in ["[fe80::1%eth0]", "[::zz]", "[cache", "cache<1", "cache?x", "cache#x"] {
        assert_eq!(names_of_problems(&with_redis(&[("REDIS_HOST", host)])), ["REDIS_HOST"]);
        assert_eq!(
            names_of_problems(&with_postgres(&[("POSTGRES_HOST", host)])),
            ["POSTGRES_HOST"]
        );
    }
}

#[test]
fn redis_may_be_configured_by_its_host() {
    for (variables, url) in [
        (vec![("REDIS_HOST", "cache")], "redis://cache/0"),
        (vec![("REDIS_HOST", "cache:6380")], "redis://cache:6380/0"),
        (vec![("REDIS_HOST", "cache"), ("REDIS_PORT", "6380")], "redis://cache:6380/0"),
        (vec![("REDIS_HOST", "[::1]"), ("REDIS_PORT", "6380")], "redis://[::1]:6380/0"),
        (vec![("REDIS_HOST", "::1"), ("REDIS_PORT", "6380")], "redis://[::1]:6380/0"),
        (vec![("REDIS_URL", "redis://[0::1]/0"), ("REDIS_HOST", "::1")], "redis://[::1]/0"),
        (
            vec![("REDIS_HOST", "cache"), ("REDIS_PASSWORD", "p@ss%41")],
            "redis://:p%40ss%2541@cache/0",
        ),
        (vec![("REDIS_URL", "rediss://cache/1"), ("REDIS_HOST", "Cache")], "rediss://cache/1"),
        (vec![("REDIS_URL", "rediss://me@cache"), ("REDIS_PASSWORD", "p")], "rediss://me:p@cache"),
        (
            vec![("REDIS_URL", "redis://:p%40@cache"), ("REDIS_PASSWORD", "p@")],
            "redis://:p%40@cache",
        ),
        (vec![("REDIS_URL", "redis://cache"), ("REDIS_PORT", "6380")], "redis://cache:6380"),
    ] {
        let config = loaded(&with_redis(&variables));
        assert_eq!(servers(&config).1.url.expose_secret(), url, "{variables:?}");
    }
    for host in ["redis://cache", " ", "cache:0"] {
        assert_eq!(names_of_problems(&with_redis(&[("REDIS_HOST", host)])), ["REDIS_HOST"]);
    }
    for socket in ["/run/redis.sock", "unix:///run/redis.sock"] {
        let name = if socket.starts_with('/') { "REDIS_HOST" } else { "REDIS_URL" };
        let sentence = &problems(&with_redis(&[(name, socket)]))[0].1;
        assert!(sentence.contains("names a Unix socket, which can't be used"), "{sentence}");
    }
    let port_alone = with_redis(&[("REDIS_PORT", "0")]);
    assert_eq!(names_of_problems(&port_alone), ["REDIS_URL", "REDIS_PORT"]);
}

#[test]
fn contradicting_variables_are_refused_naming_both() {
    for (other, what, name) in [
        (("POSTGRES_HOST", "db2.example.com"), "host", "POSTGRES_ADDRESS"),
        (("POSTGRES_HOST", "db.example.com:5432"), "port", "POSTGRES_ADDRESS"),
        (("POSTGRES_PORT", "5432"), "port", "POSTGRES_ADDRESS"),
        (("DATABASE_URL", "postgres://db2.example.com"), "host", "POSTGRES_ADDRESS"),
        (("DATABASE_URL", "postgres://db.example.com:1"), "port", "POSTGRES_ADDRESS"),
        (("DATABASE_URL", "postgres://other@db.example.com"), "user name", "POSTGRES_USERNAME"),
        (("DATABASE_URL", "postgres://:other@db.example.com"), "password", "POSTGRES_PASSWORD"),
        (("DATABASE_URL", "postgres://db.example.com/other"), "database", "POSTGRES_DATABASE"),
        (("REDIS_HOST", "cache2.example.com"), "host", "REDIS_URL"),
        (("REDIS_HOST", "cache.example.com:6379"), "port", "REDIS_URL"),
        (("REDIS_PORT", "6379"), "port", "REDIS_URL"),
    ] {
        let sentence =
            format!("{} gives another {what} than {name}: make them agree, or keep one", other.0);
        assert_problem(&complete_with(&[other]), &sentence);
    }
    let other = [("POSTGRES_HOST", "db"), ("DATABASE_URL", "postgres://db2/d"), REDIS, KEY];
    let names = names_of_problems(&other);
    assert_eq!(names, ["POSTGRES_USERNAME", "POSTGRES_PASSWORD", "DATABASE_URL"]);
    let passwords = [("REDIS_URL", "redis://:one@cache"), ("REDIS_PASSWORD", "two")];
    assert_eq!(names_of_problems(&with_redis(&passwords)), ["REDIS_PASSWORD"]);
}

#[test]
fn variables_that_agree_are_accepted() {
    let config = loaded(&complete_with(&[
        ("POSTGRES_HOST", "db.example.com:5433"),
        ("POSTGRES_PORT", "5433"),
        ("DATABASE_URL", "postgres://digger:p4ssword@db.example.com:5433/discogsography"),
        ("REDIS_HOST", "cache.example.com"),
        ("REDIS_PORT", "6380"),
    ]));
    assert_eq!(postgres_address(&config), ("db.example.com", 5433));
    assert_eq!(servers(&config).1.url.expose_secret(), "redis://cache.example.com:6380/1");
}
