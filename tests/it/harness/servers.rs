//! The PostgreSQL and Redis that `scripts/test` started, and a database of its own for each test.

use std::thread;

use discogsography_api::random::Random;
use tokio_postgres::{Client, NoTls};

/// Where the servers are.
#[derive(Debug, Clone)]
pub(crate) struct TestServers {
    pub(crate) postgres_address: String,
    pub(crate) postgres_username: String,
    pub(crate) postgres_password: String,
    pub(crate) redis_url: String,
}

/// A database that is dropped with this.
#[derive(Debug)]
pub(crate) struct TestDatabase {
    pub(crate) name: String,
    servers: TestServers,
}

/// The servers of `scripts/test`.
#[expect(
    clippy::disallowed_methods,
    reason = "tests are told by variables where the servers are"
)]
pub(crate) fn test_servers() -> TestServers {
    let variable = |name: &str| {
        std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run scripts/test"))
    };
    TestServers {
        postgres_address: variable("TEST_POSTGRES_ADDRESS"),
        postgres_username: variable("TEST_POSTGRES_USERNAME"),
        postgres_password: variable("TEST_POSTGRES_PASSWORD"),
        redis_url: variable("TEST_REDIS_URL"),
    }
}

impl TestServers {
    /// Connects to a database as the tests themselves, not through a proxy.
    pub(crate) async fn client(&self, database: &str) -> Client {
        let (host, port) = self.postgres_address.split_once(':').unwrap();
        let (client, driver) = tokio_postgres::Config::new()
            .host(host)
            .port(port.parse().unwrap())
            .user(&self.postgres_username)
            .password(&self.postgres_password)
            .dbname(database)
            .connect(NoTls)
            .await
            .unwrap();
        tokio::spawn(driver);
        client
    }
}

impl TestDatabase {
    /// Makes an empty database.
    pub(crate) async fn empty() -> Self {
        let servers = test_servers();
        let name = format!("test_{}", Random::from_system().unwrap().hex());
        let client = servers.client("postgres").await;
        client
            .batch_execute(&format!("create database {name}"))
            .await
            .unwrap();
        Self { name, servers }
    }

    pub(crate) async fn client(&self) -> Client {
        self.servers.client(&self.name).await
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let (servers, name) = (self.servers.clone(), self.name.clone());
        // The test's own runtime may be ending, so this one has another.
        let drop_database = thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap()
                .block_on(async {
                    let client = servers.client("postgres").await;
                    client
                        .batch_execute(&format!("drop database {name} with (force)"))
                        .await
                        .unwrap();
                });
        });
        if !thread::panicking() {
            drop_database.join().unwrap();
        }
    }
}
