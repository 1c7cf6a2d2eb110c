//! The keys that encrypt stored secrets.

use std::sync::Arc;

use env_config::{Reader, Warning};
use fernet_seal::MasterKey;

use super::variables::{
    ENCRYPTION_ALLOW_WEAK_KEY, ENCRYPTION_MASTER_KEY, ENCRYPTION_MASTER_KEY_PREVIOUS,
};

/// The keys that encrypt stored secrets.
#[derive(Debug, Clone, Default)]
pub struct EncryptionKeys {
    /// `ENCRYPTION_MASTER_KEY`; without it, the embedded stores have one in a file.
    pub current: Option<Arc<MasterKey>>,
    /// `ENCRYPTION_MASTER_KEY_PREVIOUS`, newest first: only for reading.
    pub previous: Vec<Arc<MasterKey>>,
}

pub(super) fn read(reader: &mut Reader<'_>) -> Option<EncryptionKeys> {
    let current = reader.value(&ENCRYPTION_MASTER_KEY);
    let previous = reader.value(&ENCRYPTION_MASTER_KEY_PREVIOUS).unwrap_or_default();
    let allows_weak = reader.value(&ENCRYPTION_ALLOW_WEAK_KEY)?;
    if current.as_ref().is_some_and(MasterKey::is_weak) {
        if allows_weak {
            let what = "ENCRYPTION_MASTER_KEY has fewer than 32 bytes and could be guessed";
            reader.warn(Warning::Careful(what.to_owned()));
        } else {
            reader.invalid(&ENCRYPTION_MASTER_KEY, WEAK);
        }
    }
    let previous = previous.into_iter().map(Arc::new).collect();
    Some(EncryptionKeys { current: current.map(Arc::new), previous })
}

const WEAK: &str = "has fewer than 32 bytes and could be guessed: move it to \
    ENCRYPTION_MASTER_KEY_PREVIOUS, set a key from `discogsography-api keys generate`, then run \
    `discogsography-api keys rotate`; or set ENCRYPTION_ALLOW_WEAK_KEY=on";

pub(super) fn parse_master_key(value: &str) -> Result<MasterKey, String> {
    MasterKey::parse(value.trim()).map_err(|error| format!("is not an encryption key: {error}"))
}

/// Parses keys that are separated by commas or line breaks.
pub(super) fn parse_master_keys(value: &str) -> Result<Vec<MasterKey>, String> {
    let keys = value.split([',', '\n']).map(str::trim).filter(|key| !key.is_empty());
    let parsed = keys.zip(1..).map(|(key, number)| {
        MasterKey::parse(key)
            .map_err(|error| format!("is not a list of encryption keys: number {number}: {error}"))
    });
    parsed.collect()
}

#[cfg(test)]
mod tests {
    use super::parse_master_keys;

    #[test]
    fn a_list_of_keys_has_one_per_comma_or_line() {
        let count = |list: &str| parse_master_keys(list).map(|keys| keys.len());
        assert_eq!(count("AAAA, BBBB,\nCCCC\n"), Ok(3));
        assert_eq!(count(" \n,"), Ok(0));
        let error = count("AAAA,secret!").unwrap_err();
        assert!(error.starts_with("is not a list of encryption keys: number 2: "), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }
}
