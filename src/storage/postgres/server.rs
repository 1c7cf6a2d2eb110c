//! The server that connections are made to: where it is, and how it proves who it is.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use secrecy::ExposeSecret as _;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio_postgres::config::{self, SslMode};
use tokio_postgres::{CancelToken, Client, Config, Connection};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::error::PostgresError;
use super::making::{Progress, Step, make};
use super::watched::{Watched, WatchedTls, WatchedTlsStream};
use crate::config::{ChannelBinding, PostgresConfig, PostgresTls, StatementNames};
use crate::dial::{self, Unreached};
use crate::tls;

/// After how long a connection that is idle is asked whether the server is still there.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// The settings of every session of ours.
///
/// A statement has its limit while it runs; waiting behind others does not count. Each is planned once:
/// left to itself, the server plans anew for each read of few users, since it takes a list that it does
/// not know for one of ten. All go by a key, and so has the plan to: it may be made while a table is still
/// empty, and would read all of it until the server analyzes it. (What has no key to go by is compiled
/// where that seems dear, so that is off.)
const SETTINGS: &str = "-c statement_timeout=2s -c plan_cache_mode=force_generic_plan \
                        -c enable_seqscan=off -c jit=off";

/// What moves a connection's bytes; it is large.
pub(crate) type Driver = Box<Connection<Watched, WatchedTlsStream>>;

/// A server, and what it takes to connect to it; clones share it.
#[derive(Clone)]
pub(crate) struct Server {
    host: Arc<str>,
    port: u16,
    settings: Arc<Config>,
    tls: MakeRustlsConnect,
    pub(super) statements: StatementNames,
}

/// A connection that was just made.
pub(crate) struct Made {
    pub(crate) client: Client,
    pub(crate) driver: Driver,
    /// Where it leads: the name may lead elsewhere later.
    pub(super) address: SocketAddr,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").finish_non_exhaustive()
    }
}

impl Server {
    pub(crate) fn new(config: &PostgresConfig) -> Self {
        let mut settings = Config::new();
        settings
            .user(&config.username)
            .password(config.password.expose_secret())
            .dbname(&config.database)
            .application_name(&*config.application_name)
            .channel_binding(channel_binding(config.channel_binding));
        if config.statements == StatementNames::Named {
            // A pooler of transactions knows no settings of a connection.
            settings.options(SETTINGS);
        }
        settings.ssl_mode(match config.tls {
            PostgresTls::Disable => SslMode::Disable,
            PostgresTls::Prefer => SslMode::Prefer,
            PostgresTls::Require | PostgresTls::VerifyCa(_) | PostgresTls::VerifyFull(_) => {
                SslMode::Require
            }
        });
        Self {
            host: config.host.as_str().into(),
            port: config.port,
            settings: Arc::new(settings),
            tls: MakeRustlsConnect::new(tls_client(&config.tls)),
            statements: config.statements,
        }
    }

    /// Connects with the settings of every session of ours, in bounded time.
    pub(crate) async fn connect(&self) -> Result<Made, PostgresError> {
        let server = self.clone();
        make(move |progress| {
            let server = server.clone();
            async move { server.connect_once(&progress).await }
        })
        .await
    }

    /// Connects for as long as it takes, and says which step that is.
    pub(super) async fn connect_once(&self, progress: &Progress) -> Result<Made, PostgresError> {
        let addresses = dial::look_up(&self.host, self.port).await?;
        progress.begin(Step::Connecting);
        let stream = dial::connect(addresses).await?;
        let address = stream.peer_addr().map_err(Unreached::from)?;
        let is_encrypted = self.settings.get_ssl_mode() != SslMode::Disable;
        progress.begin(if is_encrypted { Step::Tls } else { Step::SignIn });
        let stream = self.watched(stream, progress)?;
        let tls = self.watched_tls(progress);
        let (client, driver) = self.settings.connect_raw(stream, tls).await?;
        Ok(Made { client, driver: Box::new(driver), address })
    }

