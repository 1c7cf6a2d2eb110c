//! The stores of a service under test: a folder, or a database and a Redis behind proxies.

use redis::AsyncCommands as _;
use tempfile::TempDir;

use super::opened::redis_connection;
use super::{Proxy, TestDatabase, test_servers};

/// Which stores a service uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Composition {
    Embedded,
    Servers,
}

/// The stores of a service under test.
pub(crate) struct TestStores {
    /// The folder of the embedded store.
    pub(crate) folder: TempDir,
    /// The database, and the proxies in front of the two servers.
    pub(crate) servers: Option<(TestDatabase, Proxy, Proxy)>,
}

impl TestStores {
    pub(crate) async fn new(composition: Composition) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let servers = match composition {
            Composition::Embedded => None,
            Composition::Servers => {
                let servers = test_servers();
                let redis = servers.redis_url.trim_start_matches("redis://");
                let redis = redis.split('/').next().unwrap();
                Some((
                    TestDatabase::empty().await,
                    Proxy::before(&servers.postgres_address).await,
                    Proxy::before(redis).await,
                ))
            }
        };
        Self { folder, servers }
    }

    /// Returns the variables that select these stores.
    pub(crate) fn variables(&self) -> Vec<(String, String)> {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        match &self.servers {
            None => vec![pair("DATA_DIR", self.folder.path().to_str().unwrap())],
            Some((database, postgres, redis)) => vec![
                pair("POSTGRES_ADDRESS", &postgres.address),
                pair("POSTGRES_USERNAME", &test_servers().postgres_username),
                pair("POSTGRES_PASSWORD", &test_servers().postgres_password),
                pair("POSTGRES_DATABASE", &database.name),
                pair("REDIS_URL", &format!("redis://{}/0", redis.address)),
            ],
        }
    }

    /// Returns the prefix of this test's keys in Redis.
    pub(crate) fn namespace(&self) -> String {
        let name = self.servers.as_ref().map(|(database, ..)| database.name.clone());
        format!("{}:", name.unwrap_or_default())
    }

    /// Returns the prefix of the keys of flows in Redis.
    pub(crate) fn key_prefix(&self) -> String {
        format!("{}discogs:oauth:state:", self.namespace())
    }

    /// Returns the keys and values of this test's strings in Redis; empty on the embedded store.
    pub(crate) async fn redis_strings(&self) -> Vec<(String, String)> {
        let mut strings = Vec::new();
        if self.servers.is_some() {
            let mut redis = redis_connection().await;
            let keys: Vec<String> = redis.keys(format!("{}*", self.namespace())).await.unwrap();
            for key in keys {
                if let Ok(value) = redis.get(&key).await {
                    strings.push((key, value));
                }
            }
        }
        strings
    }

    pub(crate) fn composition(&self) -> Composition {
        if self.servers.is_some() { Composition::Servers } else { Composition::Embedded }
    }

    /// Returns the PostgreSQL database; panics on the embedded store.
    pub(crate) fn database(&self) -> &TestDatabase {
        &self.servers.as_ref().unwrap().0
    }

    pub(crate) fn postgres(&self) -> &Proxy {
        &self.servers.as_ref().unwrap().1
    }

    pub(crate) fn redis(&self) -> &Proxy {
        &self.servers.as_ref().unwrap().2
    }
}
