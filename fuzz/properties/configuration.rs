//! The environment: accepted values are within limits, and others are explained.
//!
//! Neither reveals a secret.
//!
//! The input is lines of `NAME=value`. The files that it names are not read, since the fuzzer chose
//! the names. The input is also used as the content of a file that a variable names.

use std::time::Duration;

use discogsography_api::config::{Config, Environment, RateLimits, Stores, VARIABLES};
use oauth1::Target;

/// A part of every secret, and of nothing else.
const MARK: &str = "hush7f3a";

const SECRETS: [&str; 8] = [
    "ADMIN_EMAIL",
    "ADMIN_PASSWORD",
    "HTTPS_PROXY",
    "JWT_SECRET_KEY",
    "JWT_SECRET_KEY_PREVIOUS",
    "POSTGRES_PASSWORD",
    "REDIS_PASSWORD",
    "REDIS_URL",
];

/// Variables that name a file with a secret, or one that may hold a secret.
const OF_FILES: [&str; 10] = [
    "ADMIN_EMAIL_FILE",
    "ADMIN_PASSWORD_FILE",
    "DATABASE_URL_FILE",
    "HTTPS_PROXY_FILE",
    "JWT_SECRET_KEY_FILE",
    "JWT_SECRET_KEY_PREVIOUS_FILE",
    "POSTGRES_PASSWORD_FILE",
    "POSTGRES_SSLROOTCERT",
    "REDIS_SSLROOTCERT",
    "REDIS_URL_FILE",
];

/// The variables of a service on servers whose certificates are checked.
const SERVERS: [(&str, &str); 7] = [
    ("POSTGRES_ADDRESS", "db"),
    ("POSTGRES_USERNAME", "digger"),
    ("POSTGRES_PASSWORD", "p4ssword"),
    ("POSTGRES_DATABASE", "discogsography"),
    ("POSTGRES_SSLMODE", "verify-full"),
    ("REDIS_URL", "rediss://cache"),
    ("JWT_SECRET_KEY", "7f3a9c1e5b2d8064f1a7c3e9b5d20846"),
];

pub(crate) fn holds(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    if text.contains(MARK) {
        return;
    }
    for ending in ["", MARK, "hush7f3a\"\r\n"] {
        let variables = variables(text, ending);
        let names: Vec<_> = variables.iter().map(|(name, _)| name.clone()).collect();
        let environment = Environment::of(variables);
        match Config::load(&environment) {
            Ok(config) => {
                assert!(!format!("{config:?}").contains(MARK));
                check(&config, &names);
            }
            Err(error) => {
                let said = format!("{error}\n{error:?}");
                assert!(!said.contains(MARK), "{said}");
                assert!(!error.problems().is_empty());
                for problem in error.problems() {
                    let is_ours = VARIABLES.iter().any(|ours| ours.is_named(problem.name()));
                    assert!(is_ours || names.iter().any(|name| name == problem.name()), "{said}");
                }
            }
        }
    }
    is_not_told_of_a_file(text);
}

/// Asserts that no error reveals any of a file's content.
fn is_not_told_of_a_file(text: &str) {
    let path = std::env::temp_dir().join(format!("configuration-{}", std::process::id()));
    let lines: Vec<_> = text.lines().map(|line| format!("{line}{MARK}\n{MARK}{line}\n")).collect();
    let lines = lines.concat();
    let begun = format!("-----BEGIN CERTIFICATE-----\n{lines}");
    let on_one_line = begun.replace('\n', " ");
    for content in [&lines, &begun, &on_one_line] {
        std::fs::write(&path, content).expect("the folder takes files");
        for name in OF_FILES {
            let path = path.to_str().expect("the path is text");
            let variables = SERVERS.iter().filter(|(given, _)| !name.starts_with(given));
            let variables = variables.copied().chain([(name, path)]);
            if let Err(error) = Config::load(&Environment::of(variables)) {
                let said = format!("{error}\n{error:?}");
                assert!(!said.contains(MARK), "{said}");
            }
        }
    }
    std::fs::remove_file(path).expect("the file is there");
}

/// Returns the lines as variables, with the marker added to secrets.
fn variables(text: &str, ending: &str) -> Vec<(String, String)> {
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    let pairs = pairs.filter(|(name, _)| !name.ends_with("_FILE") && !name.ends_with("CERT"));
    let pairs = pairs.filter(|(_, value)| !value.contains("sslrootcert"));
    pairs
        .map(|(name, value)| {
            let value = match name {
                "DATABASE_URL" => with_password(value, ending),
                name if SECRETS.contains(&name) => format!("{value}{ending}"),
                _ => value.to_owned(),
            };
            (name.to_owned(), value)
        })
        .collect()
}

/// Returns a URL whose password starts with `beginning`; its other parts are public.
fn with_password(url: &str, beginning: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    match rest.split_once(':') {
        Some((user, rest)) if !user.contains(['/', '?', '#']) => {
            format!("{scheme}://{user}:{beginning}{rest}")
        }
        _ => url.to_owned(),
    }
}

/// Whether setting this variable rules out the embedded store.
fn is_of_servers(name: &str) -> bool {
    ["POSTGRES_", "REDIS_", "DATABASE_URL"].iter().any(|prefix| name.starts_with(prefix))
}

fn check(config: &Config, names: &[String]) {
    let minutes = config.access_token_life.as_secs() / 60;
    assert!((1..=525_600).contains(&minutes));
    let ports = [config.api_address.port(), config.health_address.port()];
    assert!(ports[0] != ports[1] || ports[0] == 0);
    for url in [&config.discogs.api_url, &config.discogs.web_url] {
        assert!(url.starts_with("https://") || url.starts_with("http://"), "{url}");
        assert!(!url.ends_with('/') && !url.contains(['?', '#']), "{url}");
        let authority = url.split("://").nth(1).and_then(|rest| rest.split('/').next());
        assert!(authority.is_some_and(|authority| !authority.contains('@')), "{url}");
        let call = format!("{url}/oauth/identity");
        assert!(Target::new("GET", &call).signature_base_string([]).is_ok(), "{url}");
    }
    assert!(config.discogs.user_agent.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
    if let RateLimits::On(budgets) = config.rate_limits {
        for budget in [budgets.register, budgets.sign_in, budgets.failed_sign_in] {
            assert!(budget.most > 0 && budget.window > Duration::ZERO);
        }
    }
    if let Stores::Embedded(_) = &config.stores {
        assert!(!names.iter().any(|name| is_of_servers(name)), "{names:?}");
    }
    if let Stores::Servers { postgres, redis } = &config.stores {
        assert!(!postgres.host.is_empty() && postgres.port > 0 && !redis.address().is_empty());
        assert!(config.jwt_secret_key.is_some());
    }
}

#[cfg(test)]
#[test]
fn the_corpus_holds() {
    crate::corpus::replay("configuration", holds);
}
