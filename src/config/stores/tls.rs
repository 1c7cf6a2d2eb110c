//! Whether and how the way to a store is encrypted, in libpq's words (PostgreSQL's documentation,
//! section "SSL Support").

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use private_files::small;
use rustls::RootCertStore;

use super::super::reader::{Reader, why_unread};
use super::super::shown::path_shown;
use super::agreement::{Given, agreed};
use super::database_url;
use crate::pem;

const MODE: &str = "POSTGRES_SSLMODE";
const ROOTS: &str = "POSTGRES_SSLROOTCERT";
const ROOTS_EXAMPLE: &str = "/etc/discogsography-api/root.crt";

/// The word for the roots that everybody has, instead of a path.
const SYSTEM: &str = "system";

/// How the connections to PostgreSQL are encrypted, and whom they trust.
#[derive(Debug, Clone)]
pub enum PostgresTls {
    /// Not at all.
    Disable,
    /// Where the server can, whoever it is.
    Prefer,
    /// Always, whoever the server is.
    Require,
    /// Always, to a server that one of these signed for, whatever its name.
    VerifyCa(RootCertificates),
    /// Always, to the server of that name; without roots of its own, by those that everybody has.
    VerifyFull(Option<RootCertificates>),
}

/// Certificates of authorities that are trusted, from a PEM file.
#[derive(Clone)]
pub struct RootCertificates {
    /// The certificates alone, whatever else was in the file.
    pub pem: Vec<u8>,
    /// The same, parsed.
    pub store: Arc<RootCertStore>,
}

impl fmt::Debug for RootCertificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RootCertificates({})", self.store.len())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Disable,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// Reads both variables together with what `DATABASE_URL` says of them.
pub(super) fn read_postgres(
    reader: &mut Reader<'_>,
    by_url: &str,
    [mode_in_url, roots_in_url]: [Option<String>; 2],
) -> PostgresTls {
    let own = reader.parsed(MODE, "verify-full", parse_mode);
    let in_url = mode_in_url.and_then(|word| {
        let mode = parse_mode(&word);
        mode.map_err(|what| {
            reader.problem(by_url, format!("has an sslmode that {what}"), Some("verify-full"));
        })
        .ok()
    });
    let mode = agreed(reader, "sslmode", [Given::by(MODE, own), Given::by(by_url, in_url)]);
    let own = reader.text(ROOTS).map(str::to_owned);
    let named_by = if own.is_some() { ROOTS } else { by_url };
    let given = [Given::by(ROOTS, own), Given::by(by_url, roots_in_url)];
    let roots = agreed(reader, "sslrootcert", given);
    combine(reader, mode.unwrap_or(Mode::Disable), roots.as_deref(), named_by)
}

/// What mode and roots make together; where they make nothing, a problem says so.
fn combine(
    reader: &mut Reader<'_>,
    mode: Mode,
    roots: Option<&str>,
    named_by: &str,
) -> PostgresTls {
    let mut useless = |what: &str| reader.problem(named_by, what, Some(ROOTS_EXAMPLE));
    match (mode, roots) {
        (Mode::Disable | Mode::Prefer, Some(_)) => useless(
            "names a root certificate that nothing is checked against: set \
             POSTGRES_SSLMODE=verify-full, or leave it out",
        ),
        (Mode::Require | Mode::VerifyCa, Some(SYSTEM)) => useless(
            "is `system`, whose authorities sign for anybody: set POSTGRES_SSLMODE=verify-full",
        ),
        (Mode::VerifyCa, None) => reader.missing(
            ROOTS,
            "names the certificates that POSTGRES_SSLMODE=verify-ca checks against",
            ROOTS_EXAMPLE,
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

/// Reads the certificates in a PEM file; what is wrong with it is the variable's problem.
pub(super) fn read_roots(
    reader: &mut Reader<'_>,
    name: &str,
    path: &str,
) -> Option<RootCertificates> {
    // Nothing of a URL with a password is shown.
    let is_of_url = name.starts_with(database_url::NAME);
    let shown = if is_of_url { "has an sslrootcert that".to_owned() } else { path_shown(path) };
    let roots = small::read(Path::new(path))
        .map_err(|error| format!("{shown} {}", why_unread(&error)))
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

fn parse_mode(word: &str) -> Result<Mode, String> {
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
