//! The secret that signs access tokens: given, or made once beside the embedded store.

use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use private_files::{PendingFile, Unusable, small};
use secrecy::{ExposeSecret as _, SecretString};
use thiserror::Error;
use tracing::info;

use crate::config::{Config, Stores, Warning};
use crate::random::Random;
use crate::sqlite;

/// The file of the secret can't be used.
#[derive(Debug, Error)]
pub enum SecretError {
    /// It can't be read or made.
    #[error("can't {verb} {}: set DATA_DIR to a folder that can be written to, or set JWT_SECRET_KEY", .path.display())]
    Unusable {
        /// What was tried.
        verb: &'static str,
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// It is there and says nothing.
    #[error("{} is empty: restore it, or remove it to have a new one made, which ends every session", .0.display())]
    Empty(PathBuf),
    /// It is somebody else's, or not a file.
    #[error(transparent)]
    Refused(#[from] Unusable),
    /// Neither given nor to be made.
    #[error("JWT_SECRET_KEY is missing")]
    Missing,
}

/// Gives `JWT_SECRET_KEY`, or the secret beside the embedded store, made at the first start.
pub(super) fn read_or_make(config: &Config, random: &Random) -> Result<SecretString, SecretError> {
    match (&config.jwt_secret_key, &config.stores) {
        (Some(secret), _) => Ok(secret.clone()),
        (None, Stores::Embedded(embedded)) => {
            let path = embedded.jwt_secret();
            match read(&path)? {
                Some(secret) => Ok(secret),
                None => make(&path, random),
            }
        }
        (None, Stores::Servers { .. }) => Err(SecretError::Missing),
    }
}

/// Only the service that holds the lock makes the file, so it does not come up meanwhile.
fn read(path: &Path) -> Result<Option<SecretString>, SecretError> {
    private_files::check(path)?;
    match small::read_text(path) {
        Ok(text) if text.trim().is_empty() => Err(SecretError::Empty(path.to_owned())),
        Ok(text) => {
            sqlite_file::close_to_others(path, sqlite::log);
            let (name, secret) = (path.display().to_string(), SecretString::from(text.trim()));
            let weak = Warning::of_weak_secret(&name, &secret);
            let wrapped = Warning::of_wrapped_secret(&name, secret.expose_secret());
            weak.iter().chain(&wrapped).for_each(Warning::log);
            Ok(Some(secret))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(SecretError::Unusable { verb: "read", path: path.to_owned(), source }),
    }
}

/// The file appears complete or not at all: there is never half a secret.
fn make(path: &Path, random: &Random) -> Result<SecretString, SecretError> {
    let unusable = |source| SecretError::Unusable { verb: "make", path: path.to_owned(), source };
    let secret = SecretString::from(format!("{}{}", random.hex(), random.hex()));
    let publish = || {
        let mut file = PendingFile::beside(path)?;
        writeln!(file.file(), "{}", secret.expose_secret())?;
        file.give_to_owner_of_folder()?;
        file.publish(path)
    };
    publish().map_err(unusable)?;
    info!(file = %path.display(), "🔧 Made a secret for access tokens");
    Ok(secret)
}
