//! Unknown names: a misspelt store variable prevents the start, others cause warnings.

use discogsography_api::config::{Config, Stores, Warning};

use super::databases::COMPLETE;
use super::{loaded, names_of_problems, problems};

fn not_read(name: &str, meant: &str) -> String {
    format!("{name} is not read: did you mean {meant}?")
}

fn texts(config: &Config) -> Vec<&str> {
    let texts = config.warnings.iter().map(|warning| match warning {
        Warning::Careful(text) | Warning::Alarming(text) => text.as_str(),
    });
    texts.collect()
}

/// Misspelt or other names of store variables, and the correct ones.
const MISSPELT: [(&str, &str); 14] = [
    ("DATABSE_URL", "DATABASE_URL"),
    ("DATABASE_URI", "DATABASE_URL"),
    ("DATABASEURL", "DATABASE_URL"),
    ("database_url", "DATABASE_URL"),
    ("POSGRES_ADDRESS", "POSTGRES_ADDRESS"),
    ("POSTGRESS_ADDRESS", "POSTGRES_ADDRESS"),
    ("POSTGRES_ADDRES", "POSTGRES_ADDRESS"),
    ("POSTGRES_ADDRESS_FILE", "POSTGRES_ADDRESS"),
    ("POSTGRES_USER", "POSTGRES_USERNAME"),
    ("POSTGRES_DB", "POSTGRES_DATABASE"),
    ("POSTGRES_URL", "DATABASE_URL"),
    ("PSTGRES_SSLMODE", "POSTGRES_SSLMODE"),
    ("REDISURL", "REDIS_URL"),
    ("REDIS_ADDRESS", "REDIS_HOST"),
];

#[test]
fn a_misspelt_store_variable_never_selects_the_embedded_store() {
    for (name, meant) in MISSPELT {
        for value in ["x", ""] {
            if value.is_empty() && name.starts_with("POSTGRES_") {
                continue; // Also reported as an empty variable of the stores.
            }
            let problems = problems(&[(name, value)]);
            assert_eq!(problems[0], (name.to_owned(), not_read(name, meant)), "{value:?}");
            let is_missing = problems.iter().any(|(name, _)| name == meant);
            assert!(!is_missing, "reported twice: {problems:?}");
        }
    }
}

#[test]
fn missing_variables_are_reported_with_misspelt_ones() {
    let names = names_of_problems(&[("DATABSE_URL", "postgres://u:p@db/d")]);
    assert_eq!(names, ["DATABSE_URL", "REDIS_URL", "JWT_SECRET_KEY"]);
    let names = names_of_problems(&[("POSTGRES_ADDRES", "db")]);
    let missing = ["POSTGRES_USERNAME", "POSTGRES_PASSWORD", "POSTGRES_DATABASE"];
    assert_eq!(
        names,
        [&["POSTGRES_ADDRES"], &missing[..], &["REDIS_URL", "JWT_SECRET_KEY"]].concat()
    );
}

#[test]
fn unknown_names_are_reported_first() {
    let wrong = [
        ("POSTGRES_HOST", "db"),
        ("POSTGRES_USER", "digger"),
        ("API_PORT", "eighty"),
        ("LOGLEVEL", "DEBUG"),
        ("PGHOST", "db"),
    ];
    let names = names_of_problems(&wrong);
    assert_eq!(names[..2], ["POSTGRES_USER", "LOGLEVEL"]);
    assert_eq!(names.last().unwrap(), "API_PORT");
    assert!(!names.contains(&"PGHOST".to_owned()), "POSTGRES_HOST is set: {names:?}");
    let names = names_of_problems(&[("DB_URL", "postgres://db"), ("REDIS_HOST", "cache")]);
    assert_eq!(names[..2], ["DB_URL", "POSTGRES_ADDRESS"]);
}

#[test]
fn a_misspelt_variable_beside_complete_ones_prevents_the_start() {
    for (name, meant) in [
        ("POSTGRES_SSL_MODE", "POSTGRES_SSLMODE"),
        ("POSTGRES_SSLROOT_CERT", "POSTGRES_SSLROOTCERT"),
        ("DATABSE_URL", "DATABASE_URL"),
    ] {
        let problems = problems(&[&COMPLETE[..], &[(name, "verify-full")]].concat());
        assert_eq!(problems, [(name.to_owned(), not_read(name, meant))]);
    }
}

#[test]
fn names_of_other_programs_are_ignored_beside_complete_servers() {
    let others = [
        "POSTGRES_USER",
        "POSTGRES_DB",
        "POSTGRES_URL",
        "POSTGRES_HOST_AUTH_METHOD",
        "DATABASE_URI",
        "DATABASE_HOST",
        "DB_URL",
        "PGHOST",
        "REDIS_TLS_URL",
        "REDIS_ADDRESS",
        "REDIS_POOL",
    ];
    let others = others.map(|name| (name, "x"));
    let config = loaded(&[&COMPLETE[..], &others].concat());
    assert_eq!(texts(&config), [""; 0]);
    let by_url = [
        ("DATABASE_URL", "postgres://digger:p4ssword@db/discogsography"),
        ("REDIS_HOST", "cache"),
        ("JWT_SECRET_KEY", COMPLETE[5].1),
        ("POSTGRES_USER", "x"),
        ("POSTGRES_DB", "x"),
        ("PGHOST", "x"),
    ];
    assert_eq!(texts(&loaded(&by_url)), [""; 0]);
}

#[test]
fn names_of_other_programs_alone_cause_a_warning() {
    for (name, meant) in [
        ("PGHOST", "POSTGRES_HOST"),
        ("DB_HOST", "POSTGRES_HOST"),
        ("DB_URL", "DATABASE_URL"),
        ("POSTGRESQL_URL", "DATABASE_URL"),
        ("SQLALCHEMY_DATABASE_URI", "DATABASE_URL"),
    ] {
        let config = loaded(&[(name, "x")]);
        assert_eq!(texts(&config), [not_read(name, meant)]);
        assert!(matches!(config.stores, Stores::Embedded(_)));
    }
}

#[test]
fn any_other_misspelt_variable_causes_a_warning() {
    let config = loaded(&[("RATE_LIMIT_SIGNIN", "1/1"), ("LOGLEVEL", "DEBUG")]);
    let expected =
        [not_read("LOGLEVEL", "LOG_LEVEL"), not_read("RATE_LIMIT_SIGNIN", "RATE_LIMIT_SIGN_IN")];
    assert_eq!(texts(&config), expected);
    // An operator who sets both knows which one this service reads.
    let both = [("JWT_SECRET", "x"), ("JWT_SECRET_KEY", COMPLETE[5].1)];
    assert_eq!(texts(&loaded(&both)), [""; 0]);
    let foreign = [("HTTP_PROXY", "http://proxy"), ("APP_PORT", "80"), ("API_KEY", "x")];
    assert_eq!(texts(&loaded(&foreign)), [""; 0]);
}

#[test]
fn an_address_set_by_a_platform_causes_a_warning() {
    let config = loaded(&[("PORT", "9000"), ("HOST", "0.0.0.0")]);
    assert_eq!(texts(&config), [not_read("HOST", "API_HOST"), not_read("PORT", "API_PORT")]);
    let both = [("PORT", "9000"), ("HOST", "0.0.0.0"), ("API_PORT", "1"), ("API_HOST", "::")];
    assert_eq!(texts(&loaded(&both)), [""; 0]);
    assert_eq!(texts(&loaded(&[("HOST", "workstation"), ("PORT", "serial")])), [""; 0]);
}
