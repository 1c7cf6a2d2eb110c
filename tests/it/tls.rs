//! TLS connections to the stores: which servers are trusted, and the errors about others.
//!
//! The servers' certificate names `localhost`, so `127.0.0.1` counts as another host.

use std::time::Duration;

use discogsography_api::clock::Clock;
use discogsography_api::config::{Config, Environment, Migrations};
use discogsography_api::metrics::Metrics;
use discogsography_api::random::Random;
use discogsography_api::server::{OpenedStores, open_stores};
use discogsography_api::surroundings::Surroundings;
use discogsography_api::telemetry::chain;

use crate::harness::{
    PgBouncer, PrivateRedis, Program, TestDatabase, certificate, new_user, test_servers,
};

/// Counts the service's connections to this database, and how many of them are encrypted.
const CONNECTIONS: &str = "
    select count(*), count(*) filter (where ssl)
    from pg_stat_ssl join pg_stat_activity using (pid)
    where datname = current_database() and application_name = 'discogsography-api'";

const UNTRUSTED: &str = "not signed by a trusted authority";
const ANOTHER_HOST: &str = "is for another host name";
const NO_TLS: &str = "server does not support TLS";

/// Whether connections to PostgreSQL are encrypted, or part of the error.
type Encryption = Result<bool, &'static str>;

const PLAIN: Encryption = Ok(false);
const ENCRYPTED: Encryption = Ok(true);

fn open(variables: &[(&str, &str)]) -> OpenedStores {
    let key = ("JWT_SECRET_KEY", "0123456789abcdef0123456789abcdef");
    let variables = variables.iter().copied().chain([key]);
    let config = Config::load(&Environment::of(variables)).unwrap();
    let surroundings = Surroundings {
        clock: Clock::system(),
        random: Random::from_system().unwrap(),
        sandbox_consumer: None,
    };
    open_stores(&config, &surroundings, &Metrics::new()).unwrap()
}

/// Returns the variables of a database at `address`, plus `variables`.
fn database_variables<'a>(
    address: &'a str,
    database: &'a TestDatabase,
    sign_in: &'a [(&'a str, String); 2],
    variables: &[(&'a str, &'a str)],
) -> Vec<(&'a str, &'a str)> {
    let sign_in = sign_in.iter().map(|(name, value)| (*name, value.as_str()));
    let others = [
        ("POSTGRES_ADDRESS", address),
        ("POSTGRES_DATABASE", &*database.name),
        ("REDIS_URL", "redis://localhost"),
    ];
    sign_in.chain(others).chain(variables.iter().copied()).collect()
}

