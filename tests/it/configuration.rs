//! Reading the configuration from variables: defaults and single values.
//!
//! [`compat`]: a Python service on the same stores. [`databases`]: which stores are used, and how
//! incomplete ones are refused. [`documented`]: the documentation and the example file. [`limits`]:
//! rate limits. [`misspelt`]: unknown names.
//! [`proxies`]: which networks are trusted. [`secrets`]: read from files, and never shown.
//! [`token_secrets`]: previous secrets of access tokens.
//! [`wrapped`]: values with quotes or white space around them.

mod compat;
mod databases;
mod documented;
mod limits;
mod misspelt;
mod proxies;
mod secrets;
mod token_secrets;
mod wrapped;

use std::path::Path;
use std::time::Duration;

use discogsography_api::config::{
    Budget, Budgets, Config, ConfigError, CorsOrigins, Environment, LogFormat, LogLevel,
    Migrations, RateLimits, Stores, Warning, WebPage,
};

fn load(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::load(&Environment::of(variables.iter().copied()))
}

/// Loads variables that must be valid.
#[track_caller]
fn loaded(variables: &[(&str, &str)]) -> Config {
    load(variables).unwrap_or_else(|error| panic!("{error}"))
}

/// Returns the name and the sentence of each problem with these variables.
#[track_caller]
fn problems(variables: &[(&str, &str)]) -> Vec<(String, String)> {
    let Err(error) = load(variables) else {
        panic!("no problems with {variables:?}");
    };
    error.problems().iter().map(|problem| (name(problem), problem.to_string())).collect()
}

fn name(problem: &discogsography_api::config::Problem) -> String {
    problem.name().to_owned()
}

#[track_caller]
fn names_of_problems(variables: &[(&str, &str)]) -> Vec<String> {
    problems(variables).into_iter().map(|(name, _)| name).collect()
}

/// Asserts that the variables have exactly this problem.
#[track_caller]
fn assert_problem(variables: &[(&str, &str)], sentence: &str) {
    let problems: Vec<_> = problems(variables).into_iter().map(|(_, sentence)| sentence).collect();
    assert_eq!(problems, [sentence]);
}

#[test]
fn every_variable_is_optional() {
    let config = loaded(&[]);
    let Stores::Embedded(embedded) = &config.stores else {
        panic!("{:?}", config.stores);
    };
    assert_eq!(embedded.data_dir, Path::new("./data"));
    assert!(config.jwt_secret_key.is_none());
    assert_eq!(config.access_token_life, Duration::from_secs(86_400));
    let user_agent = "Discogsography/1.0 +https://github.com/SimplicityGuy/discogsography";
    assert!(config.first_admin.is_none());
    assert_eq!(config.discogs.user_agent, user_agent);
    assert_eq!(config.discogs.api_url, "https://api.discogs.com");
    assert_eq!(config.discogs.web_url, "https://www.discogs.com");
    assert_eq!(config.api_address.to_string(), "127.0.0.1:8004");
    assert_eq!(config.health_address.to_string(), "127.0.0.1:8005");
    assert_eq!(config.cors_origins, CorsOrigins::Any);
    assert_eq!(config.web_page, WebPage::On);
    assert_eq!((config.keep_alive, config.drain_time), (Duration::from_secs(75), Duration::ZERO));
    assert_eq!(config.app_base_url, None);
    let budget = |most, seconds| Budget { most, window: Duration::from_secs(seconds) };
    let budgets = Budgets {
        register: budget(5, 60),
        sign_in: budget(10, 60),
        failed_sign_in: budget(10, 900),
        authorize: budget(10, 60),
        authorize_address: budget(20, 60),
        verify: budget(10, 60),
        verify_address: budget(20, 60),
    };
    assert_eq!(config.rate_limits, RateLimits::On(budgets));
    assert_eq!(config.trusted_proxies, []);
    assert_eq!(config.migrations, Migrations::Automatic);
    assert_eq!(config.log_level, LogLevel::Info);
    assert_eq!(config.log_format, LogFormat::Auto);
    assert_eq!(config.warnings, []);
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    let names = databases::all_names();
    let others = names.iter().filter(|name| !databases::is_store_variable(name));
    let empty: Vec<_> = others.map(|name| (name.as_str(), "")).collect();
    assert_eq!(format!("{:?}", loaded(&empty)), format!("{:?}", loaded(&[])));
}

