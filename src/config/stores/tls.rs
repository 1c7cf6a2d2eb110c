//! Whether and how connections to the stores are encrypted.
//!
//! The terms are libpq's (PostgreSQL's documentation, section "SSL Support").

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use env_config::{Reader, Sourced, path_shown};
use private_files::small;
use rustls::RootCertStore;

use super::super::variables::{POSTGRES_SSLMODE, POSTGRES_SSLROOTCERT};
use crate::pem;

const ROOTS_EXAMPLE: &str = "/etc/discogsography-api/root.crt";

/// Selects the system's root certificates, in place of a path.
const SYSTEM: &str = "system";

/// How connections to PostgreSQL are encrypted, and which certificates are trusted.
#[derive(Debug, Clone)]
pub enum PostgresTls {
    /// No encryption.
    Disable,
    /// Encryption if the server supports it, with any certificate.
    Prefer,
    /// Always encryption, with any certificate.
    Require,
    /// Always encryption, with a certificate by one of these roots, for any name.
    VerifyCa(RootCertificates),
    /// Always encryption, with a certificate for this host; `None`: the system's roots.
    VerifyFull(Option<RootCertificates>),
}

/// Trusted root certificates from a PEM file.
#[derive(Clone)]
pub struct RootCertificates {
    /// The certificates alone, without the rest of the file.
    pub pem: Vec<u8>,
    /// The same certificates, parsed.
    pub store: Arc<RootCertStore>,
}

impl fmt::Debug for RootCertificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RootCertificates({})", self.store.len())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) enum Mode {
    Disable,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// Reads both variables and the corresponding parameters of `DATABASE_URL`.
pub(super) fn read_postgres(
    reader: &mut Reader<'_>,
    url_name: &str,
    [mode_in_url, roots_in_url]: [Option<String>; 2],
) -> PostgresTls {
    let own = reader.value(&POSTGRES_SSLMODE);
    let in_url = mode_in_url.and_then(|word| {
        let mode = parse_mode(&word);
        mode.map_err(|what| {
            reader.problem(url_name, format!("has an sslmode that {what}"), Some("verify-full"));
        })
        .ok()
    });
    let modes = [Sourced::new("POSTGRES_SSLMODE", own), Sourced::new(url_name, in_url)];
    let mode = reader.agreed("sslmode", modes);
    let own = reader.value(&POSTGRES_SSLROOTCERT);
    let named_by = if own.is_some() { "POSTGRES_SSLROOTCERT" } else { url_name };
    let roots = [Sourced::new("POSTGRES_SSLROOTCERT", own), Sourced::new(url_name, roots_in_url)];
    let roots = reader.agreed("sslrootcert", roots);
    combine(reader, mode.unwrap_or(Mode::Disable), roots.as_deref(), named_by)
}

/// Combines mode and roots, or reports why they don't fit together.
fn combine(
    reader: &mut Reader<'_>,
    mode: Mode,
    roots: Option<&str>,
    named_by: &str,
) -> PostgresTls {
    let mut useless = |what: &str| reader.problem(named_by, what, Some(ROOTS_EXAMPLE));
    match (mode, roots) {
        (Mode::Disable | Mode::Prefer, Some(_)) => useless(
            "has no effect with this POSTGRES_SSLMODE: set POSTGRES_SSLMODE=verify-full, or remove it",
        ),
        (Mode::Require | Mode::VerifyCa, Some(SYSTEM)) => useless(
            "is `system`, whose authorities sign for anybody: set POSTGRES_SSLMODE=verify-full",
        ),
        (Mode::VerifyCa, None) => reader.missing(
            &POSTGRES_SSLROOTCERT,
            "names the certificates that POSTGRES_SSLMODE=verify-ca checks against",
        ),
        (Mode::Prefer, None) => return PostgresTls::Prefer,
        (Mode::Require, None) => return PostgresTls::Require,
        (Mode::VerifyFull, None | Some(SYSTEM)) => return PostgresTls::VerifyFull(None),
        (Mode::Require | Mode::VerifyCa, Some(path)) => {
            if let Some(roots) = read_roots(reader, named_by, path) {
                return PostgresTls::VerifyCa(roots);
            }
        }
        (Mode::VerifyFull, Some(path)) => {
            return PostgresTls::VerifyFull(read_roots(reader, named_by, path));
        }
        (Mode::Disable, None) => {}
    }
    PostgresTls::Disable
}

/// Reads the certificates of a PEM file, or reports what is wrong with it.
pub(super) fn read_roots(
    reader: &mut Reader<'_>,
    name: &str,
    path: &str,
) -> Option<RootCertificates> {
    // Never show a part of a URL with a password.
    let is_of_url = name.starts_with("DATABASE_URL");
    let shown = if is_of_url { "has an sslrootcert that".to_owned() } else { path_shown(path) };
    let roots = small::read(Path::new(path))
        .map_err(|error| format!("{shown} can't be read: {error}"))
        .and_then(|content| {
            parse_roots(&content).map_err(|flaw| format!("{shown} can't be used: {flaw}"))
        });
    roots.map_err(|what| reader.problem(name, what, Some(ROOTS_EXAMPLE))).ok()
}

fn parse_roots(content: &[u8]) -> Result<RootCertificates, pem::Flaw> {
    let certificates = pem::certificates(content)?;
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(certificates.iter().cloned());
    Ok(RootCertificates { pem: pem::encode(&certificates), store: Arc::new(store) })
}

pub(in crate::config) fn parse_mode(word: &str) -> Result<Mode, String> {
    match word {
        "disable" => Ok(Mode::Disable),
        "prefer" => Ok(Mode::Prefer),
        "require" => Ok(Mode::Require),
        "verify-ca" => Ok(Mode::VerifyCa),
        "verify-full" => Ok(Mode::VerifyFull),
        "allow" => Err("is not offered: take `prefer` or `require`".to_owned()),
        _ => Err("is not one of disable, prefer, require, verify-ca, verify-full".to_owned()),
    }
}
