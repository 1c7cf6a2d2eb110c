//! PBKDF2-HMAC-SHA256 (RFC 8018 section 5.2) over several passwords at once.
//!
//! One derivation is a long chain in which each step waits for the previous one, so a core is idle
//! most of the time. Where the processor has instructions for SHA-256, up to four chains are
//! interleaved on one thread and fill each other's gaps; elsewhere the `pbkdf2` library does the
//! work, one password after another. The choice is made once, at run time.
//!
//! ```
//! use std::num::NonZeroU32;
//!
//! use pbkdf2_lanes::{Job, derive};
//!
//! let iterations = NonZeroU32::new(4096).unwrap();
//! let jobs = [
//!     Job { password: b"password", salt: b"salt" },
//!     Job { password: b"another", salt: b"salt" },
//! ];
//! let keys = derive(&jobs, iterations);
//! assert_eq!(keys[0].as_bytes()[..4], [0xc5, 0xe4, 0x78, 0xd5]);
//! ```

mod portable;
#[cfg(target_arch = "x86_64")]
mod sha_extensions;

use std::fmt;
use std::num::NonZeroU32;

use zeroize::Zeroizing;

/// The maximum number of passwords that are processed at once.
pub const MOST_LANES: usize = 4;

/// The length of a key in bytes: one block of PBKDF2 with SHA-256.
pub const KEY_LENGTH: usize = 32;

/// A password to derive a key from. It has no `Debug`, on purpose.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    /// Any bytes, any length.
    pub password: &'a [u8],
    /// Any bytes, any length.
    pub salt: &'a [u8],
}

/// A derived key; wiped when dropped, and its `Debug` shows nothing.
#[derive(Clone)]
pub struct Key(Zeroizing<[u8; KEY_LENGTH]>);

/// Derives the key of each job, in their order.
///
/// At most [`MOST_LANES`] are processed at once; `iterations` is the same for all.
#[must_use]
pub fn derive(jobs: &[Job<'_>], iterations: NonZeroU32) -> Vec<Key> {
    #[cfg(target_arch = "x86_64")]
    if let Some(extensions) = sha_extensions::ShaExtensions::detect() {
        return extensions.derive(jobs, iterations);
    }
    portable::derive(jobs, iterations)
}

impl Key {
    /// The key itself.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; KEY_LENGTH] {
        &self.0
    }
}

impl From<[u8; KEY_LENGTH]> for Key {
    fn from(bytes: [u8; KEY_LENGTH]) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key([REDACTED])")
    }
}