#[test]
fn connection_times_are_whole_seconds() {
    let config = loaded(&[("KEEP_ALIVE_SECONDS", "620"), ("DRAIN_SECONDS", "600")]);
    let seconds = (config.keep_alive.as_secs(), config.drain_time.as_secs());
    assert_eq!(seconds, (620, 600));
    assert!(loaded(&[("DRAIN_SECONDS", "0")]).drain_time.is_zero());
    for (name, most) in [("KEEP_ALIVE_SECONDS", 3600), ("DRAIN_SECONDS", 600)] {
        for wrong in [&(most + 1).to_string(), "-1", "1.5", "1s", "soon"] {
            assert_eq!(names_of_problems(&[(name, wrong)]), [name], "{wrong}");
        }
    }
    assert_eq!(names_of_problems(&[("KEEP_ALIVE_SECONDS", "0")]), ["KEEP_ALIVE_SECONDS"]);
}

#[test]
fn all_problems_are_reported_at_once() {
    let wrong = [
        ("POSTGRES_ADDRESS", "db:abc"),
        ("POSTGRES_USERNAME_FILE", "/nowhere/username"),
        ("POSTGRES_PASSWORD", "s3cret"),
        ("POSTGRES_STATEMENTS", "renamed"),
        ("REDIS_URL", "http://cache"),
        ("JWT_EXPIRE_MINUTES", "0"),
        ("DISCOGS_USER_AGENT", "Plattenkiste ♫"),
        ("DISCOGS_API_URL", "api.discogs.com"),
        ("DISCOGS_WEB_URL", "http://discogs.example.com"),
        ("DISCOGS_ALLOW_HTTP", "maybe"),
        ("API_HOST", "localhost.example.com"),
        ("API_PORT", "65536"),
        ("API_HEALTH_PORT", "-1"),
        ("CORS_ORIGINS", "explore.example.com"),
        ("WEB_PAGE", "maybe"),
        ("APP_BASE_URL", "explore.example.com"),
        ("RATE_LIMITS", "sometimes"),
        ("RATE_LIMIT_SIGN_IN", "ten"),
        ("TRUSTED_PROXIES", "10.0.0.0/99"),
        ("AUTO_MIGRATE", "later"),
        ("LOG_LEVEL", "LOUD"),
        ("LOG_FORMAT", "xml"),
    ];
    // Including missing variables, in the order of the documentation.
    let expected = [
        "POSTGRES_ADDRESS",
        "POSTGRES_USERNAME_FILE",
        "POSTGRES_DATABASE",
        "POSTGRES_STATEMENTS",
        "REDIS_URL",
        "JWT_SECRET_KEY",
        "JWT_EXPIRE_MINUTES",
        "DISCOGS_USER_AGENT",
        "DISCOGS_API_URL",
        "DISCOGS_WEB_URL",
        "DISCOGS_ALLOW_HTTP",
        "API_HOST",
        "API_PORT",
        "API_HEALTH_PORT",
        "CORS_ORIGINS",
        "WEB_PAGE",
        "APP_BASE_URL",
        "RATE_LIMITS",
        "RATE_LIMIT_SIGN_IN",
        "TRUSTED_PROXIES",
        "AUTO_MIGRATE",
        "LOG_LEVEL",
        "LOG_FORMAT",
    ];
    assert_eq!(names_of_problems(&wrong), expected);
    let text = load(&wrong).unwrap_err().to_string();
    assert!(text.starts_with("23 problems with the configuration:\n  - POSTGRES_ADDRESS `db:abc`"));
    assert_eq!(text.matches("(for example: ").count(), 23, "{text}");
    assert!(!text.contains("`: "), "{text}");
}

#[test]
fn a_problem_names_the_value_and_an_example() {
    let text = load(&[("API_PORT", "eighty")]).unwrap_err().to_string();
    assert_eq!(
        text,
        "1 problem with the configuration:\n  \
         - API_PORT `eighty` is not a port number from 1 to 65535 (for example: 8004)\n\
         Every variable is described in docs/configuration.md."
    );
}

