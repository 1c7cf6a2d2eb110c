//! Randomness as a value: seeded once from the operating system.
//!
//! The generator is `ChaCha12`, a cryptographic one, so drawing from it can't fail; only seeding
//! can, and that happens before the service starts.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::rngs::{StdRng, SysError, SysRng};
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use uuid::Uuid;

/// Draws random bytes, ids, nonces and waiting times.
#[derive(Clone)]
pub struct Random(Arc<Mutex<StdRng>>);

impl Random {
    /// Seeds a generator from the operating system.
    ///
    /// # Errors
    ///
    /// Where the operating system has no randomness to give.
    pub fn from_system() -> Result<Self, SysError> {
        let generator = StdRng::try_from_rng(&mut SysRng)?;
        Ok(Self(Arc::new(Mutex::new(generator))))
    }

    /// Draws `N` bytes.
    #[must_use]
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.generator().fill_bytes(&mut bytes);
        bytes
    }

    /// Draws 16 bytes and writes them as 32 hex digits: a nonce, a `jti`, a claim's id.
    #[must_use]
    pub fn hex(&self) -> String {
        let mut digits = Uuid::encode_buffer();
        Uuid::from_bytes(self.bytes()).simple().encode_lower(&mut digits).to_owned()
    }

    /// Draws a UUID of version 4.
    #[must_use]
    pub fn uuid(&self) -> Uuid {
        uuid::Builder::from_random_bytes(self.bytes()).into_uuid()
    }

    /// Draws a time from `least` to `most`.
    #[must_use]
    pub fn between(&self, least: Duration, most: Duration) -> Duration {
        let span = most.saturating_sub(least).as_secs_f64();
        least + Duration::from_secs_f64(self.generator().random_range(0.0..=span))
    }

    fn generator(&self) -> std::sync::MutexGuard<'_, StdRng> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Random")
    }
}
