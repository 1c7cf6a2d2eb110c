//! The PostgreSQL and Redis that `scripts/test` started, and a separate database for each test.

use std::path::Path;
use std::thread;

use discogsography_api::random::Random;
use tokio_postgres::{Client, NoTls};

use super::free_port;

/// The addresses and credentials of the servers.
#[derive(Debug, Clone)]
pub(crate) struct TestServers {
    pub(crate) postgres_address: String,
    pub(crate) postgres_username: String,
    pub(crate) postgres_password: String,
    pub(crate) redis_url: String,
}

/// A database that is deleted when this value goes out of scope.
#[derive(Debug)]
pub(crate) struct TestDatabase {
    pub(crate) name: String,
    servers: TestServers,
}

/// The servers of `scripts/test`.
#[expect(clippy::disallowed_methods, reason = "variables say where the servers are")]
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

/// A Redis for one test, which may break it; the process is stopped when this value is dropped.
#[derive(Debug)]
pub(crate) struct PrivateRedis {
    process: std::process::Child,
    port: u16,
}

/// Returns the path of a file that `scripts/test` created, such as `ca.pem`.
#[expect(clippy::disallowed_methods, reason = "a variable says where the files are")]
pub(crate) fn certificate(name: &str) -> String {
    let folder = std::env::var("TEST_CERTIFICATES").expect("TEST_CERTIFICATES: run scripts/test");
    format!("{folder}/{name}")
}

impl PrivateRedis {
    /// Starts a Redis on a free port, and waits until it answers.
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts a Redis that also accepts TLS, with a certificate for `localhost`.
    ///
    /// Returns it and its TLS port.
    pub(crate) async fn start_with_tls() -> (Self, u16) {
        let port = free_port();
        let (key, own) = (certificate("server.key"), certificate("server.pem"));
        let tls = ["--tls-port", &port.to_string(), "--tls-auth-clients", "no"];
        let files = ["--tls-key-file", &*key, "--tls-cert-file", &*own];
        let authority = ["--tls-ca-cert-file", &*certificate("ca.pem")];
        let redis = Self::start_with(&[&tls[..], &files, &authority].concat()).await;
        until_listening(port).await;
        (redis, port)
    }

    /// Starts a Redis with all hash slots of a cluster.
    ///
    /// It refuses scripts with keys of several slots.
    pub(crate) async fn start_as_cluster(folder: &Path) -> Self {
        let port = free_port().to_string();
        let folder = folder.to_str().unwrap();
        let options = ["--cluster-enabled", "yes", "--cluster-port", &port, "--dir", folder];
        let redis = Self::start_with(&options).await;
        redis.command(&["cluster", "addslotsrange", "0", "16383"]).await;
        let client = redis::Client::open(redis.url()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let mut info = String::new();
        while !info.contains("cluster_state:ok") {
            info = redis::cmd("CLUSTER").arg("INFO").query_async(&mut connection).await.unwrap();
        }
        redis
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "an environment variable tells the tests where the program is"
    )]
    async fn start_with(options: &[&str]) -> Self {
        let program =
            std::env::var("TEST_REDIS_SERVER").unwrap_or_else(|_| "redis-server".to_owned());
        let port = free_port();
        let process = std::process::Command::new(program)
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
            .args(options)
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let redis = Self { process, port };
        until_listening(port).await;
        redis
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Runs one command on it.
    pub(crate) async fn command(&self, words: &[&str]) {
        self.operator().await.command(words).await;
    }

    /// Opens a connection that stays open, whatever the server's settings.
    pub(crate) async fn operator(&self) -> RedisOperator {
        let client = redis::Client::open(self.url()).unwrap();
        RedisOperator(client.get_multiplexed_async_connection().await.unwrap())
    }
}

/// A connection that configures the server.
pub(crate) struct RedisOperator(redis::aio::MultiplexedConnection);

impl RedisOperator {
    pub(crate) async fn command(&mut self, words: &[&str]) {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]).query_async::<()>(&mut self.0).await.unwrap();
    }
}

async fn until_listening(port: u16) {
    while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
        tokio::task::yield_now().await;
    }
}

/// A pooler in front of PostgreSQL that may use a different connection for each transaction.
pub(crate) struct PgBouncer {
    process: std::process::Child,
    /// Removed with the pooler.
    _folder: tempfile::TempDir,
    port: u16,
}

impl PgBouncer {
    /// Starts a pooler with a few connections for all clients.
    pub(crate) async fn start() -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        let servers = test_servers();
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let port = free_port();
        let (host, upstream) = servers.postgres_address.split_once(':').unwrap();
        let users = folder.path().join("users");
        let (name, password) = (&servers.postgres_username, &servers.postgres_password);
        std::fs::write(&users, format!("\"{name}\" \"{password}\"\n")).unwrap();
        let settings = format!(
            "[databases]\n* = host={host} port={upstream}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = scram-sha-256\n\
             auth_file = {}\npool_mode = transaction\ndefault_pool_size = 3\n",
            users.display()
        );
        std::fs::write(folder.path().join("settings"), settings).unwrap();
        let mut command = std::process::Command::new("pgbouncer");
        if rustix::process::geteuid().is_root() {
            // It refuses to run as root.
            command.args(["-u", "nobody"]);
        }
        let process = command
            .args(["-q", folder.path().join("settings").to_str().unwrap()])
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let pooler = Self { process, _folder: folder, port };
        until_listening(port).await;
        pooler
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for PrivateRedis {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl TestServers {
    /// Connects to a database directly, for the test's own queries.
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
    /// Creates an empty database.
    pub(crate) async fn empty() -> Self {
        Self::create("").await
    }

    /// Creates an empty database with this encoding.
    pub(crate) async fn with_encoding(encoding: &str) -> Self {
        Self::create(&format!("encoding '{encoding}' locale 'C' template template0")).await
    }

    async fn create(options: &str) -> Self {
        let servers = test_servers();
        let name = format!("test_{}", Random::from_system().unwrap().hex());
        let client = servers.client("postgres").await;
        client.batch_execute(&format!("create database {name} {options}")).await.unwrap();
        Self { name, servers }
    }

    pub(crate) async fn client(&self) -> Client {
        self.servers.client(&self.name).await
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let (servers, name) = (self.servers.clone(), self.name.clone());
        // The test's runtime may be shutting down, so this uses a new one.
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
