//! The access token that the Discogsography services share.
//!
//! One algorithm, one shape: an HS256 JSON Web Token (RFC 7519 in the compact form of RFC 7515)
//! whose claims are `sub`, `email`, `iat`, `exp` and `jti`. The account service signs it; a
//! sibling service checks it with the shared secret, without a request to anyone. A token with a `type`
//! claim has another purpose, and is refused.
//!
//! The clock is the caller's: every check takes the current time as an argument.
//!
//! While the secret is changed, [`Keys`] accepts the tokens of previous ones, too. [`Inspection`] shows
//! what a token says and which rules it breaks, without a key.
//!
//! ```
//! use std::time::Duration;
//! use discogsography_token::{Claims, Key};
//! use uuid::Uuid;
//!
//! let key = Key::new(b"a secret of at least thirty-two bytes");
//! let token = key.sign(&Claims {
//!     sub: Uuid::from_u128(0x6f96_19ff_8b86_4d01_b42d_00cf_4fc9_64ff),
//!     email: "digger@example.com".to_owned(),
//!     iat: 1_700_000_000,
//!     exp: 1_700_086_400,
//!     jti: "5d41402abc4b2a76b9719d911017c592".to_owned(),
//! });
//!
//! let now = Duration::from_secs(1_700_000_060);
//! assert_eq!(key.verify(&token, now)?.email.as_deref(), Some("digger@example.com"));
//! # Ok::<(), discogsography_token::TokenError>(())
//! ```

mod claims;
mod compact;
mod error;
mod inspection;
mod key;

pub use claims::{Claims, VerifiedClaims};
pub use error::{Part, TokenError};
pub use inspection::{Inspection, Outcome, Rule};
pub use key::{Key, Keys, Signer};
