//! Whom we believe to be who they say: the roots of trust that everybody has. [`fault`] says in
//! plain words why a server was not believed.
//!
//! One TLS library with one crypto provider for PostgreSQL, Redis and Discogs. Must not know them.

pub mod fault;

use std::sync::{Arc, LazyLock};

use rustls::{ClientConfig, RootCertStore};

use crate::config::{Environment, system_roots_are_readable};
use crate::pem;

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
    let mut found = if system_roots_are_readable(&Environment::of_process()) {
        rustls_native_certs::load_native_certs().certs
    } else {
        Vec::new()
    };
    let mut store = RootCertStore::empty();
    // What one library can't read, another would stumble over.
    found.retain(|certificate| store.add(certificate.clone()).is_ok());
    let count = found.len();
    if count > 0 {
        tracing::info!(
            count,
            "🔧 Servers are checked against the root certificates of this system"
        );
        return PublicRoots { store: Arc::new(store), pem: Some(pem::encode(&found)) };
    }
    store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    let count = store.len();
    tracing::info!(
        count,
        "🔧 Found no root certificates of the system: servers are checked against those that \
         come with the program"
    );
    PublicRoots { store: Arc::new(store), pem: None }
}
