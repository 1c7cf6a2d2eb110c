//! Values with quotes, white space or a byte order mark around them.
//!
//! They are trimmed, refused or warned about, but never changed silently.

use std::fs;
use std::path::{Path, PathBuf};

use discogsography_api::config::{Stores, Warning};
use secrecy::ExposeSecret as _;

use super::databases::{COMPLETE, servers};
use super::{assert_problem, loaded, names_of_problems, problems};

const SECRET: &str = "a-secret-of-more-than-32-characters";

/// Returns [`COMPLETE`] with each value wrapped in `before` and `after`.
fn wrapped(before: &str, after: &str) -> Vec<(&'static str, String)> {
    COMPLETE.iter().map(|(name, value)| (*name, format!("{before}{value}{after}"))).collect()
}

fn borrowed<'a>(variables: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    variables.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

/// Returns the warning about a secret that is used with the characters around it.
fn used_unchanged(name: &str, what: &str) -> Warning {
    Warning::Careful(format!(
        "{name} holds a secret that {what} and is used exactly like that: remove what does not \
         belong to it"
    ))
}

#[test]
fn white_space_around_values_is_trimmed_except_for_secrets() {
    for (before, after, what) in [
        ("", "\r", "ends with a carriage return"),
        ("", "\n", "ends with a line feed"),
        (" ", "\r\n", "begins with a space and ends with a carriage return and a line feed"),
        ("\u{feff}", "", "begins with a byte order mark"),
    ] {
        let variables = wrapped(before, after);
        let config = loaded(&borrowed(&variables));
        let (postgres, redis) = servers(&config);
        assert_eq!((postgres.host.as_str(), postgres.port), ("db.example.com", 5433));
        assert_eq!((&*postgres.username, &*postgres.database), ("digger", "discogsography"));
        assert_eq!(redis.url.expose_secret(), "redis://cache.example.com:6380/1");
        // Any of these characters may belong to a secret, so they are kept.
        let kept = |value: &str| format!("{before}{value}{after}");
        assert_eq!(postgres.password.expose_secret(), kept("p4ssword"));
        assert_eq!(config.jwt_secret_key.unwrap().expose_secret(), kept(COMPLETE[5].1));
        let expected =
            ["POSTGRES_PASSWORD", "JWT_SECRET_KEY"].map(|name| used_unchanged(name, what));
        assert_eq!(config.warnings, expected);
    }
}

#[test]
fn a_quoted_value_is_refused_unless_it_is_a_secret() {
    for quote in ["\"", "'", "“"] {
        let mut variables = wrapped(quote, quote);
        variables.retain(|(name, _)| !["POSTGRES_PASSWORD", "JWT_SECRET_KEY"].contains(name));
        let secrets = [("POSTGRES_PASSWORD", "'p4ss'"), ("JWT_SECRET_KEY", SECRET)];
        let names = names_of_problems(&[borrowed(&variables), secrets.to_vec()].concat());
        let expected = ["POSTGRES_ADDRESS", "POSTGRES_USERNAME", "POSTGRES_DATABASE", "REDIS_URL"];
        assert_eq!(names, expected);
    }
    let what = "begins and ends with a double quote: remove what does not belong to the value";
    for (name, value) in [
        ("API_PORT", "\"8004\""),
        ("API_HOST", "\"0.0.0.0\""),
        ("LOG_LEVEL", "\"INFO\""),
        ("RATE_LIMITS", "\"on\""),
        ("CORS_ORIGINS", "\"https://a.b\""),
        ("TRUSTED_PROXIES", "\"10.0.0.0/8\""),
        ("DISCOGS_API_URL", "\"https://api.discogs.com\""),
        ("DISCOGS_USER_AGENT", "\"Crates/1.0\""),
        ("HTTPS_PROXY", "\"http://proxy\""),
        ("NO_PROXY", "\"localhost\""),
        ("DATA_DIR", "\"/srv/data\""),
    ] {
        assert_problem(&[(name, value)], &format!("{name} {what}"));
    }
    let half = problems(&[("LOG_LEVEL", "INFO'")]);
    let what = "LOG_LEVEL ends with a single quote: remove what does not belong to the value";
    assert_eq!(half[0].1, what);
}

