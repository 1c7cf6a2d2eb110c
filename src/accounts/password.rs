//! Hashes and checks passwords on worker threads, behind a queue of limited length.
//!
//! The stored form is the Python service's: `<salt>:<key>` in hex, PBKDF2-HMAC-SHA256 (RFC 8018
//! section 5.2) with 100,000 iterations. If there is no user, or the hash can't be read, a decoy is
//! checked, so that the time doesn't reveal which addresses have an account. This module must not
//! depend on HTTP or storage.

mod queue;
mod stored;
mod workers;

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use thiserror::Error;

use crate::metrics::Metrics;
use crate::model::{NewPassword, UserWithHash};
use crate::random::Random;
use stored::StoredHash;
use workers::Workers;

pub use queue::Requester;

/// The same number as in the Python service's hashes.
const ITERATIONS: NonZeroU32 = NonZeroU32::new(100_000).unwrap();

/// Hashes and checks passwords.
#[derive(Debug)]
pub struct Passwords {
    workers: Workers,
    random: Random,
    decoy: StoredHash,
}

/// Why a password was not hashed or checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PasswordError {
    /// The queue is full, or the password was displaced by one from another network.
    #[error("the password queue has no room: it holds {} ms of work", .wait.as_millis())]
    Overloaded {
        /// How long the queue takes to be worked off.
        wait: Duration,
    },
    /// The workers have stopped, which happens only when the service stops.
    #[error("the password workers have stopped")]
    Stopped,
}

/// Whether a stored hash has the form that a password can be checked against.
#[must_use]
pub fn is_readable_hash(text: &str) -> bool {
    StoredHash::parse(text).is_some()
}

impl Passwords {
    /// Starts the worker threads.
    ///
    /// # Errors
    ///
    /// If the operating system can't create the threads.
    pub fn start(
        workers: NonZeroUsize,
        random: Random,
        metrics: Arc<Metrics>,
    ) -> std::io::Result<Self> {
        let salt = random.bytes::<{ StoredHash::SALT_LENGTH }>().to_vec();
        let decoy = StoredHash { salt, key: random.bytes().into() };
        let workers = Workers::start(workers, ITERATIONS, metrics)?;
        Ok(Self { workers, random, decoy })
    }

    /// Hashes a new password with a fresh salt.
    ///
    /// # Errors
    ///
    /// See [`PasswordError`].
    pub async fn hash(
        &self,
        password: NewPassword,
        requester: Requester,
    ) -> Result<SecretString, PasswordError> {
        let password = password.into_secret();
        let salt = self.random.bytes::<{ StoredHash::SALT_LENGTH }>().to_vec();
        let key = self.workers.derive(password, salt.clone(), requester).await?;
        Ok(StoredHash { salt, key }.to_text())
    }

    /// Returns the user that was found if the password is correct and the user is active.
    ///
    /// Takes the same time whether or not there is a user.
    ///
    /// # Errors
    ///
    /// See [`PasswordError`].
    pub async fn sign_in(
        &self,
        found: Option<UserWithHash>,
        password: SecretString,
        requester: Requester,
    ) -> Result<Option<UserWithHash>, PasswordError> {
        let stored = found.as_ref().map(|found| &found.hashed_password);
        let is_right = self.verify(password, stored, requester).await?;
        Ok(found.filter(|found| is_right && found.user.is_active))
    }

    /// Checks whether `password` matches the stored hash.
    ///
    /// Returns `false`, after the same time, if there is no hash or it can't be read.
    ///
    /// # Errors
    ///
    /// See [`PasswordError`].
    pub async fn verify(
        &self,
        password: SecretString,
        stored: Option<&SecretString>,
        requester: Requester,
    ) -> Result<bool, PasswordError> {
        let readable = stored.and_then(|text| StoredHash::parse(text.expose_secret()));
        let is_real = readable.is_some();
        let stored = readable.unwrap_or_else(|| self.decoy.clone());
        let key = self.workers.derive(password, stored.salt.clone(), requester).await?;
        Ok(stored.matches(&key) && is_real)
    }
}
