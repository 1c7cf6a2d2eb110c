//! The secret that signs access tokens: configured, or created once beside the embedded store.

use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use env_config::wrapped_secret;
use private_files::{PendingFile, Unusable, small};
use secrecy::{ExposeSecret as _, SecretString};
use thiserror::Error;
use tracing::info;

use super::announce::log_warning;
use crate::config::{Config, Stores, weak_secret};
use crate::random::Random;
use crate::sqlite;

/// The file of the secret can't be used.
#[derive(Debug, Error)]
pub enum SecretError {
    /// It can't be read or created.
    #[error("can't {verb} {}: set DATA_DIR to a folder that can be written to, or set JWT_SECRET_KEY", .path.display())]
    Unusable {
        /// `read` or `create`.
        verb: &'static str,
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// It exists and is empty.
    #[error("{} is empty: restore it, or remove it to have a new one created, which ends every session", .0.display())]
    Empty(PathBuf),
    /// It belongs to another user, or is not a file.
    #[error(transparent)]
    Refused(#[from] Unusable),
    /// It is not configured, and there is no embedded store to create it beside.
    #[error("JWT_SECRET_KEY is missing")]
    Missing,
}

/// Returns `JWT_SECRET_KEY`, or the secret beside the embedded store, created at the first start.
pub(super) fn read_or_create(
    config: &Config,
    random: &Random,
) -> Result<SecretString, SecretError> {
    match (&config.jwt_secret_key, &config.stores) {
        (Some(secret), _) => Ok(secret.clone()),
        (None, Stores::Embedded(embedded)) => {
            let path = embedded.jwt_secret();
            match read(&path)? {
                Some(secret) => Ok(secret),
                None => create(&path, random),
            }
        }
        (None, Stores::Servers { .. }) => Err(SecretError::Missing),
    }
}

/// Reads the file; `None` if there is none. Only the service that holds the lock creates it.
fn read(path: &Path) -> Result<Option<SecretString>, SecretError> {
    private_files::check(path)?;
    match small::read_text(path) {
        Ok(text) if text.trim().is_empty() => Err(SecretError::Empty(path.to_owned())),
        Ok(text) => {
            sqlite_file::close_to_others(path, sqlite::log);
            let (name, secret) = (path.display().to_string(), SecretString::from(text.trim()));
            let weak = weak_secret(&name, &secret);
            let wrapped = wrapped_secret(&name, secret.expose_secret());
            weak.iter().chain(&wrapped).for_each(log_warning);
            Ok(Some(secret))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(SecretError::Unusable { verb: "read", path: path.to_owned(), source }),
    }
}

/// Creates the file whole or not at all: there is never half a secret.
fn create(path: &Path, random: &Random) -> Result<SecretString, SecretError> {
    let unusable = |source| SecretError::Unusable { verb: "create", path: path.to_owned(), source };
    let secret = SecretString::from(format!("{}{}", random.hex(), random.hex()));
    let publish = || {
        let mut file = PendingFile::beside(path)?;
        writeln!(file.file(), "{}", secret.expose_secret())?;
        file.give_to_owner_of_folder()?;
        file.publish(path)
    };
    publish().map_err(unusable)?;
    info!(file = %path.display(), "🔧 Created a secret for access tokens");
    Ok(secret)
}
