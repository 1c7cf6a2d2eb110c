//! Checks the secrets: whether they can be guessed, and who can read their files.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use private_files::{Exposure, small};
use rustix::process::{getegid, geteuid, getgroups};
use secrecy::{ExposeSecret as _, SecretString};

use super::configuration;
use super::report::{Check, Finding};
use crate::config::{
    Config, EmbeddedStores, Environment, Stores, VARIABLES, repeated_secret, weak_secret,
};

/// The permission bits that give the group more than reading, or others anything.
const NOT_OUR_GROUP: u32 = 0o037;

const WRITTEN_BY_OTHERS: u32 = 0o022;

/// The owner of a file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Owner {
    ThisUser,
    Another,
}

/// Shorter passwords, in characters, could be guessed by a program.
const LEAST_PASSWORD: usize = 12;

/// Checks the strength of the secrets, except what `configuration` already reports.
pub(super) fn strength(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    let jwt_secret = match (&config.jwt_secret_key, &config.stores) {
        (Some(secret), _) => Some((secret.clone(), "JWT_SECRET_KEY".to_owned())),
        (None, Stores::Embedded(embedded)) => match kept_secret(embedded) {
            Ok(secret) => Some(secret),
            Err(finding) => {
                findings.push(finding);
                None
            }
        },
        (None, Stores::Servers { .. }) => None,
    };
    if let Some((secret, name)) = &jwt_secret {
        findings.extend(of_jwt_secret(secret, name, config));
    }
    findings.extend(of_previous_secrets(config, jwt_secret.as_ref()));
    if let Stores::Servers { postgres, .. } = &config.stores {
        let signs = jwt_secret.as_ref().map(|(secret, _)| secret.expose_secret());
        findings.push(of_password(&postgres.password, &postgres.username, signs));
    }
    findings
}

