//! Finds out why a TLS connection failed, from the errors of several libraries.

use std::error::Error;
use std::io;
use std::sync::Arc;

use printable::SERVER_MESSAGE;
use rustls::CertificateError;
use thiserror::Error;

/// Why a TLS connection failed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{} ({message})", .kind.description())]
pub struct TlsFault {
    /// What kind of fault it is.
    pub kind: Kind,
    /// The library's message.
    message: String,
}

/// What is wrong with a server or the connection to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Its certificate is not signed by a trusted root certificate.
    Untrusted,
    /// Its certificate is for another host name.
    WrongHost,
    /// Its certificate has expired.
    Expired,
    /// Its certificate is not valid yet.
    NotValidYet,
    /// Its certificate is that of a certificate authority.
    CaCertificate,
    /// Its certificate is invalid for another reason.
    Rejected,
    /// It does not speak TLS.
    NoTls,
    /// The handshake failed otherwise, for example because no TLS version is common to both.
    HandshakeFailed,
}

/// Finds the TLS fault that caused an error; `None` if TLS is not the cause.
#[must_use]
pub fn behind(error: &(dyn Error + 'static)) -> Option<TlsFault> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(fault) = error.downcast_ref::<TlsFault>() {
            return Some(fault.clone());
        }
        if let Some(error) = error.downcast_ref::<rustls::Error>() {
            let message = printable::line(&error.to_string(), SERVER_MESSAGE);
            return Some(TlsFault { kind: Kind::of(error), message });
        }
        cause = wrapped(error).or_else(|| error.source());
    }
    None
}

/// Returns the inner error of a type whose `source` skips it.
fn wrapped<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    if let Some(error) = error.downcast_ref::<io::Error>() {
        return error.get_ref().map(|inner| inner as &'a (dyn Error + 'static));
    }
    let shared = error.downcast_ref::<Arc<dyn Error + Send + Sync>>()?;
    Some(&**shared)
}

impl Kind {
    fn of(error: &rustls::Error) -> Self {
        match error {
            rustls::Error::InvalidCertificate(error) => Self::of_certificate(error),
            rustls::Error::InvalidMessage(_) => Self::NoTls,
            _ => Self::HandshakeFailed,
        }
    }

    fn of_certificate(error: &CertificateError) -> Self {
        match error {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::Untrusted,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                Self::WrongHost
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                Self::NotValidYet
            }
            // The library has no variant for this error.
            error if format!("{error:?}").contains("CaUsedAsEndEntity") => Self::CaCertificate,
            _ => Self::Rejected,
        }
    }

    fn description(self) -> &'static str {
        match self {
            Self::Untrusted => "the server's certificate is not signed by a trusted authority",
            Self::WrongHost => "the server's certificate is for another host name",
            Self::Expired => "the server's certificate has expired",
            Self::NotValidYet => "the server's certificate is not valid yet",
            Self::CaCertificate => {
                "the server uses the certificate of a CA: it needs its own, signed by that CA"
            }
            Self::Rejected => "the server's certificate is invalid",
            Self::NoTls => "the server does not speak TLS",
            Self::HandshakeFailed => "the TLS handshake failed",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use rustls::{CertificateError, Error, InvalidMessage};

    use super::{Kind, behind};

    #[test]
    fn the_fault_is_found_however_libraries_wrap_it() {
        let certificate = Error::InvalidCertificate;
        for (error, kind) in [
            (certificate(CertificateError::UnknownIssuer), Kind::Untrusted),
            (certificate(CertificateError::NotValidForName), Kind::WrongHost),
            (certificate(CertificateError::Expired), Kind::Expired),
            (certificate(CertificateError::NotValidYet), Kind::NotValidYet),
            (certificate(CertificateError::Revoked), Kind::Rejected),
            (Error::InvalidMessage(InvalidMessage::InvalidContentType), Kind::NoTls),
            (Error::HandshakeNotComplete, Kind::HandshakeFailed),
        ] {
            let wrapped = io::Error::new(io::ErrorKind::InvalidData, error.clone());
            let fault = behind(&io::Error::other(wrapped)).unwrap();
            assert_eq!(fault.kind, kind);
            assert!(fault.to_string().contains(&error.to_string()), "{fault}");
        }
    }

    #[test]
    fn errors_unrelated_to_tls_have_no_fault() {
        assert_eq!(behind(&io::Error::from(io::ErrorKind::ConnectionReset)), None);
    }
}
