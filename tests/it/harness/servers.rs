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
#[expect(clippy::disallowed_methods, reason = "tests are told by variables where the servers are")]
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

/// A Redis of one test's own, which it may spoil; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct PrivateRedis {
    process: std::process::Child,
    port: u16,
}

impl PrivateRedis {
    /// Starts one on a port that is free, and waits until it answers.
    #[expect(
        clippy::disallowed_methods,
        reason = "tests are told by a variable where the program is"
    )]
    pub(crate) async fn start() -> Self {
        let program =
            std::env::var("TEST_REDIS_SERVER").unwrap_or_else(|_| "redis-server".to_owned());
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let process = std::process::Command::new(program)
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let redis = Self { process, port };
        while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            tokio::task::yield_now().await;
        }
        redis
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Has it do one command.
    pub(crate) async fn command(&self, words: &[&str]) {
        self.operator().await.command(words).await;
    }

    /// Somebody who stays connected whatever the server is told.
    pub(crate) async fn operator(&self) -> RedisOperator {
        let client = redis::Client::open(self.url()).unwrap();
        RedisOperator(client.get_multiplexed_async_connection().await.unwrap())
    }
}

/// A connection by which a server is told things.
pub(crate) struct RedisOperator(redis::aio::MultiplexedConnection);

impl RedisOperator {
    pub(crate) async fn command(&mut self, words: &[&str]) {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]).query_async::<()>(&mut self.0).await.unwrap();
    }
}

impl Drop for PrivateRedis {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
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
        client.batch_execute(&format!("create database {name}")).await.unwrap();
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
            tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(
                async {
                    let client = servers.client("postgres").await;
                    client
                        .batch_execute(&format!("drop database {name} with (force)"))
                        .await
                        .unwrap();
                },
            );
        });
        if !thread::panicking() {
            drop_database.join().unwrap();
        }
    }
}