/// Reads the secret that the service generated.
fn kept_secret(embedded: &EmbeddedStores) -> Result<(SecretString, String), Finding> {
    let path = embedded.jwt_secret();
    let file = path.display();
    match small::read_text(&path) {
        Ok(text) if text.trim().is_empty() => Err(Finding::error(
            Check::JwtSecret,
            format!("{file} is empty, so the service does not start"),
            format!(
                "Restore it from a backup; or `rm {file}`, and the next start generates another, \
                 after which all users have to sign in again"
            ),
        )),
        Ok(text) => Ok((text.trim().into(), file.to_string())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(Finding::note(
            Check::JwtSecret,
            format!("{file} does not exist yet"),
            "Nothing to do: the first start generates it",
        )),
        Err(error) => Err(Finding::error(
            Check::JwtSecret,
            format!("{file} can't be read: {error}"),
            "Give it to the user of the service, or run doctor as that user",
        )),
    }
}

fn of_jwt_secret(secret: &SecretString, name: &str, config: &Config) -> Option<Finding> {
    if let Some(weak) = weak_secret(name, secret) {
        let is_reported = config.warnings.contains(&weak);
        return (!is_reported).then(|| configuration::warning(&weak));
    }
    Some(Finding::ok(Check::JwtSecret, format!("{name} is long enough")))
}

/// Reports that previous secrets are accepted, and one that still signs.
fn of_previous_secrets(config: &Config, signs: Option<&(SecretString, String)>) -> Vec<Finding> {
    let previous = &config.jwt_secret_key_previous;
    if previous.is_empty() {
        return Vec::new();
    }
    let minutes = config.access_token_life.as_secs() / 60;
    let secrets =
        if previous.len() == 1 { "1 previous secret" } else { "several previous secrets" };
    let accepted = Finding::note(
        Check::JwtSecret,
        format!("Access tokens of {secrets} are accepted"),
        format!(
            "Unset JWT_SECRET_KEY_PREVIOUS {minutes} minutes after the last service stopped signing \
             with it"
        ),
    );
    let repeated = signs.and_then(|(secret, name)| repeated_secret(name, secret, previous));
    let repeated = repeated.filter(|warning| !config.warnings.contains(warning));
    [accepted].into_iter().chain(repeated.as_ref().map(configuration::warning)).collect()
}

fn of_password(password: &SecretString, username: &str, signs: Option<&str>) -> Finding {
    let password = password.expose_secret();
    let fix = "Change it with `\\password` in psql, then set POSTGRES_PASSWORD";
    let what = if password == username {
        "POSTGRES_PASSWORD is the same as POSTGRES_USERNAME"
    } else if signs == Some(password) {
        "POSTGRES_PASSWORD is the same as JWT_SECRET_KEY: knowing one is knowing both"
    } else if password.chars().count() < LEAST_PASSWORD {
        let what = "POSTGRES_PASSWORD is shorter than 12 characters and could be guessed";
        return Finding::note(Check::StorePasswords, what, fix);
    } else {
        return Finding::ok(Check::StorePasswords, "POSTGRES_PASSWORD is not easily guessed");
    };
    Finding::warning(Check::StorePasswords, what, fix)
}

/// Checks who can read the files that `…_FILE` variables name. A user name is no secret.
pub(super) fn files(environment: &Environment) -> Vec<Finding> {
    let names = VARIABLES.iter().filter(|variable| variable.has_file_variant);
    let names = names.filter(|variable| variable.name != "POSTGRES_USERNAME");
    let names = names.map(|variable| format!("{}_FILE", variable.name));
    let given =
        names.filter_map(|name| Some((PathBuf::from(environment.get(&name)?.trim()), name)));
    given.filter_map(|(path, name)| of_file(&path, &name)).collect()
}

/// Checks one file; `None` if it does not exist, which `configuration` reports.
fn of_file(path: &Path, name: &str) -> Option<Finding> {
    let file = path.display();
    let exposure = private_files::exposure(path).ok()?;
    let found = fs::metadata(path).ok()?;
    let owner = if found.uid() == geteuid().as_raw() { Owner::ThisUser } else { Owner::Another };
    Some(match exposure {
        Exposure::None => Finding::ok(
            Check::SecretFiles,
            format!("The file of {name} can be read only by its owner"),
        ),
        Exposure::Sheltered(mode) => Finding::note(
            Check::SecretFiles,
            format!(
                "The file of {name} has the mode {mode:04o}, but a folder above it keeps other users out"
            ),
            format!("To be sure: `chmod 600 {file}`"),
        ),
        Exposure::Open(mode) if mode & NOT_OUR_GROUP == 0 && is_our_group(found.gid()) => {
            Finding::ok(
                Check::SecretFiles,
                format!(
                    "The file of {name} can be read only by its owner and the group of the service"
                ),
            )
        }
        Exposure::Open(mode) if mode & WRITTEN_BY_OTHERS == 0 && is_mounted_secret(path) => {
            Finding::note(
                Check::SecretFiles,
                format!("Every user of this container can read the file of {name}"),
                "Nothing to do in a container that runs this service alone",
            )
        }
        Exposure::Open(mode) => Finding::warning(
            Check::SecretFiles,
            format!(
                "Other users of this machine can read the file of {name}: its mode is {mode:04o}"
            ),
            closed(&file.to_string(), owner),
        ),
    })
}

/// Returns a command that denies access to other users, but not to the service.
fn closed(file: &str, owner: Owner) -> String {
    match owner {
        Owner::ThisUser => format!("`chmod 600 {file}`"),
        Owner::Another => format!(
            "Give it to the user of the service: `chown {} {file} && chmod 400 {file}`; in \
             Kubernetes, set `defaultMode: 0440` and `fsGroup`",
            geteuid().as_raw()
        ),
    }
}

/// Whether this process is in the group, as with Kubernetes' `fsGroup`.
fn is_our_group(group: u32) -> bool {
    let others = getgroups().unwrap_or_default();
    [getegid()].iter().chain(&others).any(|ours| ours.as_raw() == group)
}

/// Whether Docker or Podman mounted it.
///
/// Every user of the container can read the secrets in this folder.
fn is_mounted_secret(path: &Path) -> bool {
    path.starts_with("/run/secrets") || path.starts_with("/var/run/secrets")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Owner, closed, is_mounted_secret};

    #[test]
    fn the_fix_keeps_others_out_and_the_service_in() {
        assert_eq!(closed("/etc/jwt", Owner::ThisUser), "`chmod 600 /etc/jwt`");
        let another = closed("/etc/jwt", Owner::Another);
        assert!(another.contains("`chown "), "{another}");
        assert!(another.contains(" /etc/jwt && chmod 400 /etc/jwt`"), "{another}");
    }

    #[test]
    fn a_secret_that_a_container_mounts_is_known_by_its_folder() {
        for path in ["/run/secrets/jwt_secret_key", "/var/run/secrets/discogsography/jwt"] {
            assert!(is_mounted_secret(Path::new(path)));
        }
        for path in ["/etc/jwt", "/run/secrets-of-others/jwt", "/srv/run/secrets/jwt"] {
            assert!(!is_mounted_secret(Path::new(path)));
        }
    }
}
