//! `SSL_CERT_FILE` and `SSL_CERT_DIR`: OpenSSL's variables that replace the system's root
//! certificates. Other programs read them too, so an invalid one is only a warning.

use std::path::Path;

use env_config::{Environment, Reader, Warning, path_shown};
use private_files::small;

use crate::pem;

const FILE: &str = "SSL_CERT_FILE";
const FOLDERS: &str = "SSL_CERT_DIR";

/// Whether `SSL_CERT_FILE` is unset or safe to read.
///
/// A library that opens any path would wait for a FIFO, or read a device forever.
#[must_use]
pub fn system_roots_are_readable(environment: &Environment) -> bool {
    fault_of_file(environment).is_none()
}

/// Warns about a variable that names no root certificates.
pub(super) fn check(reader: &mut Reader<'_>, environment: &Environment) {
    let fault = fault_of_file(environment).or_else(|| fault_of_folders(environment));
    if let Some(what) = fault {
        reader.warn(Warning::Careful(format!(
            "{what}; the root certificates that come with the program are used instead"
        )));
    }
}

fn fault_of_file(environment: &Environment) -> Option<String> {
    if environment.is_empty(FILE) {
        return Some(format!("{FILE} is empty"));
    }
    let path = environment.get(FILE)?;
    let read = small::read(Path::new(path)).map_err(|error| format!("can't be read: {error}"));
    let found = read.and_then(|content| {
        pem::any_certificates(&content).map_err(|flaw| format!("can't be used: {flaw}"))
    });
    found.err().map(|what| format!("{FILE} {} {what}", path_shown(path)))
}

fn fault_of_folders(environment: &Environment) -> Option<String> {
    if environment.get(FILE).is_some() {
        return None;
    }
    let paths = environment.get(FOLDERS)?;
    let mut folders = std::env::split_paths(paths);
    let has_one = folders.any(|folder| folder.is_dir());
    (!has_one).then(|| format!("{FOLDERS} names no folder that exists"))
}
