//! HMAC-SHA1 over a signature base string: RFC 5849 section 3.4.2.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha1::Sha1;

use crate::encoding::encode;

/// The two secrets, ready to sign and check.
pub(crate) struct SigningKey {
    mac: Hmac<Sha1>,
}

impl SigningKey {
    /// Joins the secrets as the section says; without a token the second part is empty.
    pub(crate) fn new(consumer: &SecretString, token: Option<&SecretString>) -> Self {
        let token = token.map_or_else(String::new, |secret| encode(secret.expose_secret()));
        let key = SecretString::from(format!("{}&{token}", encode(consumer.expose_secret())));
        let Ok(mac) = Hmac::new_from_slice(key.expose_secret().as_bytes()) else {
            unreachable!("HMAC takes a key of any length (RFC 2104)")
        };
        Self { mac }
    }

    /// The signature in base64.
    pub(crate) fn sign(&self, base_string: &str) -> String {
        let mac = self.mac.clone().chain_update(base_string);
        STANDARD.encode(mac.finalize().into_bytes())
    }

    /// Compares in constant time.
    pub(crate) fn accepts(&self, base_string: &str, signature: &str) -> bool {
        let Ok(signature) = STANDARD.decode(signature) else {
            return false;
        };
        let mac = self.mac.clone().chain_update(base_string);
        mac.verify_slice(&signature).is_ok()
    }
}