#[test]
fn a_wrapped_secret_is_used_unchanged_with_a_warning() {
    for (before, after, what) in [
        ("\"", "\"", "begins and ends with a double quote"),
        ("'", "'", "begins and ends with a single quote"),
        ("", "\n", "ends with a line feed"),
        ("", "\r", "ends with a carriage return"),
        ("", " ", "ends with a space"),
        ("\t", "", "begins with a tab"),
        ("\u{feff}", "", "begins with a byte order mark"),
    ] {
        let secret = format!("{before}{SECRET}{after}");
        let config = loaded(&[("JWT_SECRET_KEY", &secret)]);
        assert_eq!(config.jwt_secret_key.unwrap().expose_secret(), secret);
        assert_eq!(config.warnings, [used_unchanged("JWT_SECRET_KEY", what)]);
    }
    let config =
        loaded(&[("ADMIN_EMAIL", "boss@example.com"), ("ADMIN_PASSWORD", "'s3cret password'")]);
    let password = config.first_admin.unwrap().password.into_secret();
    assert_eq!(password.expose_secret(), "'s3cret password'");
    let what = "begins and ends with a single quote";
    assert_eq!(config.warnings, [used_unchanged("ADMIN_PASSWORD", what)]);
}

/// Creates a folder with one file.
fn file(content: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, content).unwrap();
    (folder, path)
}

#[test]
fn the_content_of_a_file_is_trimmed_and_its_quotes_are_reported() {
    let (_folder, path) = file(&format!("\u{feff} {SECRET}\r\n"));
    let config = loaded(&[("JWT_SECRET_KEY_FILE", path.to_str().unwrap())]);
    assert_eq!(config.jwt_secret_key.unwrap().expose_secret(), SECRET);
    assert_eq!(config.warnings, []);
    let quoted = format!("\"{SECRET}\"");
    let (_folder, path) = file(&format!("{quoted}\n"));
    let config = loaded(&[("JWT_SECRET_KEY_FILE", path.to_str().unwrap())]);
    assert_eq!(config.jwt_secret_key.unwrap().expose_secret(), quoted);
    let what = "begins and ends with a double quote";
    assert_eq!(config.warnings, [used_unchanged("JWT_SECRET_KEY_FILE", what)]);
    let (_folder, path) = file("\"redis://cache\"");
    let path = path.to_str().unwrap();
    let problems = problems(&[&COMPLETE[..4], &[("REDIS_URL_FILE", path), COMPLETE[5]]].concat());
    let what = "names a file whose content begins and ends with a double quote: remove what does \
                not belong to the value";
    let example = "(for example: /run/secrets/redis_url)";
    assert_eq!(problems[0].1, format!("REDIS_URL_FILE `{path}` {what} {example}"));
}

#[test]
fn a_value_of_only_quotes_is_blank() {
    for (name, value) in [("JWT_SECRET_KEY", "\"\""), ("API_PORT", "''"), ("DATA_DIR", "\" \"")] {
        let sentence = format!("{name} is blank: give it a value, or leave it out");
        assert_problem(&[(name, value)], &sentence);
    }
}

#[test]
fn data_dir_is_a_literal_path() {
    for path in ["/srv/data", "/srv/data\r", " /srv/data ", "/srv/data\n"] {
        let Stores::Embedded(embedded) = loaded(&[("DATA_DIR", path)]).stores else {
            panic!("no server is configured");
        };
        assert_eq!(embedded.data_dir, Path::new("/srv/data"), "{path:?}");
    }
    let what = "DATA_DIR contains `$`. Variables in it are not expanded: the `$` is part of the folder's name";
    let config = loaded(&[("DATA_DIR", "/srv/$USER/data")]);
    assert_eq!(config.warnings, [Warning::Careful(what.to_owned())]);
    let of_a_shell = "begins with `~` or `$`, which only a shell replaces: write the whole path";
    for (path, what) in [
        ("~/data", of_a_shell),
        ("$HOME/data", of_a_shell),
        ("${HOME}/data", of_a_shell),
        ("/srv/da\nta", "contains a control character, such as a line break"),
        ("/srv/da\u{7f}ta", "contains a control character, such as a line break"),
    ] {
        assert_problem(&[("DATA_DIR", path)], &format!("DATA_DIR {what}"));
    }
}

#[test]
fn a_certificate_file_may_begin_with_a_byte_order_mark() {
    let root = format!("\u{feff}{}", include_str!("databases/root.pem"));
    let (_folder, path) = file(&root);
    let tls =
        [("POSTGRES_SSLMODE", "verify-full"), ("POSTGRES_SSLROOTCERT", path.to_str().unwrap())];
    assert_eq!(loaded(&[&COMPLETE[..], &tls].concat()).warnings, []);
}
