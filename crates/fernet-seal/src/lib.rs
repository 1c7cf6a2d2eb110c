//! Fernet encryption of stored text, compatible with Python's `cryptography.fernet`.
//!
//! A [`MasterKey`] is read as Python reads it. From it, each purpose gets its own [`FernetKey`], which
//! seals text into tokens and opens them. [`looks_sealed`] tells tokens from plain text.
//!
//! Knows nothing of what is sealed, of clocks and of random numbers: the time and the IV are arguments.
//! Sources: the [Fernet specification](https://github.com/fernet/spec/blob/master/Spec.md) and RFC 5869.
//!
//! ```
//! use fernet_seal::{MasterKey, looks_sealed};
//!
//! let master = MasterKey::parse("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")?;
//! let key = master.fernet_key("oauth-tokens");
//! // Use 16 random bytes instead of [7; 16].
//! let token = key.seal("a secret", 1_700_000_000, [7; 16]);
//!
//! assert!(looks_sealed(&token) && !looks_sealed("a secret"));
//! assert_eq!(secrecy::ExposeSecret::expose_secret(&key.open(&token)?), "a secret");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod fernet;
mod master_key;
mod python_base64;

pub use fernet::{FernetKey, OpenError, looks_sealed};
pub use master_key::{KeyError, MasterKey};
