//! `SSL_CERT_FILE` and `SSL_CERT_DIR`: other root certificates than the system's, by the names that
//! OpenSSL gave them. Other programs read them too, so a wrong one is a warning.

use std::path::Path;

use super::environment::Environment;
use super::reader::{Reader, why_unread};
use super::shown::path_shown;
use super::warning::Warning;
use crate::pem;
use private_files::small;

const FILE: &str = "SSL_CERT_FILE";
const FOLDERS: &str = "SSL_CERT_DIR";

/// Whether root certificates may be looked for where the environment says: a library that opens
/// whatever stands there would wait for a FIFO, and read a device to its end.
#[must_use]
pub fn system_roots_are_readable(environment: &Environment) -> bool {
    fault_of_file(environment).is_none()
}

/// Warns of variables that name no root certificates.
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
    let read = small::read(Path::new(path)).map_err(|error| why_unread(&error));
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