#[test]
fn the_ports_must_differ() {
    let sentence = "API_HEALTH_PORT is the same as API_PORT (for example: 8005)";
    assert_problem(&[("API_PORT", "9000"), ("API_HEALTH_PORT", "9000")], sentence);
    assert_problem(&[("API_PORT", "8005")], sentence);
    loaded(&[("API_PORT", "0"), ("API_HEALTH_PORT", "0")]);
    let names = names_of_problems(&[("API_PORT", "8005"), ("LOG_LEVEL", "LOUD")]);
    assert_eq!(names, ["API_HEALTH_PORT", "LOG_LEVEL"]);
}

#[test]
fn api_host_is_an_ip_address() {
    for (host, address) in [
        ("0.0.0.0", "0.0.0.0:8004"),
        ("localhost", "127.0.0.1:8004"),
        ("::", "[::]:8004"),
        ("[::1]", "[::1]:8004"),
    ] {
        assert_eq!(loaded(&[("API_HOST", host)]).api_address.to_string(), address);
    }
    for host in ["api", "0.0.0.0:80", "256.0.0.1", "*"] {
        assert_eq!(names_of_problems(&[("API_HOST", host)]), ["API_HOST"], "{host}");
    }
}

#[test]
fn an_access_token_lives_a_minute_to_a_year() {
    for (minutes, seconds) in [("1", 60), (" 60 ", 3_600), ("525600", 31_536_000)] {
        let life = loaded(&[("JWT_EXPIRE_MINUTES", minutes)]).access_token_life;
        assert_eq!(life, Duration::from_secs(seconds));
    }
    for minutes in ["0", "525601", "-1", "1.5", "1e3", "a day", " ", "99999999999999999999"] {
        let names = names_of_problems(&[("JWT_EXPIRE_MINUTES", minutes)]);
        assert_eq!(names, ["JWT_EXPIRE_MINUTES"], "{minutes:?}");
    }
}

#[test]
fn log_levels_are_those_of_python_and_trace() {
    for (word, level) in [
        ("DEBUG", LogLevel::Debug),
        ("INFO", LogLevel::Info),
        ("WARNING", LogLevel::Warning),
        ("ERROR", LogLevel::Error),
        ("CRITICAL", LogLevel::Error),
        ("TRACE", LogLevel::Trace),
        ("info", LogLevel::Info),
        ("Warning", LogLevel::Warning),
    ] {
        assert_eq!(loaded(&[("LOG_LEVEL", word)]).log_level, level, "{word}");
    }
    for word in ["LOUD", "10", "INFO,sqlx=DEBUG"] {
        assert_eq!(names_of_problems(&[("LOG_LEVEL", word)]), ["LOG_LEVEL"], "{word}");
    }
}

#[test]
fn log_formats_and_switches_are_words() {
    for (word, format) in
        [("auto", LogFormat::Auto), ("json", LogFormat::Json), ("Pretty", LogFormat::Pretty)]
    {
        assert_eq!(loaded(&[("LOG_FORMAT", word)]).log_format, format, "{word}");
    }
    for (word, migrations) in [
        ("on", Migrations::Automatic),
        ("TRUE", Migrations::Automatic),
        ("1", Migrations::Automatic),
        ("off", Migrations::Manual),
        ("False", Migrations::Manual),
        ("no", Migrations::Manual),
    ] {
        assert_eq!(loaded(&[("AUTO_MIGRATE", word)]).migrations, migrations, "{word}");
    }
    assert_eq!(names_of_problems(&[("AUTO_MIGRATE", "2")]), ["AUTO_MIGRATE"]);
    assert_eq!(loaded(&[("WEB_PAGE", "off")]).web_page, WebPage::Off);
}

