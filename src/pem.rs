//! Reads certificates from PEM files (RFC 7468).
//!
//! Such a file may also hold a private key, so an error never shows its contents: only the kind of
//! flaw and its line.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{Error, PemObject as _};

/// The start of a section's first line.
const BEGIN: &[u8] = b"-----BEGIN ";

/// The start of a section's last line.
const END: &[u8] = b"-----END ";

/// What is wrong with a certificate file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// It has no certificate at all.
    Empty,
    /// The first line of a section holds more than its marker: line breaks are lost.
    LineBreaks {
        /// The number of that line, from 1.
        line: usize,
    },
    /// A section has no last line.
    NoEnd {
        /// The number of its first line.
        line: usize,
    },
    /// A section can't be decoded, or is not a certificate.
    Malformed {
        /// The number of its first line.
        line: usize,
    },
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "it holds no certificate in PEM form"),
            Self::LineBreaks { line } => write!(
                f,
                "line {line} holds more than `-----BEGIN …-----`; are the line breaks lost, or \
                 written as `\\n`?"
            ),
            Self::NoEnd { line } => {
                write!(f, "the section that begins in line {line} has no END line")
            }
            Self::Malformed { line } => {
                write!(f, "the section that begins in line {line} is malformed")
            }
        }
    }
}

/// Reads every certificate of a PEM file; all must be valid.
pub(crate) fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Flaw> {
    let found: Vec<_> = each(pem).collect::<Result<_, _>>()?;
    if found.is_empty() { Err(Flaw::Empty) } else { Ok(found) }
}

/// Reads the certificates of a PEM file that can be read; at least one.
pub(crate) fn any_certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Flaw> {
    let (found, flaws): (Vec<_>, Vec<_>) = each(pem).partition(Result::is_ok);
    if found.is_empty() {
        return Err(flaws.into_iter().find_map(Result::err).unwrap_or(Flaw::Empty));
    }
    Ok(found.into_iter().flatten().collect())
}

fn each(pem: &[u8]) -> impl Iterator<Item = Result<CertificateDer<'static>, Flaw>> {
    sections(pem).flat_map(|(line, section)| {
        CertificateDer::pem_slice_iter(section).map(move |certificate| {
            let certificate = certificate.map_err(|error| flaw(&error, section, line))?;
            let added = RootCertStore::empty().add(certificate.clone());
            added.map_err(|_| Flaw::Malformed { line })?;
            Ok(certificate)
        })
    })
}

/// Writes the certificates, without anything else.
pub(crate) fn encode(certificates: &[CertificateDer<'_>]) -> Vec<u8> {
    let mut pem = String::new();
    for certificate in certificates {
        pem += "-----BEGIN CERTIFICATE-----\n";
        pem += &STANDARD.encode(certificate);
        pem += "\n-----END CERTIFICATE-----\n";
    }
    pem.into_bytes()
}

/// Returns each section with the number of its first line.
fn sections(pem: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let is_start = |at: &usize| {
        let (before, rest) = pem.split_at(*at);
        rest.starts_with(BEGIN) && matches!(before.last(), None | Some(b'\n' | b'\r'))
    };
    let starts: Vec<_> = (0..pem.len()).filter(is_start).collect();
    let ends = starts.clone().into_iter().skip(1).chain([pem.len()]);
    let bounds: Vec<_> = starts.into_iter().zip(ends).collect();
    bounds.into_iter().filter_map(|(start, end)| {
        let line = pem.get(..start)?.split(|byte| *byte == b'\n').count();
        Some((line, pem.get(start..end)?))
    })
}

fn flaw(error: &Error, section: &[u8], line: usize) -> Flaw {
    let first_line = section.split(|byte| matches!(byte, b'\n' | b'\r')).next();
    let has_end = |line: &[u8]| line.windows(END.len()).any(|part| part == END);
    match error {
        Error::IllegalSectionStart { .. } => Flaw::LineBreaks { line },
        Error::MissingSectionEnd { .. } if first_line.is_some_and(has_end) => {
            Flaw::LineBreaks { line }
        }
        Error::MissingSectionEnd { .. } => Flaw::NoEnd { line },
        // The library may add error kinds.
        _ => Flaw::Malformed { line },
    }
}

#[cfg(test)]
mod tests {
    use super::{Flaw, any_certificates, certificates, encode};

    const ROOT: &str = include_str!("../tests/it/configuration/databases/root.pem");

    #[test]
    fn certificates_are_read_among_other_sections() {
        let key = "-----BEGIN PRIVATE KEY-----\nczNjcmV0\n-----END PRIVATE KEY-----\n";
        for pem in [ROOT.to_owned(), format!("words\n{key}{ROOT}"), ROOT.replace('\n', "\r\n")] {
            let found = certificates(pem.as_bytes()).unwrap();
            assert_eq!(found.len(), 1);
            assert_eq!(certificates(&encode(&found)).unwrap(), found);
        }
    }

    #[test]
    fn a_flaw_is_told_with_its_line() {
        let twice = |second: &str| format!("{ROOT}{second}");
        let line = ROOT.lines().count() + 1;
        let broken = ROOT.replacen("MII", "QQQ", 1);
        for (pem, flaw) in [
            (String::new(), Flaw::Empty),
            ("no certificate".to_owned(), Flaw::Empty),
            (ROOT.replace("CERTIFICATE", "PUBLIC KEY"), Flaw::Empty),
            (ROOT.replace('\n', "\\n"), Flaw::LineBreaks { line: 1 }),
            (twice(&ROOT.replace('\n', "")), Flaw::LineBreaks { line }),
            (twice("-----BEGIN CERTIFICATE-----\nMII"), Flaw::NoEnd { line }),
            (twice(&broken), Flaw::Malformed { line }),
            (twice(&ROOT.replacen("MII", "M I", 1)), Flaw::Malformed { line }),
        ] {
            assert_eq!(certificates(pem.as_bytes()), Err(flaw), "{pem}");
            let found = any_certificates(pem.as_bytes()).map(|found| found.len());
            assert_eq!(found, if pem.starts_with(ROOT) { Ok(1) } else { Err(flaw) }, "{pem}");
        }
    }
}
