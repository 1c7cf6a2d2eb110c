//! The server to connect to, and how to connect.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio_postgres::config::SslMode;
use tokio_postgres::{CancelToken, Client, Config, Connection};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::attempts::{Phase, Progress, race};
use crate::dial::{self, DialError};
use crate::stream::{TrackedStream, TrackedTls, TrackedTlsStream};
use crate::{Error, Settings, StatementNames};

/// How long a connection is idle before TCP probes whether the server is still there.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// Transfers a connection's bytes; must be polled for its client to get answers.
pub type Driver = Box<Connection<TrackedStream, TrackedTlsStream>>;

/// A server and how to sign in to it; clones share it.
#[derive(Clone)]
pub struct Server {
    host: Arc<str>,
    port: u16,
    config: Arc<Config>,
    tls: MakeRustlsConnect,
    pub(crate) statement_names: StatementNames,
}

/// A new connection.
pub struct NewConnection {
    /// Sends statements.
    pub client: Client,
    /// Transfers their bytes.
    pub driver: Driver,
    /// The address it leads to; the host name may later lead elsewhere.
    pub(crate) address: SocketAddr,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("host", &self.host).finish_non_exhaustive()
    }
}

impl fmt::Debug for NewConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewConnection").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Server {
    /// Stores the settings, and does not connect yet.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self {
            host: settings.host.as_str().into(),
            port: settings.port,
            config: Arc::new(settings.config()),
            tls: MakeRustlsConnect::new(settings.tls.client()),
            statement_names: settings.statement_names,
        }
    }

    /// Connects within 15 seconds; a slow attempt runs alongside later ones.
    ///
    /// # Errors
    ///
    /// The last attempt's error, or [`Error::ConnectTimeout`].
    pub async fn connect(&self) -> Result<NewConnection, Error> {
        let server = self.clone();
        race(move |progress| {
            let server = server.clone();
            async move { server.connect_once(&progress).await }
        })
        .await
    }

    /// Makes one attempt without a time limit, and records its phase.
    pub(crate) async fn connect_once(&self, progress: &Progress) -> Result<NewConnection, Error> {
        let addresses = dial::look_up(&self.host, self.port).await?;
        progress.begin(Phase::Connecting);
        let stream = dial::connect(addresses).await?;
        let address = stream.peer_addr().map_err(DialError::from)?;
        progress.begin(if self.requests_tls() { Phase::Tls } else { Phase::SignIn });
        let stream = self.tracked(stream, progress)?;
        let tls = self.tracked_tls(progress);
        let (client, driver) = self.config.connect_raw(stream, tls).await?;
        Ok(NewConnection { client, driver: Box::new(driver), address })
    }

    /// Asks the server to cancel what runs on a connection to `address`.
    pub(crate) async fn cancel(
        &self,
        token: &CancelToken,
        address: SocketAddr,
    ) -> Result<(), Error> {
        let stream = TcpStream::connect(address).await.map_err(DialError::from)?;
        let progress = Progress::default();
        let stream = self.tracked(stream, &progress)?;
        Ok(token.cancel_query_raw(stream, self.tracked_tls(&progress)).await?)
    }

    fn requests_tls(&self) -> bool {
        self.config.get_ssl_mode() != SslMode::Disable
    }

    fn tracked(&self, stream: TcpStream, progress: &Progress) -> Result<TrackedStream, Error> {
        let keepalive = TcpKeepalive::new().with_time(KEEPALIVE);
        let set = SockRef::from(&stream).set_tcp_keepalive(&keepalive);
        set.and_then(|()| stream.set_nodelay(true)).map_err(DialError::from)?;
        Ok(TrackedStream::new(stream, self.requests_tls().then(|| progress.clone())))
    }

    fn tracked_tls(&self, progress: &Progress) -> TrackedTls {
        TrackedTls::new(self.tls.clone(), &self.host, progress.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::Server;
    use crate::attempts::{Phase, Progress};
    use crate::{ChannelBinding, Settings, StatementNames, Tls};

    /// Asserts which phase connecting reaches if the server sends only these bytes.
    async fn assert_phase(tls: Tls, sent: &'static [u8], expected: Phase) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Server::new(&Settings {
            host: "127.0.0.1".to_owned(),
            port: listener.local_addr().unwrap().port(),
            username: "tester".to_owned(),
            password: "a-password".to_owned().into(),
            database: "tests".to_owned(),
            tls,
            application_name: "tests".to_owned(),
            channel_binding: ChannelBinding::Prefer,
            options: None,
            statement_names: StatementNames::Named,
        });
        let progress = Progress::default();
        let silent = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.read_u64().await.unwrap();
            stream.write_all(sent).await.unwrap();
            while progress.phase() != expected {
                tokio::task::yield_now().await;
            }
        };
        let reached = async {
            tokio::select! {
                made = server.connect_once(&progress) => panic!("{:?}", made.err()),
                () = silent => {}
            }
        };
        tokio::time::timeout(Duration::from_secs(30), reached).await.unwrap();
    }

    #[tokio::test]
    async fn the_phase_in_which_a_server_falls_silent_is_known() {
        assert_phase(Tls::Disable, b"", Phase::SignIn).await;
        assert_phase(Tls::Prefer, b"", Phase::Tls).await;
        assert_phase(Tls::Prefer, b"N", Phase::SignIn).await;
        assert_phase(Tls::Prefer, b"S", Phase::Tls).await;
        assert_phase(Tls::Require, b"S", Phase::Tls).await;
    }
}
