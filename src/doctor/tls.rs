//! Suggests fixes for TLS connections that fail.

use std::error::Error;

use crate::tls::fault::{self, Kind};

/// What sets up the way to a store.
pub(super) struct Store {
    /// The variable with its address.
    pub(super) address: &'static str,
    /// The variable with its root certificate.
    pub(super) roots: &'static str,
}

/// Suggests a fix for the connection to a store; `None` if TLS is not the cause.
pub(super) fn fix_store(
    error: &(dyn Error + 'static),
    Store { address, roots }: &Store,
) -> Option<String> {
    let kind = fault::behind(error)?.kind;
    Some(match kind {
        Kind::AnotherHost => format!("Correct {address}: it needs a name that the certificate has"),
        Kind::Untrusted | Kind::NotAccepted => format!(
            "Set {roots} to the path of the root certificate that signed the server's, a PEM file"
        ),
        Kind::NoTls => {
            format!("Have the server speak TLS, or correct {address}: is its port the one for TLS?")
        }
        Kind::ShowsCa => "Give the server a certificate of its own that the CA signed".to_owned(),
        Kind::NoAgreement => "Have the server speak TLS 1.2 or 1.3".to_owned(),
        Kind::Expired | Kind::NotValidYet => fix_time(kind).to_owned(),
    })
}

/// Suggests a fix for the connection to Discogs.
pub(super) fn fix_discogs(kind: Kind) -> &'static str {
    match kind {
        Kind::AnotherHost => {
            "Correct the address; or somebody else answers under this name: look at the DNS"
        }
        Kind::Untrusted | Kind::ShowsCa | Kind::NotAccepted => {
            "Install the root certificates (the package ca-certificates); behind a proxy that \
             breaks TLS open, install its root certificate, too"
        }
        Kind::NoTls => {
            "Correct the address: is its port one for https? Or something in between answers"
        }
        Kind::NoAgreement => "Look for a proxy or firewall that breaks TLS open on the way",
        Kind::Expired | Kind::NotValidYet => fix_time(kind),
    }
}

fn fix_time(kind: Kind) -> &'static str {
    if kind == Kind::NotValidYet {
        "Set the clock of this machine right: `timedatectl set-ntp true`"
    } else {
        "Compare the clock of this machine, `date --utc`; if it is right, the other side has to \
         renew its certificate"
    }
}
