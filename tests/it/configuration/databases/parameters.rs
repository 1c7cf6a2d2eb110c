//! URL parameters that providers add.
//!
//! They are applied, ignored with a warning, or refused if ignoring them would weaken security.

use discogsography_api::config::{ChannelBinding, Config, StatementNames, Warning};
use secrecy::ExposeSecret as _;

use super::super::{assert_problem, loaded, problems};
use super::{COMPLETE, servers};

/// Returns all variables of a service configured by two URLs.
fn by_urls<'a>(database: &'a str, redis: &'a str) -> [(&'a str, &'a str); 3] {
    [("DATABASE_URL", database), ("REDIS_URL", redis), COMPLETE[5]]
}

fn with_database(parameters: &str) -> Config {
    let url = format!("postgres://digger:p4ssword@db/discogsography?{parameters}");
    loaded(&by_urls(&url, "redis://cache"))
}

fn with_redis(url: &str) -> Config {
    loaded(&by_urls("postgres://digger:p4ssword@db/discogsography", url))
}

/// Returns the only problem with a `DATABASE_URL` or a `REDIS_URL`.
fn problem(name: &str, url: &str) -> String {
    let mut urls = by_urls("postgres://digger:p4ssword@db/discogsography", "redis://cache");
    urls.iter_mut().find(|(of, _)| *of == name).unwrap().1 = url;
    let problems = problems(&urls);
    assert_eq!(problems.len(), 1, "{url}: {problems:?}");
    problems[0].1.clone()
}

fn no_effect(name: &str, parameters: &str) -> Warning {
    Warning::Careful(format!("{name} has parameters that have no effect: {parameters}"))
}

#[test]
fn urls_of_providers_are_accepted() {
    for (parameters, ignored) in [
        ("sslmode=require&channel_binding=require", ""),
        ("sslmode=require&pgbouncer=true", ""),
        ("sslmode=require&application_name=crates&target_session_attrs=any", ""),
        ("ssl=true", ""),
        ("gssencmode=disable&sslnegotiation=postgres&ssl_min_protocol_version=TLSv1.2", ""),
        (
            "connect_timeout=10&target_session_attrs=read-write",
            "connect_timeout, target_session_attrs",
        ),
        ("options=endpoint%3Dep-cool-1&schema=public", "options, schema"),
        ("pool_timeout=3&weird-1=2", "pool_timeout, (not shown)"),
    ] {
        let warnings = with_database(parameters).warnings;
        let expected =
            if ignored.is_empty() { vec![] } else { vec![no_effect("DATABASE_URL", ignored)] };
        assert_eq!(warnings, expected, "{parameters}");
    }
}

#[test]
fn supported_parameters_are_applied() {
    let config = with_database(
        "sslmode=require&channel_binding=require&pgbouncer=true&application_name=my+crates%21",
    );
    let (postgres, _) = servers(&config);
    assert_eq!(postgres.channel_binding, ChannelBinding::Require);
    assert_eq!(postgres.statements, StatementNames::Unnamed);
    assert_eq!(&*postgres.application_name, "my+crates!");
    let config = loaded(&COMPLETE);
    let (postgres, _) = servers(&config);
    assert_eq!(postgres.channel_binding, ChannelBinding::Prefer);
    assert_eq!(postgres.statements, StatementNames::Named);
    assert_eq!(&*postgres.application_name, "discogsography-api");
    for (word, expected) in
        [("disable", ChannelBinding::Disable), ("prefer", ChannelBinding::Prefer)]
    {
        let config = with_database(&format!("channel_binding={word}"));
        assert_eq!(servers(&config).0.channel_binding, expected);
    }
}

#[test]
fn host_user_and_database_may_be_parameters() {
    let url = "postgres:///?host=db&port=5433&user=digger&password=p+4%20&dbname=crates";
    let config = loaded(&by_urls(url, "redis://cache"));
    let (postgres, _) = servers(&config);
    assert_eq!((postgres.host.as_str(), postgres.port), ("db", 5433));
    assert_eq!((&*postgres.username, &*postgres.database), ("digger", "crates"));
    assert_eq!(postgres.password.expose_secret(), "p+4 ");
}

