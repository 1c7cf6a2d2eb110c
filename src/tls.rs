//! The trusted public root certificates. [`fault`] explains failed handshakes.
//!
//! The clients of PostgreSQL, Redis and Discogs share this TLS library and its crypto provider.
//! This module knows nothing about those three servers.

pub mod fault;

use std::sync::{Arc, LazyLock};

use rustls::{ClientConfig, RootCertStore};

use crate::config::{Environment, system_roots_are_readable};
use crate::pem;

/// Read only once, since a system has hundreds of certificates.
static PUBLIC_ROOTS: LazyLock<PublicRoots> = LazyLock::new(find_public_roots);

/// The public certificate authorities.
struct PublicRoots {
    store: Arc<RootCertStore>,
    /// The same certificates as PEM; `None` if they are built into the program.
    pem: Option<Vec<u8>>,
}

/// Installs the crypto provider for the process; further calls do nothing.
pub fn install_provider() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Returns the system's root certificates, or the built-in ones if it has none.
#[must_use]
pub fn public_roots() -> Arc<RootCertStore> {
    Arc::clone(&PUBLIC_ROOTS.store)
}

/// Returns the system's root certificates as PEM; `None` if it has none.
#[must_use]
pub fn system_roots_as_pem() -> Option<Vec<u8>> {
    PUBLIC_ROOTS.pem.clone()
}

/// Returns the configuration of a client that verifies a server's certificate chain and name.
#[must_use]
pub fn client(roots: Arc<RootCertStore>) -> ClientConfig {
    install_provider();
    ClientConfig::builder().with_root_certificates(roots).with_no_client_auth()
}

fn find_public_roots() -> PublicRoots {
    let mut found = if system_roots_are_readable(&Environment::of_process()) {
        rustls_native_certs::load_native_certs().certs
    } else {
        Vec::new()
    };
    let mut store = RootCertStore::empty();
    // Drop certificates that rustls can't parse: other TLS libraries would fail on them, too.
    found.retain(|certificate| store.add(certificate.clone()).is_ok());
    let count = found.len();
    if count > 0 {
        tracing::info!(count, "🔧 Verifying servers with the root certificates of this system");
        return PublicRoots { store: Arc::new(store), pem: Some(pem::encode(&found)) };
    }
    store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    let count = store.len();
    tracing::info!(
        count,
        "🔧 This system has no root certificates: verifying servers with those that come with the \
         program"
    );
    PublicRoots { store: Arc::new(store), pem: None }
}