fn sign_in() -> [(&'static str, String); 2] {
    let servers = test_servers();
    [
        ("POSTGRES_USERNAME", servers.postgres_username),
        ("POSTGRES_PASSWORD", servers.postgres_password),
    ]
}

/// Returns the address of the tests' PostgreSQL with this host name.
fn by_name(host: &str) -> String {
    let address = test_servers().postgres_address;
    format!("{host}:{}", address.split_once(':').unwrap().1)
}

/// Asserts that the connections were encrypted, or not, or why they failed.
#[track_caller]
fn assert_encryption(
    given: &[(&str, &str)],
    expected: Encryption,
    actual: &Result<(i64, i64), String>,
) {
    match (expected, actual) {
        (Ok(true), Ok((all, encrypted))) => assert!(*all > 0 && all == encrypted, "{given:?}"),
        (Ok(false), Ok((all, encrypted))) => assert!(*all > 0 && *encrypted == 0, "{given:?}"),
        (Err(words), Err(error)) => assert!(error.contains(words), "{given:?}: {error}"),
        (expected, actual) => panic!("{given:?}: {actual:?} instead of {expected:?}"),
    }
}

/// Connects, and returns the numbers of all and of encrypted connections, or the error.
async fn connections(address: &str, variables: &[(&str, &str)]) -> Result<(i64, i64), String> {
    let (database, sign_in) = (TestDatabase::empty().await, sign_in());
    let storage = open(&database_variables(address, &database, &sign_in, variables)).storage;
    storage.prepare(Migrations::Automatic).await.map_err(|error| chain(&error))?;
    storage.ping().await.map_err(|error| chain(&error))?;
    let row = database.client().await.query_one(CONNECTIONS, &[]).await.unwrap();
    storage.close().await;
    Ok((row.get(0), row.get(1)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn each_sslmode_verifies_what_it_promises() {
    let (own, other) = (certificate("ca.pem"), certificate("other-ca.pem"));
    let (localhost, address) = (by_name("localhost"), by_name("127.0.0.1"));
    for (mode, roots, of_localhost, of_address) in [
        ("disable", None, PLAIN, PLAIN),
        ("prefer", None, ENCRYPTED, ENCRYPTED),
        ("require", None, ENCRYPTED, ENCRYPTED),
        ("require", Some(&own), ENCRYPTED, ENCRYPTED),
        ("require", Some(&other), Err(UNTRUSTED), Err(UNTRUSTED)),
        ("verify-ca", Some(&own), ENCRYPTED, ENCRYPTED),
        ("verify-ca", Some(&other), Err(UNTRUSTED), Err(UNTRUSTED)),
        ("verify-full", Some(&own), ENCRYPTED, Err(ANOTHER_HOST)),
        ("verify-full", Some(&other), Err(UNTRUSTED), Err(UNTRUSTED)),
        ("verify-full", None, Err(UNTRUSTED), Err(UNTRUSTED)),
    ] {
        let mut variables = vec![("POSTGRES_SSLMODE", mode)];
        variables.extend(roots.map(|path| ("POSTGRES_SSLROOTCERT", path.as_str())));
        assert_encryption(&variables, of_localhost, &connections(&localhost, &variables).await);
        assert_encryption(&variables, of_address, &connections(&address, &variables).await);
    }
    assert_encryption(&[], PLAIN, &connections(&localhost, &[]).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn a_server_without_tls_is_refused_if_tls_is_required() {
    let pooler = PgBouncer::start().await;
    let own = certificate("ca.pem");
    for (mode, roots, refusal) in [
        ("disable", None, None),
        ("prefer", None, None),
        ("require", None, Some(NO_TLS)),
        ("verify-ca", Some(&own), Some(NO_TLS)),
        ("verify-full", Some(&own), Some(NO_TLS)),
    ] {
        let mut variables = vec![("POSTGRES_SSLMODE", mode), ("POSTGRES_STATEMENTS", "unnamed")];
        variables.extend(roots.map(|path| ("POSTGRES_SSLROOTCERT", path.as_str())));
        let error = connections(&pooler.address(), &variables).await.err();
        match (refusal, &error) {
            (None, None) => {}
            (Some(words), Some(error)) if error.contains(words) => {}
            _ => panic!("{mode}: {error:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn a_database_url_may_ask_for_tls() {
    let (database, [(_, name), (_, password)]) = (TestDatabase::empty().await, sign_in());
    let url = format!(
        "postgresql://{name}:{password}@{}/{}?sslmode=verify-full&sslrootcert={}",
        by_name("localhost"),
        database.name,
        certificate("ca.pem")
    );
    let storage = open(&[("DATABASE_URL", &url), ("REDIS_HOST", "localhost")]).storage;
    storage.prepare(Migrations::Automatic).await.unwrap();
    let row = database.client().await.query_one(CONNECTIONS, &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), row.get::<_, i64>(1));
    storage.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn a_database_url_may_ask_for_channel_binding() {
    const CONNECTIONS_BY_NAME: &str = "
        select count(*), count(*) filter (where ssl)
        from pg_stat_ssl join pg_stat_activity using (pid)
        where datname = current_database() and application_name = 'crates'";
    let (database, [(_, name), (_, password)]) = (TestDatabase::empty().await, sign_in());
    let open_with = |address: &str, sslmode: &str| {
        let url = format!(
            "postgresql://{name}:{password}@{address}/{}?sslmode={sslmode}&channel_binding=require\
             &application_name=crates&pgbouncer=true",
            database.name
        );
        open(&[("DATABASE_URL", &url), ("REDIS_HOST", "localhost")]).storage
    };
    let storage = open_with(&by_name("localhost"), "require");
    storage.prepare(Migrations::Automatic).await.unwrap();
    let row = database.client().await.query_one(CONNECTIONS_BY_NAME, &[]).await.unwrap();
    assert!(row.get::<_, i64>(0) > 0);
    assert_eq!(row.get::<_, i64>(0), row.get::<_, i64>(1));
    storage.close().await;
    // The pooler has no TLS, so channel binding is impossible.
    let pooler = PgBouncer::start().await;
    let storage = open_with(&pooler.address(), "prefer");
    let refused = storage.prepare(Migrations::Automatic).await.unwrap_err();
    assert!(chain(&refused).contains("channel binding"), "{}", chain(&refused));
}

/// The server has no statement timeout, so only a cancellation ends a waiting statement.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn a_statement_is_cancelled_over_tls_too() {
    let (database, sign_in) = (TestDatabase::empty().await, sign_in());
    let (address, own) = (by_name("localhost"), certificate("ca.pem"));
    let variables = [
        ("POSTGRES_SSLMODE", "verify-full"),
        ("POSTGRES_SSLROOTCERT", &*own),
        ("POSTGRES_STATEMENTS", "unnamed"),
    ];
    let storage = open(&database_variables(&address, &database, &sign_in, &variables)).storage;
    storage.prepare(Migrations::Automatic).await.unwrap();
    let mut client = database.client().await;
    let transaction = client.transaction().await.unwrap();
    transaction.batch_execute("lock table users").await.unwrap();
    let created = storage.create_user(&new_user("digger@example.com")).await;
    assert!(chain(&created.unwrap_err()).contains("no answer from PostgreSQL"));
    let waiting = "
        select count(*)
        from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock'";
    let all_cancelled = async {
        while transaction.query_one(waiting, &[]).await.unwrap().get::<_, i64>(0) > 0 {
            // A transaction caches the list of connections until the cache is cleared.
            transaction.batch_execute("select pg_stat_clear_snapshot()").await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(30), all_cancelled).await.unwrap();
    storage.close().await;
}

/// Returns the error of a connection to Redis; `None` if it works.
async fn redis_refusal(url: &str, roots: Option<&str>) -> Option<String> {
    let mut variables = vec![
        ("POSTGRES_ADDRESS", "localhost"),
        ("POSTGRES_USERNAME", "digger"),
        ("POSTGRES_PASSWORD", "p4ssword"),
        ("POSTGRES_DATABASE", "discogsography"),
        ("REDIS_URL", url),
    ];
    variables.extend(roots.map(|path| ("REDIS_SSLROOTCERT", path)));
    open(&variables).flows.ping().await.err().map(|error| chain(&error))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn redis_is_trusted_by_its_certificate() {
    let (redis, port) = PrivateRedis::start_with_tls().await;
    let (own, other) = (certificate("ca.pem"), certificate("other-ca.pem"));
    let (localhost, address) =
        (format!("rediss://localhost:{port}/0"), format!("rediss://127.0.0.1:{port}/0"));
    assert_eq!(redis_refusal(&localhost, Some(&own)).await, None);
    // A Redis without TLS takes the handshake for an incomplete command, and waits for the rest.
    for (url, roots, words) in [
        (&localhost, Some(&*other), UNTRUSTED),
        (&localhost, None, UNTRUSTED),
        (&address, Some(&*own), ANOTHER_HOST),
        (&redis.url().replace("redis:", "rediss:"), Some(&*own), "timed out"),
    ] {
        let error = redis_refusal(url, roots).await.expect(words);
        assert!(error.contains(words), "{url} {roots:?}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: run scripts/test"]
async fn root_certificates_of_the_system_apply_to_both_stores() {
    let (_redis, port) = PrivateRedis::start_with_tls().await;
    let (database, sign_in) = (TestDatabase::empty().await, sign_in());
    let address = by_name("localhost");
    let url = format!("rediss://localhost:{port}/0");
    let variables =
        database_variables(&address, &database, &sign_in, &[("POSTGRES_SSLMODE", "verify-full")]);
    let variables = variables.into_iter().filter(|(name, _)| *name != "REDIS_URL");
    let program =
        variables.fold(Program::new(), |program, (name, value)| program.with(name, value));
    let program = program
        .with("REDIS_URL", &url)
        .with("SSL_CERT_FILE", &certificate("ca.pem"))
        .with("JWT_SECRET_KEY", "0123456789abcdef0123456789abcdef");
    let service = program.serve(&["serve"]);
    let health = service.health().await;
    assert_eq!(health.json()["status"], "healthy", "{health:?}");
}
