//! Whom we believe to be who they say: the roots of trust that everybody has, and in plain words
//! what is wrong with a server's certificate.
//!
//! One TLS library with one crypto provider for PostgreSQL, Redis and Discogs. Must not know them.

use std::error::Error;
use std::io;
use std::sync::{Arc, LazyLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::CertificateDer;
use rustls::{CertificateError, ClientConfig, RootCertStore};

/// Read once: a system has hundreds of them.
static PUBLIC_ROOTS: LazyLock<PublicRoots> = LazyLock::new(find_public_roots);

/// The certificate authorities that sign for anybody.
struct PublicRoots {
    store: Arc<RootCertStore>,
    /// The same as PEM; `None` where they came with the program.
    pem: Option<Vec<u8>>,
}

/// Settles on one crypto provider for the whole process; a second call changes nothing.
pub fn install_provider() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// The roots of the system, or those that came with the program where it has none.
#[must_use]
pub fn public_roots() -> Arc<RootCertStore> {
    Arc::clone(&PUBLIC_ROOTS.store)
}

/// The roots of the system as PEM; `None` where it has none.
#[must_use]
pub fn system_roots_as_pem() -> Option<Vec<u8>> {
    PUBLIC_ROOTS.pem.clone()
}

/// Checks servers against these roots, by chain and by name.
#[must_use]
pub fn client(roots: Arc<RootCertStore>) -> ClientConfig {
    install_provider();
    ClientConfig::builder().with_root_certificates(roots).with_no_client_auth()
}

fn find_public_roots() -> PublicRoots {
    let mut found = rustls_native_certs::load_native_certs().certs;
    let mut store = RootCertStore::empty();
    // What one library can't read, another would stumble over.
    found.retain(|certificate| store.add(certificate.clone()).is_ok());
    let count = found.len();
    if count > 0 {
        tracing::info!(
            count,
            "🔧 Servers are checked against the root certificates of this system"
        );
        return PublicRoots { store: Arc::new(store), pem: Some(as_pem(&found)) };
    }
    store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    let count = store.len();
    tracing::info!(
        count,
        "🔧 This system has no root certificates: servers are checked against those that came \
         with the program"
    );
    PublicRoots { store: Arc::new(store), pem: None }
}

fn as_pem(certificates: &[CertificateDer<'_>]) -> Vec<u8> {
    let mut pem = String::new();
    for certificate in certificates {
        pem += "-----BEGIN CERTIFICATE-----\n";
        pem += &STANDARD.encode(certificate);
        pem += "\n-----END CERTIFICATE-----\n";
    }
    pem.into_bytes()
}

/// What is wrong with the server behind a failed connection; `None` where TLS is not why it failed.
#[must_use]
pub fn what_is_wrong(error: &(dyn Error + 'static)) -> Option<String> {
    error_in(error).map(in_plain_words)
}

/// The error of TLS behind another one, if there is one.
#[must_use]
pub fn error_in<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<rustls::Error>() {
            return Some(error);
        }
        cause = wrapped(error).or_else(|| error.source());
    }
    None
}

/// The error inside one that does not give it as its source.
fn wrapped<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    if let Some(error) = error.downcast_ref::<io::Error>() {
        return error.get_ref().map(|inner| inner as &'a (dyn Error + 'static));
    }
    let shared = error.downcast_ref::<Arc<dyn Error + Send + Sync>>()?;
    Some(&**shared)
}

fn in_plain_words(error: &rustls::Error) -> String {
    let rustls::Error::InvalidCertificate(why) = error else {
        return format!("the TLS handshake failed: {error}");
    };
    match why {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "the server's certificate is signed by nobody that we trust: is the root certificate \
             the right one?"
                .to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("the server's certificate names another host: {why}")
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            format!("the server's certificate has expired: {why}")
        }
        // The library has no variant of its own for it.
        why if format!("{why:?}").contains("CaUsedAsEndEntity") => {
            "the server shows the certificate of a CA: it needs one of its own that the CA signed"
                .to_owned()
        }
        why => format!("the server's certificate is not accepted: {why}"),
    }
}
