//! Signatures: HMAC-SHA1 over a base string and PLAINTEXT, RFC 5849 sections 3.4.2 and 3.4.4.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha1::Sha1;
use subtle::ConstantTimeEq;

use crate::encoding::encode;

/// The two secrets, joined to one key.
pub(crate) struct SigningKey(SecretString);

impl SigningKey {
    /// Joins the secrets; without a token the second part is empty.
    pub(crate) fn new(consumer: &SecretString, token: Option<&SecretString>) -> Self {
        let token = token.map_or_else(String::new, |secret| encode(secret.expose_secret()));
        Self(SecretString::from(format!("{}&{token}", encode(consumer.expose_secret()))))
    }

    /// The HMAC-SHA1 signature in base64.
    pub(crate) fn sign(&self, base_string: &str) -> String {
        STANDARD.encode(self.mac(base_string).finalize().into_bytes())
    }

    /// Checks an HMAC-SHA1 signature in constant time.
    pub(crate) fn accepts(&self, base_string: &str, signature: &str) -> bool {
        let Ok(signature) = STANDARD.decode(signature) else {
            return false;
        };
        self.mac(base_string).verify_slice(&signature).is_ok()
    }

    /// Checks a PLAINTEXT signature, which is the key itself, in constant time.
    pub(crate) fn accepts_plaintext(&self, signature: &str) -> bool {
        self.0.expose_secret().as_bytes().ct_eq(signature.as_bytes()).into()
    }

    fn mac(&self, base_string: &str) -> Hmac<Sha1> {
        let Ok(mac) = Hmac::<Sha1>::new_from_slice(self.0.expose_secret().as_bytes()) else {
            unreachable!("HMAC accepts a key of any length (RFC 2104)")
        };
        mac.chain_update(base_string)
    }
}