    /// Asks the server to cancel what runs on a connection to `address`.
    pub(super) async fn cancel(
        &self,
        token: &CancelToken,
        address: SocketAddr,
    ) -> Result<(), PostgresError> {
        let stream = TcpStream::connect(address).await.map_err(Unreached::from)?;
        let progress = Progress::default();
        let stream = self.watched(stream, &progress)?;
        Ok(token.cancel_query_raw(stream, self.watched_tls(&progress)).await?)
    }

    fn watched(&self, stream: TcpStream, progress: &Progress) -> Result<Watched, PostgresError> {
        let keepalive = TcpKeepalive::new().with_time(KEEPALIVE);
        let set = SockRef::from(&stream).set_tcp_keepalive(&keepalive);
        set.and_then(|()| stream.set_nodelay(true)).map_err(Unreached::from)?;
        let is_asked_for_tls = self.settings.get_ssl_mode() != SslMode::Disable;
        Ok(Watched::new(stream, is_asked_for_tls.then(|| progress.clone())))
    }

    fn watched_tls(&self, progress: &Progress) -> WatchedTls {
        WatchedTls::new(self.tls.clone(), &self.host, progress.clone())
    }
}

fn channel_binding(wanted: ChannelBinding) -> config::ChannelBinding {
    match wanted {
        ChannelBinding::Disable => config::ChannelBinding::Disable,
        ChannelBinding::Prefer => config::ChannelBinding::Prefer,
        ChannelBinding::Require => config::ChannelBinding::Require,
    }
}

fn tls_client(tls: &PostgresTls) -> ClientConfig {
    match tls {
        PostgresTls::VerifyFull(Some(roots)) => tls::client(Arc::clone(&roots.store)),
        PostgresTls::VerifyFull(None) => tls::client(tls::public_roots()),
        PostgresTls::VerifyCa(roots) => of_any_name(Some(Arc::clone(&roots.store))),
        PostgresTls::Disable | PostgresTls::Prefer | PostgresTls::Require => of_any_name(None),
    }
}

fn of_any_name(roots: Option<Arc<RootCertStore>>) -> ClientConfig {
    tls::install_provider();
    let verifier = OfAnyName { roots, provider: ring::default_provider() };
    ClientConfig::builder()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth()
}

/// Accepts a server whatever its name, if one of `roots` signed for it; without roots, whoever it
/// is. That it holds the key of its certificate is checked always: SCRAM's channel binding stands
/// on it.
#[derive(Debug)]
struct OfAnyName {
    roots: Option<Arc<RootCertStore>>,
    provider: CryptoProvider,
}

impl ServerCertVerifier for OfAnyName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(roots) = &self.roots {
            rustls::client::verify_server_cert_signed_by_trust_anchor(
                &ParsedCertificate::try_from(end_entity)?,
                roots,
                intermediates,
                now,
                self.provider.signature_verification_algorithms.all,
            )?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::super::making::{Progress, Step};
    use super::Server;
    use crate::config::{ChannelBinding, PostgresConfig, PostgresTls, StatementNames};

    /// Which step is reached with a server that says this much and nothing more.
    async fn step_reached(tls: PostgresTls, says: &'static [u8], expected: Step) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Server::new(&PostgresConfig {
            host: "127.0.0.1".to_owned(),
            port: listener.local_addr().unwrap().port(),
            username: "tester".to_owned(),
            password: "a-password".to_owned().into(),
            database: "tests".to_owned(),
            tls,
            statements: StatementNames::Named,
            application_name: "discogsography-api".into(),
            channel_binding: ChannelBinding::Prefer,
        });
        let progress = Progress::default();
        let silent = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.read_u64().await.unwrap();
            stream.write_all(says).await.unwrap();
            while progress.step() != expected {
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
    async fn where_a_server_falls_silent_is_known() {
        step_reached(PostgresTls::Disable, b"", Step::SignIn).await;
        step_reached(PostgresTls::Prefer, b"", Step::Tls).await;
        step_reached(PostgresTls::Prefer, b"N", Step::SignIn).await;
        step_reached(PostgresTls::Prefer, b"S", Step::Tls).await;
        step_reached(PostgresTls::Require, b"S", Step::Tls).await;
    }
}
