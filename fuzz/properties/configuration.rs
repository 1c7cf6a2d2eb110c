//! The environment: what is taken is within its bounds, what is not is explained, and nothing that
//! is secret shows in either.
//!
//! The input is `NAME=value`, a line each. Files are not read: their names would be the fuzzer's.

use std::time::Duration;

use discogsography_api::config::{Config, Environment, RateLimits, Stores, VARIABLES};
use oauth1::Target;

/// Stands in every secret; nothing else holds it.
const MARK: &str = "hush7f3a";

const SECRETS: [&str; 7] = [
    "ADMIN_EMAIL",
    "ADMIN_PASSWORD",
    "HTTPS_PROXY",
    "JWT_SECRET_KEY",
    "POSTGRES_PASSWORD",
    "REDIS_PASSWORD",
    "REDIS_URL",
];

pub(crate) fn holds(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    if text.contains(MARK) {
        return;
    }
    for ending in ["", MARK] {
        let variables = variables(text, ending);
        let set = variables.iter().filter(|(_, value)| !value.is_empty());
        let names: Vec<_> = set.map(|(name, _)| name.clone()).collect();
        let environment = Environment::of(variables);
        match Config::load(&environment) {
            Ok(config) => {
                assert!(!format!("{config:?}").contains(MARK));
                check(&config, &names);
            }
            Err(error) => {
                let said = format!("{error}\n{error:?}");
                assert!(!said.contains(MARK), "{said}");
                let names = VARIABLES.iter().any(|variable| said.contains(variable.name));
                assert!(names || said.contains("DATABASE_URL"), "{said}");
            }
        }
    }
}

/// The lines as variables, with more in what is secret.
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

/// A URL whose password begins with this; its other parts are no secrets.
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

/// Whoever sets one of these never gets the embedded stores.
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
