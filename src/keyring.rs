//! The keys that encrypt stored secrets, and the encryption of single values: Fernet under keys derived
//! from `ENCRYPTION_MASTER_KEY`, as in newer releases of the Python service
//! (docs/operations/encryption.md).
//!
//! This module must not depend on the stores.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use fernet_seal::{FernetKey, MasterKey, looks_sealed};
use secrecy::{ExposeSecret as _, SecretString};
use thiserror::Error;

use crate::clock::Clock;
use crate::metrics::Counter;
use crate::random::Random;

/// How many rows that can't be read are each reported once.
const MOST_REPORTED: usize = 100;

/// The fingerprint of every weak key.
const WEAK: &str = "(weak)";

/// A table with columns that are encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SealedTable {
    /// `oauth_tokens`: `access_token` and `access_secret`.
    OauthTokens,
    /// `app_config`: `value` of the keys that the service knows.
    AppConfig,
    /// `users`: `totp_secret`.
    Users,
}

impl SealedTable {
    /// Every table, in the order in which they are reported.
    pub const ALL: [Self; 3] = [Self::OauthTokens, Self::AppConfig, Self::Users];

    /// Returns the table's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::OauthTokens => "oauth_tokens",
            Self::AppConfig => "app_config",
            Self::Users => "users",
        }
    }

    /// Returns the name of the first encrypted column.
    #[must_use]
    pub fn column(self) -> &'static str {
        match self {
            Self::OauthTokens => "access_token",
            Self::AppConfig => "value",
            Self::Users => "totp_secret",
        }
    }
}

/// What a value is encrypted for; each purpose has a key of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Discogs tokens, and the app's Discogs credentials.
    DiscogsTokens,
    /// Secrets of two-factor sign-in.
    SecondFactors,
    /// Records of pending flows.
    Flows,
    /// The check value.
    Check,
}

/// The keys of this process: one for writing, and older ones for reading.
pub struct Keyring {
    /// Set once: by the configuration, or at the first start of the embedded store.
    current: OnceLock<Keys>,
    /// Newest first.
    previous: Vec<Keys>,
    clock: Clock,
    random: Random,
    /// Counts values that could not be read.
    unreadable: Counter,
    /// The rows that were reported as unreadable.
    reported: Mutex<BTreeSet<(SealedTable, String)>>,
}

/// A master key with the keys derived from it.
struct Keys {
    fingerprint: String,
    of_purposes: [FernetKey; Purpose::ALL.len()],
}

/// How a value is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sealing {
    /// Not encrypted.
    Plain,
    /// Encrypted with the current key.
    Current,
    /// Encrypted with this one of the previous keys.
    Previous(usize),
    /// Encrypted with a key that is not configured, or damaged.
    Unreadable,
}

/// Whether a value that is not encrypted is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlainText {
    /// It is read as it is.
    Accepted,
    /// It is not read: its table is recorded as encrypted.
    Refused,
}

impl PlainText {
    /// Refuses plain text in a table that is recorded as encrypted.
    #[must_use]
    pub fn unless(is_encrypted: bool) -> Self {
        if is_encrypted { Self::Refused } else { Self::Accepted }
    }
}

/// Why a stored value could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Unreadable {
    /// It is encrypted, and there is no key.
    #[error("it is encrypted, and ENCRYPTION_MASTER_KEY is not set")]
    NoKey,
    /// No configured key decrypts it.
    #[error("it is encrypted with a key that is not configured, or damaged")]
    NoKeyFits,
    /// It should be encrypted and is not.
    #[error("it is not encrypted, although its table is")]
    Plain,
}

impl Purpose {
    const ALL: [Self; 4] = [Self::DiscogsTokens, Self::SecondFactors, Self::Flows, Self::Check];

    /// The `info` of HKDF. The first two are those of the Python service.
    fn info(self) -> &'static str {
        match self {
            Self::DiscogsTokens => "oauth-tokens",
            Self::SecondFactors => "totp-secrets",
            Self::Flows => "state",
            Self::Check => "check",
        }
    }

    /// Returns what the values of a table are encrypted for.
    #[must_use]
    pub fn of(table: SealedTable) -> Self {
        match table {
            SealedTable::OauthTokens | SealedTable::AppConfig => Self::DiscogsTokens,
            SealedTable::Users => Self::SecondFactors,
        }
    }
}

impl Keys {
    fn derived_from(master: &MasterKey) -> Self {
        Self {
            // A weak key could be guessed by its fingerprint.
            fingerprint: if master.is_weak() { WEAK.to_owned() } else { master.fingerprint() },
            of_purposes: Purpose::ALL.map(|purpose| master.fernet_key(purpose.info())),
        }
    }

