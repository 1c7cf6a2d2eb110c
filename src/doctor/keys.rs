//! Checks the keys of stored secrets, and decrypts the app's credentials.

use oauth1::Consumer;
use private_files::small;
use secrecy::{ExposeSecret as _, SecretString};

use super::database::Credentials;
use super::report::{Check, Finding};
use crate::config::{Config, Stores};
use crate::keyring::{Keyring, PlainText, Purpose, Unreadable};
use crate::metrics::Counter;
use crate::surroundings::Surroundings;
use fernet_seal::MasterKey;

/// Returns the keys that the service would use. A file that can't be read is reported by `key`.
pub(super) fn keyring(config: &Config, surroundings: &Surroundings) -> Keyring {
    let Surroundings { clock, random, .. } = surroundings;
    let encryption = &config.encryption;
    let previous = encryption.previous.iter().cloned();
    let (clock, random) = (clock.clone(), random.clone());
    let current = encryption.current.as_deref();
    let keyring = Keyring::new(current, previous, clock, random, Counter::default());
    if let Stores::Embedded(embedded) = &config.stores
        && let Ok(text) = small::read_text(&embedded.master_key())
        && let Ok(key) = MasterKey::parse(text.trim())
    {
        keyring.set_current(&key);
    }
    keyring
}

/// Reports whether new secrets are encrypted.
pub(super) fn key(config: &Config, keyring: &Keyring) -> Finding {
    let check = Check::EncryptionKey;
    if let (Some(fingerprint), _) = keyring.fingerprints() {
        return Finding::ok(check, format!("Secrets are encrypted with the key {fingerprint}"));
    }
    match &config.stores {
        Stores::Embedded(embedded) => {
            let file = embedded.master_key();
            let file = file.display();
            if embedded.master_key().exists() {
                let what = format!("{file} can't be read, or does not contain a key");
                return Finding::error(check, what, "Restore it from a backup");
            }
            let fix = "Nothing to do for a new installation: the first start creates it. Otherwise \
                       restore it from a backup";
            Finding::note(check, format!("{file} does not exist yet"), fix)
        }
        Stores::Servers { .. } => Finding::note(
            check,
            "ENCRYPTION_MASTER_KEY is not set: Discogs tokens are stored as plain text",
            "Turn encryption on, as docs/operations/encryption.md says",
        ),
    }
}

/// Decrypts the app's credentials.
pub(super) fn opened(keyring: &Keyring, credentials: Credentials) -> Credentials {
    let Credentials::Set(Consumer { key, secret }) = credentials else {
        return credentials;
    };
    let open = |stored: &str| keyring.open(Purpose::DiscogsTokens, stored, PlainText::Accepted);
    match (open(&key), open(secret.expose_secret())) {
        (Ok(key), Ok(secret)) => Credentials::Set(consumer(&key, secret)),
        (Err(why), _) | (_, Err(why)) => Credentials::Unreadable(why),
    }
}

fn consumer(key: &SecretString, secret: SecretString) -> Consumer {
    Consumer { key: key.expose_secret().to_owned(), secret }
}

/// Reports credentials that can't be decrypted.
pub(super) fn unreadable(why: Unreadable) -> Finding {
    Finding::error(
        Check::AppCredentials,
        format!("The app's credentials can't be decrypted: {why}"),
        "Set ENCRYPTION_MASTER_KEY to their key, or add that to ENCRYPTION_MASTER_KEY_PREVIOUS; if it is \
         lost, see docs/operations/encryption.md#a-lost-key",
    )
}
