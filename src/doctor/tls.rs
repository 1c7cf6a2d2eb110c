//! Why a TLS connection was not made, in plain words.

use std::error::Error;

use rustls::{CertificateError, Error as TlsError};

use crate::tls;

/// What went wrong and what to do; `None` where it is no matter of TLS.
pub(super) fn explain(error: &(dyn Error + 'static)) -> Option<(String, &'static str)> {
    tls::error_in(error).map(words)
}

fn words(error: &TlsError) -> (String, &'static str) {
    let (what, mend) = match error {
        TlsError::InvalidCertificate(certificate) => of_certificate(certificate),
        TlsError::InvalidMessage(_) => (
            "what answers does not speak TLS",
            "Correct the address: is its port one for https? Or something in between answers",
        ),
        _ => (
            "the two sides do not agree on TLS",
            "Look for a proxy or firewall that breaks TLS open on the way",
        ),
    };
    (format!("{what} ({error})"), mend)
}

fn of_certificate(error: &CertificateError) -> (&'static str, &'static str) {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => (
            "its certificate has expired",
            "Compare the clock of this machine, `date --utc`; if it is right, the other side has \
             to renew its certificate",
        ),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => (
            "its certificate is not valid yet",
            "Set the clock of this machine right: `timedatectl set-ntp true`",
        ),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => (
            "its certificate is for another name",
            "Correct the address; or somebody else answers under this name: look at the DNS",
        ),
        _ => (
            "its certificate is not trusted",
            "Install the root certificates (the package ca-certificates); behind a proxy that \
             breaks TLS open, install its root certificate, too",
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::{CertificateError, TlsError, explain};

    fn explained(error: TlsError) -> String {
        // As the libraries wrap it.
        let error = io::Error::new(io::ErrorKind::InvalidData, error);
        explain(&io::Error::other(error)).unwrap().0
    }

    #[test]
    fn a_certificate_that_is_refused_is_told_in_plain_words() {
        for (error, words) in [
            (CertificateError::UnknownIssuer, "its certificate is not trusted"),
            (CertificateError::Expired, "its certificate has expired"),
            (CertificateError::NotValidYet, "its certificate is not valid yet"),
            (CertificateError::NotValidForName, "its certificate is for another name"),
        ] {
            let explained = explained(TlsError::InvalidCertificate(error));
            assert!(explained.starts_with(words), "{explained}");
        }
    }

    #[test]
    fn what_is_no_matter_of_tls_is_not_explained() {
        assert_eq!(explain(&io::Error::from(io::ErrorKind::ConnectionReset)), None);
    }
}
