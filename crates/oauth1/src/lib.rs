//! OAuth 1.0a as defined by RFC 5849: signing requests and checking signed ones.
//!
//! Signing uses HMAC-SHA1 and puts every protocol parameter into the `Authorization` header
//! (section 3.5.1), so it refuses a URL whose query has an `oauth_…` parameter. Checking accepts
//! HMAC-SHA1 and PLAINTEXT, with the parameters in the header, the query or the form body.
//!
//! No I/O, no clock, no randomness: the caller chooses the nonce and the timestamp. Only signatures
//! are checked here: a server must also reject repeated nonces and old timestamps.
//!
//! Start with [`Target`], which makes the signature base string; [`Request`] signs and
//! [`Authorization`] checks.
//!
//! ```
//! use oauth1::{Authorization, Consumer, Request, Target};
//! use secrecy::SecretString;
//!
//! let consumer = Consumer {
//!     key: "consumer-key".to_owned(),
//!     secret: SecretString::from("consumer-secret"),
//! };
//! let target = Target::new("GET", "https://api.example.com/oauth/request_token");
//! let header = Request {
//!     target,
//!     consumer: &consumer,
//!     token: None,
//!     callback: Some("oob"),
//!     verifier: None,
//!     nonce: "1a3f986c05aa5700b5305a3cff508d5a",
//!     timestamp: 1_750_160_637,
//! }
//! .authorization()?;
//!
//! let received = Authorization::parse(&header)?;
//! assert_eq!(received.parameter("oauth_callback"), Some("oob"));
//! received.verify(target, &consumer.secret, None)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod authorization;
mod base_string;
mod encoding;
mod request;
mod signature;

pub use authorization::{Authorization, CheckError, ReadError};
pub use base_string::{Target, UrlError};
pub use request::{Consumer, Request, Token};