    fn of(&self, purpose: Purpose) -> &FernetKey {
        let [tokens, second_factors, flows, check] = &self.of_purposes;
        match purpose {
            Purpose::DiscogsTokens => tokens,
            Purpose::SecondFactors => second_factors,
            Purpose::Flows => flows,
            Purpose::Check => check,
        }
    }

    fn open(&self, purpose: Purpose, value: &str) -> Option<SecretString> {
        self.of(purpose).open(value).ok()
    }
}

impl Keyring {
    /// Derives the keys of each purpose once.
    #[must_use]
    pub fn new(
        current: Option<&MasterKey>,
        previous: impl IntoIterator<Item = Arc<MasterKey>>,
        clock: Clock,
        random: Random,
        unreadable: Counter,
    ) -> Self {
        let keyring = Self {
            current: OnceLock::new(),
            previous: previous.into_iter().map(|key| Keys::derived_from(&key)).collect(),
            clock,
            random,
            unreadable,
            reported: Mutex::default(),
        };
        if let Some(key) = current {
            keyring.set_current(key);
        }
        keyring
    }

    /// Sets the current key, unless there is one.
    pub fn set_current(&self, key: &MasterKey) {
        let _ = self.current.set(Keys::derived_from(key));
    }

    /// Whether anything can be decrypted.
    #[must_use]
    pub fn has_keys(&self) -> bool {
        self.seals() || !self.previous.is_empty()
    }

    /// Whether new values are encrypted.
    #[must_use]
    pub fn seals(&self) -> bool {
        self.current.get().is_some()
    }

    /// Returns the fingerprints of the current key and of the previous ones.
    #[must_use]
    pub fn fingerprints(&self) -> (Option<&str>, Vec<&str>) {
        let current = self.current.get().map(|keys| keys.fingerprint.as_str());
        (current, self.previous.iter().map(|keys| keys.fingerprint.as_str()).collect())
    }

    /// Encrypts a value with the current key; without one, the value is returned as it is.
    #[must_use]
    pub fn seal(&self, purpose: Purpose, value: &str) -> String {
        let Some(keys) = self.current.get() else {
            return value.to_owned();
        };
        let seconds = self.clock.now().as_microseconds() / 1_000_000;
        let seconds = u64::try_from(seconds).unwrap_or_default();
        keys.of(purpose).seal(value, seconds, self.random.bytes())
    }

    /// Decrypts a value.
    ///
    /// # Errors
    ///
    /// See [`Unreadable`].
    pub fn open(
        &self,
        purpose: Purpose,
        stored: &str,
        plain: PlainText,
    ) -> Result<SecretString, Unreadable> {
        if !looks_sealed(stored) {
            return match plain {
                PlainText::Accepted => Ok(stored.into()),
                PlainText::Refused => Err(Unreadable::Plain),
            };
        }
        let mut keys = self.current.get().into_iter().chain(&self.previous).peekable();
        let missing = if keys.peek().is_some() { Unreadable::NoKeyFits } else { Unreadable::NoKey };
        keys.find_map(|keys| keys.open(purpose, stored)).ok_or(missing)
    }

    /// Returns how a value is stored.
    #[must_use]
    pub fn sealing(&self, purpose: Purpose, stored: &str) -> Sealing {
        let opens = |keys: &Keys| keys.open(purpose, stored).is_some();
        if !looks_sealed(stored) {
            Sealing::Plain
        } else if self.current.get().is_some_and(opens) {
            Sealing::Current
        } else {
            self.previous.iter().position(opens).map_or(Sealing::Unreadable, Sealing::Previous)
        }
    }

    /// Decrypts a value of a table; counts and logs one that can't be read.
    ///
    /// # Errors
    ///
    /// See [`Unreadable`].
    pub fn open_in(
        &self,
        (table, row): (SealedTable, &str),
        stored: &SecretString,
        plain: PlainText,
    ) -> Result<SecretString, Unreadable> {
        let opened = self.open(Purpose::of(table), stored.expose_secret(), plain);
        if let Err(error) = &opened {
            self.unreadable.inc();
            let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
            if reported.len() < MOST_REPORTED && reported.insert((table, row.to_owned())) {
                let table = table.name();
                tracing::error!(table, row, %error, "❌ A stored secret can't be read");
            }
        }
        opened
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (current, previous) = self.fingerprints();
        let (current, previous) = (current.is_some(), previous.len());
        f.debug_struct("Keyring").field("current", &current).field("previous", &previous).finish()
    }
}
