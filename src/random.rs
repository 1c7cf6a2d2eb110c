//! Randomness as a value: a `ChaCha12` generator, seeded once from the operating system.
//!
//! Only seeding can fail, and that happens before the service starts.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::rngs::{StdRng, SysError, SysRng};
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use uuid::Uuid;

/// Generates random bytes, ids, nonces and delays; clones share the generator.
#[derive(Clone)]
pub struct Random(Arc<Mutex<StdRng>>);

impl Random {
    /// Seeds the generator from the operating system.
    ///
    /// # Errors
    ///
    /// Fails if the operating system has no randomness.
    pub fn from_system() -> Result<Self, SysError> {
        let generator = StdRng::try_from_rng(&mut SysRng)?;
        Ok(Self(Arc::new(Mutex::new(generator))))
    }

    /// Generates `N` bytes.
    #[must_use]
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.generator().fill_bytes(&mut bytes);
        bytes
    }

    /// Generates 16 bytes as 32 hex digits, for a nonce, a `jti` or the id of a claim.
    #[must_use]
    pub fn hex(&self) -> String {
        let mut digits = Uuid::encode_buffer();
        Uuid::from_bytes(self.bytes()).simple().encode_lower(&mut digits).to_owned()
    }

    /// Generates a version 4 UUID.
    #[must_use]
    pub fn uuid(&self) -> Uuid {
        uuid::Builder::from_random_bytes(self.bytes()).into_uuid()
    }

    /// Generates a duration between `least` and `most`, inclusive.
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
