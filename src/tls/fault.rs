//! Why a TLS connection failed, in plain words.

use std::error::Error;
use std::io;
use std::sync::Arc;

use printable::SERVER_MESSAGE;
use rustls::CertificateError;
use thiserror::Error;

/// Why a TLS connection failed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{} ({said})", .kind.in_words())]
pub struct TlsFault {
    /// What kind of fault it is.
    pub kind: Kind,
    /// The library's message.
    said: String,
}

/// What is wrong with a server or the connection to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// No trusted root certificate signed its certificate.
    Untrusted,
    /// Its certificate is for another name.
    AnotherHost,
    /// Its certificate has expired.
    Expired,
    /// Its certificate is not valid yet.
    NotValidYet,
    /// Its certificate is that of a certificate authority.
    ShowsCa,
    /// Its certificate has another flaw.
    NotAccepted,
    /// It does not speak TLS.
    NoTls,
    /// Something else, for example no TLS version in common.
    NoAgreement,
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
            let said = printable::line(&error.to_string(), SERVER_MESSAGE);
            return Some(TlsFault { kind: Kind::of(error), said });
        }
        cause = wrapped(error).or_else(|| error.source());
    }
    None
}

/// Returns the wrapped error of one that does not return it as its source.
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
            _ => Self::NoAgreement,
        }
    }

    fn of_certificate(error: &CertificateError) -> Self {
        match error {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::Untrusted,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                Self::AnotherHost
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                Self::NotValidYet
            }
            // The library has no variant for this error.
            error if format!("{error:?}").contains("CaUsedAsEndEntity") => Self::ShowsCa,
            _ => Self::NotAccepted,
        }
    }

    fn in_words(self) -> &'static str {
        match self {
            Self::Untrusted => "the server's certificate is signed by nobody that we trust",
            Self::AnotherHost => "the server's certificate names another host",
            Self::Expired => "the server's certificate has expired",
            Self::NotValidYet => "the server's certificate is not valid yet",
            Self::ShowsCa => {
                "the server shows the certificate of a CA: it needs one of its own that the CA \
                 signed"
            }
            Self::NotAccepted => "the server's certificate is not accepted",
            Self::NoTls => "what answers does not speak TLS",
            Self::NoAgreement => "the two sides do not agree on TLS",
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
            (certificate(CertificateError::NotValidForName), Kind::AnotherHost),
            (certificate(CertificateError::Expired), Kind::Expired),
            (certificate(CertificateError::NotValidYet), Kind::NotValidYet),
            (certificate(CertificateError::Revoked), Kind::NotAccepted),
            (Error::InvalidMessage(InvalidMessage::InvalidContentType), Kind::NoTls),
            (Error::HandshakeNotComplete, Kind::NoAgreement),
        ] {
            let wrapped = io::Error::new(io::ErrorKind::InvalidData, error.clone());
            let fault = behind(&io::Error::other(wrapped)).unwrap();
            assert_eq!(fault.kind, kind);
            assert!(fault.to_string().contains(&error.to_string()), "{fault}");
        }
    }

    #[test]
    fn what_is_no_matter_of_tls_has_no_fault() {
        assert_eq!(behind(&io::Error::from(io::ErrorKind::ConnectionReset)), None);
    }
}