#[test]
fn unsupported_security_parameters_are_refused_by_name() {
    for (parameters, name) in [
        ("sslcert=/x&sslkey=/y", "sslcert"),
        ("require_auth=scram-sha-256", "require_auth"),
        ("gssencmode=require", "gssencmode"),
        ("ssl_min_protocol_version=TLSv1.3", "ssl_min_protocol_version"),
        ("sslcrl=/x", "sslcrl"),
        ("sslaccept=strict", "sslaccept"),
    ] {
        let url = format!("postgres://digger:p4ssword@db/discogsography?{parameters}");
        let sentence = problem("DATABASE_URL", &url);
        let begin =
            format!("DATABASE_URL has the parameter {name}, which requests a security feature");
        assert!(sentence.starts_with(&begin), "{sentence}");
    }
    for parameters in ["channel_binding=require", "channel_binding=always", "hostaddr=10.0.0.1"] {
        let url = format!("postgres://digger:p4ssword@db/discogsography?{parameters}");
        let sentence = problem("DATABASE_URL", &url);
        assert!(sentence.contains(parameters.split('=').next().unwrap()), "{sentence}");
    }
    for (url, name) in [
        ("rediss://cache?ssl_cert_reqs=none", "ssl_cert_reqs"),
        ("rediss://cache?ssl_check_hostname=false", "ssl_check_hostname"),
        ("rediss://cache?ssl_ca_certs=/x", "ssl_ca_certs"),
        ("rediss://cache?insecure_skip_verify=true", "insecure_skip_verify"),
        ("redis://cache?ssl=true", "ssl"),
        ("redis://cache?password=s3cret", "password"),
        ("rediss://cache#insecure", "#insecure"),
    ] {
        let sentence = problem("REDIS_URL", url);
        assert!(sentence.contains(name) && !sentence.contains("s3cret"), "{sentence}");
    }
}

#[test]
fn contradicting_statement_names_are_refused_naming_both() {
    let url = "postgres://digger:p4ssword@db/discogsography?pgbouncer=true";
    let variables = [&by_urls(url, "redis://cache")[..], &[("POSTGRES_STATEMENTS", "named")]];
    assert_problem(
        &variables.concat(),
        "DATABASE_URL gives another kind of statements than POSTGRES_STATEMENTS: make them agree, \
         or keep one",
    );
}

#[test]
fn a_unix_socket_is_refused_with_an_explanation() {
    for url in [
        "postgres:///discogsography?host=/var/run/postgresql&user=u&password=p",
        "postgres://u:p@%2Fvar%2Frun%2Fpostgresql/discogsography",
    ] {
        let sentence = problem("DATABASE_URL", url);
        let what = "DATABASE_URL names a Unix socket, which can't be used: give a host and port";
        assert!(sentence.starts_with(what), "{sentence}");
    }
    let sentence = problem("REDIS_URL", "unix:///run/redis.sock?db=1");
    let what = "REDIS_URL names a Unix socket, which can't be used: give a host and port";
    assert!(sentence.starts_with(what), "{sentence}");
}

#[test]
fn the_redis_database_may_be_a_parameter() {
    for (url, expected) in [
        ("redis://cache?db=1", "redis://cache/1"),
        ("redis://cache/?db=1", "redis://cache/1"),
        ("redis://:s3cret@cache:6380/0?db=12", "redis://:s3cret@cache:6380/12"),
        ("rediss://cache/3?ssl_cert_reqs=required&protocol=3", "rediss://cache/3"),
    ] {
        let config = with_redis(url);
        assert_eq!(servers(&config).1.url.expose_secret(), expected);
        assert_eq!(config.warnings, []);
    }
    for number in ["-1", "one", "", "99999999999"] {
        let sentence = problem("REDIS_URL", &format!("redis://cache?db={number}"));
        assert!(sentence.contains("a database that is not a number of 0 or more"), "{sentence}");
    }
}

#[test]
fn redis_parameters_without_effect_cause_a_warning() {
    let url = "redis://cache/1?health_check_interval=30&socket_timeout=5";
    let expected = no_effect("REDIS_URL", "health_check_interval, socket_timeout");
    let config = with_redis(url);
    assert_eq!(config.warnings, [expected]);
    assert_eq!(servers(&config).1.url.expose_secret(), "redis://cache/1");
}

#[test]
fn a_password_that_breaks_its_url_gets_a_hint_to_encode_it() {
    for url in ["redis://:pa#ss@cache", "redis://u:1#x@cache", "redis://u:1?x@cache"] {
        let sentence = problem("REDIS_URL", url);
        assert!(sentence.contains("%XX") || sentence.contains("%23"), "{sentence}");
    }
}
