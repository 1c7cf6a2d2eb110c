//! The secrets that are created once beside the embedded store: the one that signs access tokens, and the
//! key that encrypts stored secrets.

use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use discogsography_token::{Key, Keys};
use env_config::wrapped_secret;
use fernet_seal::{KeyError, MasterKey};
use private_files::{PendingFile, Unusable, small};
use secrecy::{ExposeSecret as _, SecretString};
use thiserror::Error;
use tracing::info;

use super::announce::log_warning;
use crate::config::{Config, Stores, repeated_secret, weak_secret};
use crate::random::Random;
use crate::sqlite;

/// The file of a secret can't be used.
#[derive(Debug, Error)]
pub enum SecretError {
    /// It can't be read or created.
    #[error("can't {verb} {}: set DATA_DIR to a folder that can be written to, or set {variable}", .path.display())]
    Unusable {
        /// `read` or `create`.
        verb: &'static str,
        /// The file.
        path: PathBuf,
        /// The variable that can replace it.
        variable: &'static str,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// It exists and is empty.
    #[error("{} is empty: restore it, or remove it to have a new one created, {loss}", .path.display())]
    Empty {
        /// The file.
        path: PathBuf,
        /// What a new one ends.
        loss: &'static str,
    },
    /// It contains no key.
    #[error("{} does not contain the key that was created there: restore it", .path.display())]
    NotAKey {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: KeyError,
    },
    /// It belongs to another user, or is not a file.
    #[error(transparent)]
    Refused(#[from] Unusable),
    /// It is not configured, and there is no embedded store to create it beside.
    #[error("JWT_SECRET_KEY is missing")]
    Missing,
}

/// A file with one secret.
struct SecretFile<'a> {
    path: &'a Path,
    /// The variable that can replace it.
    variable: &'static str,
    /// What a new one ends.
    loss: &'static str,
}

/// Returns `JWT_SECRET_KEY`, or the secret beside the embedded store, created at the first start.
pub(super) fn read_or_create(
    config: &Config,
    random: &Random,
) -> Result<SecretString, SecretError> {
    let embedded = match (&config.jwt_secret_key, &config.stores) {
        (Some(secret), _) => return Ok(secret.clone()),
        (None, Stores::Servers { .. }) => return Err(SecretError::Missing),
        (None, Stores::Embedded(embedded)) => embedded,
    };
    let path = embedded.jwt_secret();
    let file = jwt_secret_file(&path);
    if let Some(secret) = file.read()? {
        let name = path.display().to_string();
        let weak = weak_secret(&name, &secret);
        let wrapped = wrapped_secret(&name, secret.expose_secret());
        let repeated = repeated_secret(&name, &secret, &config.jwt_secret_key_previous);
        weak.iter().chain(&wrapped).chain(&repeated).for_each(log_warning);
        return Ok(secret);
    }
    let secret = SecretString::from(format!("{}{}", random.hex(), random.hex()));
    file.create(&secret)?;
    info!(file = %path.display(), "🔧 Created a secret for access tokens");
    Ok(secret)
}

/// Returns the keys of access tokens: this secret signs, and the previous ones are accepted, too.
pub(super) fn token_keys(secret: &SecretString, config: &Config) -> Keys {
    let key = |secret: &SecretString| Key::new(secret.expose_secret().as_bytes());
    Keys::new(key(secret), config.jwt_secret_key_previous.iter().map(key).collect())
}

/// Returns the keys of access tokens, and changes nothing.
///
/// `None` if the embedded store's secret was not created yet.
///
/// # Errors
///
/// If the file with the secret can't be used.
pub fn existing_token_keys(config: &Config) -> Result<Option<Keys>, SecretError> {
    let secret = match (&config.jwt_secret_key, &config.stores) {
        (Some(secret), _) => Some(secret.clone()),
        (None, Stores::Servers { .. }) => return Err(SecretError::Missing),
        (None, Stores::Embedded(embedded)) => jwt_secret_file(&embedded.jwt_secret()).content()?,
    };
    Ok(secret.map(|secret| token_keys(&secret, config)))
}

fn jwt_secret_file(path: &Path) -> SecretFile<'_> {
    SecretFile { path, variable: "JWT_SECRET_KEY", loss: "which ends every session" }
}

/// Reads the key beside the embedded store; `None` before it was created.
pub(super) fn read_master_key(path: &Path) -> Result<Option<MasterKey>, SecretError> {
    let parse = |key: SecretString| {
        let parsed = MasterKey::parse(key.expose_secret());
        parsed.map_err(|source| SecretError::NotAKey { path: path.to_owned(), source })
    };
    master_key_file(path).read()?.map(parse).transpose()
}

/// Creates the key beside the embedded store.
pub(super) fn create_master_key(path: &Path, random: &Random) -> Result<MasterKey, SecretError> {
    let key = MasterKey::generate(&random.bytes());
    let parsed = MasterKey::parse(key.expose_secret());
    let parsed = parsed.map_err(|source| SecretError::NotAKey { path: path.to_owned(), source })?;
    master_key_file(path).create(&key)?;
    info!(file = %path.display(), "🔐 Created a key that encrypts Discogs tokens; back it up");
    Ok(parsed)
}

fn master_key_file(path: &Path) -> SecretFile<'_> {
    let loss = "without which stored Discogs tokens can't be read";
    SecretFile { path, variable: "ENCRYPTION_MASTER_KEY", loss }
}

impl SecretFile<'_> {
    /// Reads the file; `None` if there is none. Only the service that holds the lock creates it.
    fn read(&self) -> Result<Option<SecretString>, SecretError> {
        let secret = self.content()?;
        if secret.is_some() {
            sqlite_file::restrict_to_owner(self.path, sqlite::log);
        }
        Ok(secret)
    }

    /// Reads the file and leaves its mode as it is; `None` if there is none.
    fn content(&self) -> Result<Option<SecretString>, SecretError> {
        let path = self.path.to_owned();
        private_files::check(&path)?;
        match small::read_text(&path) {
            Ok(text) if text.trim().is_empty() => Err(SecretError::Empty { path, loss: self.loss }),
            Ok(text) => Ok(Some(text.trim().into())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(self.unusable("read", source)),
        }
    }

    /// Creates the file whole or not at all: there is never half a secret.
    fn create(&self, secret: &SecretString) -> Result<(), SecretError> {
        let publish = || {
            let mut file = PendingFile::beside(self.path)?;
            writeln!(file.file(), "{}", secret.expose_secret())?;
            file.give_to_owner_of_folder()?;
            file.publish(self.path)
        };
        publish().map_err(|source| self.unusable("create", source))
    }

    fn unusable(&self, verb: &'static str, source: std::io::Error) -> SecretError {
        let (path, variable) = (self.path.to_owned(), self.variable);
        SecretError::Unusable { verb, path, variable, source }
    }
}
