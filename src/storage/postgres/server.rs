//! The server that connections are made to: where it is, and how it proves who it is.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use secrecy::ExposeSecret as _;
use tokio_postgres::config::SslMode;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, Connection, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::error::PostgresError;
use crate::config::{PostgresConfig, PostgresTls, StatementNames};
use crate::tls;

/// How long making a connection may take, its statements included.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

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
pub(super) type Driver =
    Box<Connection<Socket, <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream>>;

/// A server, and what it takes to connect to it; clones share it.
#[derive(Clone)]
pub(super) struct Server {
    settings: Arc<Config>,
    pub(super) tls: MakeRustlsConnect,
    pub(super) statements: StatementNames,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").finish_non_exhaustive()
    }
}

impl Server {
    pub(super) fn new(config: &PostgresConfig) -> Self {
        let mut settings = Config::new();
        settings
            .host(&config.host)
            .port(config.port)
            .user(&config.username)
            .password(config.password.expose_secret())
            .dbname(&config.database)
            .application_name("discogsography-api")
            .keepalives_idle(Duration::from_secs(30))
            .connect_timeout(CONNECT_TIMEOUT);
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
        let tls = MakeRustlsConnect::new(tls_client(&config.tls));
        Self { settings: Arc::new(settings), tls, statements: config.statements }
    }

    /// Connects with the settings of every session of ours.
    pub(super) async fn connect(&self) -> Result<(Client, Driver), PostgresError> {
        let connect = self.settings.connect(self.tls.clone());
        let connected = tokio::time::timeout(CONNECT_TIMEOUT, connect).await;
        let (client, driver) =
            connected.map_err(|_| PostgresError::NoConnection(CONNECT_TIMEOUT))??;
        Ok((client, Box::new(driver)))
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