#[test]
fn app_base_url_is_an_http_address() {
    for url in ["https://explore.example.com/", "http://nas.local:8080/app", "https://[::1]/"] {
        let config = loaded(&[("APP_BASE_URL", url)]);
        assert_eq!(config.app_base_url.unwrap().as_str(), url);
    }
    for wrong in [
        "explore.example.com",
        "/app",
        "javascript:alert(1)",
        "ftp://example.com/",
        "https://user:secret@example.com/",
        "https://example.com/?from=mail",
        "https://example.com/#top",
    ] {
        assert_eq!(names_of_problems(&[("APP_BASE_URL", wrong)]), ["APP_BASE_URL"], "{wrong}");
    }
}

#[test]
fn cors_origins_are_read_as_browsers_write_them() {
    let only = |origins: &[&str]| {
        CorsOrigins::Only(origins.iter().map(|origin| (*origin).to_owned()).collect())
    };
    for (value, origins) in [
        ("*", CorsOrigins::Any),
        ("https://explore.example.com", only(&["https://explore.example.com"])),
        (" https://a.b , http://c:3000,", only(&["https://a.b", "http://c:3000"])),
        ("https://a.b/", only(&["https://a.b"])),
        ("https://A.B", only(&["https://a.b"])),
    ] {
        assert_eq!(loaded(&[("CORS_ORIGINS", value)]).cors_origins, origins, "{value}");
    }
    for value in
        ["explore.example.com", "https://a.b/path", "*, https://a.b", "https://*.a.b", ",", "null"]
    {
        assert_eq!(names_of_problems(&[("CORS_ORIGINS", value)]), ["CORS_ORIGINS"], "{value}");
    }
    for (value, what) in [
        ("example.com", "`example.com` needs https:// in front"),
        (
            "https://a.b, example.com",
            "`https://a.b, example.com` needs https:// in front (origin 2)",
        ),
        (
            "https://a.b/path",
            "`https://a.b/path` must be a scheme, a host and perhaps a port, and nothing else",
        ),
    ] {
        let example = "(for example: https://explore.example.com)";
        assert_problem(&[("CORS_ORIGINS", value)], &format!("CORS_ORIGINS {what} {example}"));
    }
}

#[test]
fn discogs_needs_https_unless_it_is_on_this_machine() {
    for (url, read) in [
        ("https://discogs.example.com", "https://discogs.example.com"),
        ("https://discogs.example.com/v2/", "https://discogs.example.com/v2"),
        ("http://localhost:8014", "http://localhost:8014"),
        ("http://127.0.0.1:8014/", "http://127.0.0.1:8014"),
        ("http://[::1]:8014", "http://[::1]:8014"),
    ] {
        let config = loaded(&[("DISCOGS_API_URL", url), ("DISCOGS_WEB_URL", url)]);
        assert_eq!(
            (config.discogs.api_url.as_str(), config.discogs.web_url.as_str()),
            (read, read)
        );
        assert_eq!(config.warnings, []);
    }
    for url in [
        "discogs.example.com",
        "ftp://discogs.example.com",
        "https://",
        "https://discogs.example.com/?page=1",
        "https://discogs.example.com/#top",
        "https://digger@discogs.example.com",
        "http://discogs.example.com",
        "http://192.168.0.2",
        "http://localhost.example.com",
        "http://127.0.0.1.example.com",
    ] {
        assert_eq!(names_of_problems(&[("DISCOGS_API_URL", url)]), ["DISCOGS_API_URL"], "{url}");
        assert_eq!(names_of_problems(&[("DISCOGS_WEB_URL", url)]), ["DISCOGS_WEB_URL"], "{url}");
    }
}

#[test]
fn plain_http_beyond_this_machine_is_allowed_with_a_warning() {
    let url = ("DISCOGS_API_URL", "http://discogs.example.com");
    let config = loaded(&[url, ("DISCOGS_ALLOW_HTTP", "on")]);
    assert_eq!(config.discogs.api_url, "http://discogs.example.com");
    let warning = "DISCOGS_API_URL is plain http: anyone on the network path can read and change \
                   what the service and Discogs exchange";
    assert_eq!(config.warnings, [Warning::Careful(warning.to_owned())]);
    assert_problem(
        &[url, ("DISCOGS_ALLOW_HTTP", "off")],
        "DISCOGS_API_URL is plain http to another machine; use https, or set \
         DISCOGS_ALLOW_HTTP=on (for example: https://api.discogs.com)",
    );
}
