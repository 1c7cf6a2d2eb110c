//! Checks the keys of stored secrets, and whether they open what is stored.

use oauth1::Consumer;
use private_files::small;
use secrecy::{ExposeSecret as _, SecretString};

use super::database::Credentials;
use super::inspect::StoredSecrets;
use super::report::{Check, Finding};
use crate::config::{Config, Stores};
use crate::keyring::{Keyring, PlainText, Purpose, SealedTable, Unreadable};
use crate::keys::{Misfit, TableTally, check_fits};
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

/// What to do about secrets that no configured key decrypts.
const FIND_KEY: &str = "Set ENCRYPTION_MASTER_KEY to their key, or add it to ENCRYPTION_MASTER_KEY_PREVIOUS; if \
    it is lost, see docs/operations/encryption.md#a-lost-key";

/// Reports how the stored secrets are encrypted, and those that can't be decrypted.
pub(super) fn stored(keyring: &Keyring, secrets: &StoredSecrets) -> Vec<Finding> {
    let mut findings: Vec<_> = secrets
        .tally
        .iter()
        .flat_map(|(table, rows)| {
            let refuses_plain = secrets.encryption.tables.contains(table);
            of_table(keyring, *table, rows, refuses_plain)
        })
        .collect();
    if findings.is_empty() {
        findings.extend(secrets.encryption.check.as_deref().and_then(|it| unfit(keyring, it)));
    }
    if findings.is_empty() {
        let how = if keyring.seals() { "encrypted with the current key" } else { "plain text" };
        let rows: u64 = secrets.tally.iter().map(|(_, rows)| rows.current + rows.plain).sum();
        let all = if secrets.is_partial { "at least the first" } else { "all" };
        let what = match rows {
            0 => "No secrets are stored yet".to_owned(),
            1 => format!("The only stored secret is {how}"),
            _ => format!("The stored secrets are {how} ({all} {rows} rows)"),
        };
        findings.push(Finding::ok(Check::StoredSecrets, what));
    }
    findings
}

fn of_table(
    keyring: &Keyring,
    table: SealedTable,
    rows: &TableTally,
    refuses_plain: bool,
) -> Vec<Finding> {
    let check = Check::StoredSecrets;
    let name = table.name();
    let mut findings = Vec::new();
    if rows.unreadable > 0 {
        let why = match (keyring.has_keys(), rows.unreadable) {
            (false, _) => "there is no key",
            (true, 1) => "no configured key decrypts it",
            (true, _) => "no configured key decrypts them",
        };
        let (are, keys) = (rows_of(name, rows.unreadable), rows.unreadable_rows.join(", "));
        findings.push(Finding::error(
            check,
            format!("{are} encrypted, and {why}: {keys}"),
            FIND_KEY,
        ));
    }
    let old = rows.previous.iter().sum();
    if old > 0 {
        let what = format!("{} encrypted with a previous key", rows_of(name, old));
        findings.push(Finding::note(check, what, "`discogsography-api keys rotate`"));
    }
    if rows.plain > 0 && keyring.seals() {
        let what = format!("{} plain text", rows_of(name, rows.plain));
        let fix = "`discogsography-api keys encrypt`";
        findings.push(if refuses_plain {
            let what = format!("{what}, which is refused because the table is encrypted");
            Finding::error(check, what, fix)
        } else {
            Finding::warning(check, what, fix)
        });
    }
    findings
}

/// Returns `2 rows of users are`.
fn rows_of(table: &str, count: u64) -> String {
    if count == 1 { format!("1 row of {table} is") } else { format!("{count} rows of {table} are") }
}

/// Reports a database that was set up with a key that is not configured.
fn unfit(keyring: &Keyring, check: &str) -> Option<Finding> {
    let what = match check_fits(keyring, check) {
        Ok(()) => return None,
        Err(Misfit::KeyMissing) => "The database was set up with a key, and there is no key",
        Err(_) => "The database was set up with another key",
    };
    Some(Finding::error(Check::StoredSecrets, what, FIND_KEY))
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
