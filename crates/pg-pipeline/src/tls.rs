//! Whether connections are encrypted, and which servers they trust.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

/// How connections are encrypted; the names are libpq's `sslmode`.
#[derive(Debug, Clone)]
pub enum Tls {
    /// Never.
    Disable,
    /// If the server supports it; its certificate is not checked.
    Prefer,
    /// Always; the server's certificate is not checked.
    Require,
    /// Always, with a certificate that one of these roots signed, for any name.
    VerifyCa(Arc<RootCertStore>),
    /// Always, with a certificate for the host that one of these roots signed.
    VerifyFull(Arc<RootCertStore>),
}

impl Tls {
    /// Installs *ring* as the crypto provider of the process if there is none yet.
    pub(crate) fn client(&self) -> ClientConfig {
        // Fails if one is installed, which is then used.
        let _ = ring::default_provider().install_default();
        match self {
            Self::VerifyFull(roots) => ClientConfig::builder()
                .with_root_certificates(Arc::clone(roots))
                .with_no_client_auth(),
            Self::VerifyCa(roots) => AnyName::client(Some(Arc::clone(roots))),
            Self::Disable | Self::Prefer | Self::Require => AnyName::client(None),
        }
    }
}

/// Accepts a certificate for any name if `roots` signed it; without roots, any one.
///
/// Always checks that the server holds the certificate's key: SCRAM's channel binding relies on it.
#[derive(Debug)]
struct AnyName {
    roots: Option<Arc<RootCertStore>>,
    provider: CryptoProvider,
}

impl AnyName {
    fn client(roots: Option<Arc<RootCertStore>>) -> ClientConfig {
        let verifier = Self { roots, provider: ring::default_provider() };
        ClientConfig::builder()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth()
    }
}

impl ServerCertVerifier for AnyName {
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
