//! Signing: a request with its credentials, and the resulting `Authorization` header.

use std::fmt;

use secrecy::SecretString;

use crate::base_string::{Target, UrlError};
use crate::encoding::encode;
use crate::signature::SigningKey;

/// The application's credentials, "client credentials" in RFC 5849. Its `Debug` shows neither.
#[derive(Clone)]
pub struct Consumer {
    /// The consumer key, which is sent.
    pub key: String,
    /// The consumer secret, which signs and is never sent.
    pub secret: SecretString,
}

/// A request token or an access token with its secret. Its `Debug` shows neither.
#[derive(Clone)]
pub struct Token {
    /// The token, which is sent.
    pub token: String,
    /// The token's secret, which signs and is never sent.
    pub secret: SecretString,
}

/// A request before it is signed.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// Method, URL and form body.
    pub target: Target<'a>,
    /// The application's credentials.
    pub consumer: &'a Consumer,
    /// The application's token; `None` if it has none yet.
    pub token: Option<&'a Token>,
    /// Where the user is redirected after approval; `oob` shows a PIN instead (section 2.1).
    pub callback: Option<&'a str>,
    /// The PIN that the user was shown (section 2.3).
    pub verifier: Option<&'a str>,
    /// Unique among requests with this timestamp (section 3.3).
    pub nonce: &'a str,
    /// Whole seconds since the Unix epoch.
    pub timestamp: u64,
}

impl Request<'_> {
    /// The text that is signed.
    ///
    /// # Errors
    ///
    /// If the URL has no base string; see [`UrlError`].
    pub fn signature_base_string(&self) -> Result<String, UrlError> {
        let parameters = self.parameters();
        self.target
            .signature_base_string(parameters.iter().map(|(name, value)| (*name, value.as_str())))
    }

    /// The HMAC-SHA1 signature, in base64.
    ///
    /// # Errors
    ///
    /// If the URL has no base string; see [`UrlError`].
    pub fn signature(&self) -> Result<String, UrlError> {
        let token_secret = self.token.map(|token| &token.secret);
        let key = SigningKey::new(&self.consumer.secret, token_secret);
        Ok(key.sign(&self.signature_base_string()?))
    }

    /// The value of the `Authorization` header: `OAuth ` and the parameters (section 3.5.1).
    ///
    /// # Errors
    ///
    /// If the URL has no base string; see [`UrlError`].
    pub fn authorization(&self) -> Result<String, UrlError> {
        let mut parameters = self.parameters();
        parameters.push(("oauth_signature", self.signature()?));
        let pairs = parameters.iter().map(|(name, value)| format!("{name}=\"{}\"", encode(value)));
        Ok(format!("OAuth {}", pairs.collect::<Vec<_>>().join(", ")))
    }

    fn parameters(&self) -> Vec<(&'static str, String)> {
        let optional = [
            ("oauth_token", self.token.map(|token| token.token.as_str())),
            ("oauth_callback", self.callback),
            ("oauth_verifier", self.verifier),
        ];
        let mut parameters = vec![
            ("oauth_consumer_key", self.consumer.key.clone()),
            ("oauth_nonce", self.nonce.to_owned()),
            ("oauth_signature_method", "HMAC-SHA1".to_owned()),
            ("oauth_timestamp", self.timestamp.to_string()),
            ("oauth_version", "1.0".to_owned()),
        ];
        for (name, value) in optional {
            parameters.extend(value.map(|value| (name, value.to_owned())));
        }
        parameters
    }
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Consumer([REDACTED])")
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token([REDACTED])")
    }
}
