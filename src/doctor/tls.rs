//! Suggests fixes for TLS connections that fail.

use std::error::Error;

use crate::tls::fault::{self, Kind};

/// The variables that configure the connection to a store.
pub(super) struct Store {
    /// The variable that sets its address.
    pub(super) address: &'static str,
    /// The variable that sets its root certificate.
    pub(super) roots: &'static str,
}

/// Suggests a fix for the connection to a store; `None` if TLS is not the cause.
pub(super) fn fix_store(
    error: &(dyn Error + 'static),
    Store { address, roots }: &Store,
) -> Option<String> {
    let kind = fault::behind(error)?.kind;
    Some(match kind {
        Kind::WrongHost => format!("Correct {address}: use a name that the certificate has"),
        Kind::Untrusted | Kind::Rejected => format!(
            "Set {roots} to the path of a PEM file with the root certificate that signed the server's certificate"
        ),
        Kind::NoTls => {
            format!("Enable TLS on the server, or correct {address}: is its port the one for TLS?")
        }
        Kind::CaCertificate => "Give the server its own certificate, signed by the CA".to_owned(),
        Kind::HandshakeFailed => "Enable TLS 1.2 or 1.3 on the server".to_owned(),
        Kind::Expired | Kind::NotValidYet => fix_time(kind).to_owned(),
    })
}

/// Suggests a fix for the connection to Discogs.
pub(super) fn fix_discogs(kind: Kind) -> &'static str {
    match kind {
        Kind::WrongHost => {
            "Correct the address, or check the DNS: another server answers under this name"
        }
        Kind::Untrusted | Kind::CaCertificate | Kind::Rejected => {
            "Install the root certificates (the package ca-certificates); behind a proxy that \
             intercepts TLS, install its root certificate too"
        }
        Kind::NoTls => {
            "Correct the address: is its port one for https? Or a proxy in between answers"
        }
        Kind::HandshakeFailed => "Check for a proxy or firewall that intercepts TLS",
        Kind::Expired | Kind::NotValidYet => fix_time(kind),
    }
}

fn fix_time(kind: Kind) -> &'static str {
    if kind == Kind::NotValidYet {
        "Correct the clock of this machine: `timedatectl set-ntp true`"
    } else {
        "Check the clock of this machine, `date --utc`; if it is right, the server needs a new \
         certificate"
    }
}
