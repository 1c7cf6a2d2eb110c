//! The secrets: whether they could be guessed, and who may read the files that they stand in.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use private_files::{Exposure, small};
use rustix::process::{getegid, geteuid, getgroups};
use secrecy::{ExposeSecret as _, SecretString};

use super::configuration;
use super::report::{Check, Finding};
use crate::config::{Config, EmbeddedStores, Environment, Stores, VARIABLES, weak_secret};

/// The bits of a mode that let in more than the owner, and a group that reads.
const NOT_OUR_GROUP: u32 = 0o037;

const WRITTEN_BY_OTHERS: u32 = 0o022;

/// Whose a file is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Owner {
    Us,
    Another,
}

/// A password that programs may try in peace should have as many.
const LEAST_PASSWORD: usize = 12;

/// How strong the secrets are; a warning that the start gives too is left to `configuration`.
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
    if let Stores::Servers { postgres, .. } = &config.stores {
        let signs = jwt_secret.as_ref().map(|(secret, _)| secret.expose_secret());
        findings.push(of_password(&postgres.password, &postgres.username, signs));
    }
    findings
}

/// The secret that the service made for itself, read and left as it is.
fn kept_secret(embedded: &EmbeddedStores) -> Result<(SecretString, String), Finding> {
    let path = embedded.jwt_secret();
    let file = path.display();
    match small::read_text(&path) {
        Ok(text) if text.trim().is_empty() => Err(Finding::error(
            Check::JwtSecret,
            format!("{file} is empty, and the service does not start"),
            format!(
                "Restore it from a backup; or `rm {file}` to have a new one made, after which \
                 everybody has to sign in again"
            ),
        )),
        Ok(text) => Ok((text.trim().into(), file.to_string())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(Finding::note(
            Check::JwtSecret,
            format!("{file} is not there yet"),
            "Nothing to do: the first start makes a random one",
        )),
        Err(error) => Err(Finding::error(
            Check::JwtSecret,
            format!("{file} can't be read: {error}"),
            "Give it to the user of the service, or run this as that user",
        )),
    }
}

fn of_jwt_secret(secret: &SecretString, name: &str, config: &Config) -> Option<Finding> {
    if let Some(weak) = weak_secret(name, secret) {
        let is_told = config.warnings.contains(&weak);
        return (!is_told).then(|| configuration::warning(&weak));
    }
    Some(Finding::ok(Check::JwtSecret, format!("{name} is long enough")))
}

fn of_password(password: &SecretString, username: &str, signs: Option<&str>) -> Finding {
    let password = password.expose_secret();
    let fix = "Give the role another: `\\password` in psql, then POSTGRES_PASSWORD";
    let what = if password == username {
        "POSTGRES_PASSWORD is the same as POSTGRES_USERNAME"
    } else if signs == Some(password) {
        "POSTGRES_PASSWORD is the same as JWT_SECRET_KEY: who knows one knows both"
    } else if password.chars().count() < LEAST_PASSWORD {
        let what = "POSTGRES_PASSWORD is shorter than 12 characters and could be guessed";
        return Finding::note(Check::StorePasswords, what, fix);
    } else {
        return Finding::ok(Check::StorePasswords, "POSTGRES_PASSWORD is not easily guessed");
    };
    Finding::warning(Check::StorePasswords, what, fix)
}

/// Who may read the files that `…_FILE` variables name. A user name is no secret.
pub(super) fn files(environment: &Environment) -> Vec<Finding> {
    let names = VARIABLES.iter().filter(|variable| variable.may_be_a_file);
    let names = names.filter(|variable| variable.name != "POSTGRES_USERNAME");
    let names = names.map(|variable| format!("{}_FILE", variable.name));
    let given =
        names.filter_map(|name| Some((PathBuf::from(environment.get(&name)?.trim()), name)));
    given.filter_map(|(path, name)| of_file(&path, &name)).collect()
}

/// `None` where there is no file: the configuration says so.
fn of_file(path: &Path, name: &str) -> Option<Finding> {
    let file = path.display();
    let exposure = private_files::exposure(path).ok()?;
    let found = fs::metadata(path).ok()?;
    let owner = if found.uid() == geteuid().as_raw() { Owner::Us } else { Owner::Another };
    Some(match exposure {
        Exposure::None => Finding::ok(
            Check::SecretFiles,
            format!("The file of {name} can be read by its owner alone"),
        ),
        Exposure::Sheltered(mode) => Finding::note(
            Check::SecretFiles,
            format!(
                "The file of {name} has the mode {mode:04o}, but a folder above keeps others out"
            ),
            format!("To be sure: `chmod 600 {file}`"),
        ),
        Exposure::Open(mode) if mode & NOT_OUR_GROUP == 0 && is_our_group(found.gid()) => {
            Finding::ok(
                Check::SecretFiles,
                format!("The file of {name} can be read by its owner and by our group alone"),
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
            format!("Others on this machine can read the file of {name}: its mode is {mode:04o}"),
            closed(&file.to_string(), owner),
        ),
    })
}

/// What keeps others out, and the service in.
fn closed(file: &str, owner: Owner) -> String {
    match owner {
        Owner::Us => format!("`chmod 600 {file}`"),
        Owner::Another => format!(
            "Give it to the user of the service: `chown {} {file} && chmod 400 {file}`; in \
             Kubernetes, set `defaultMode: 0440` and `fsGroup`",
            geteuid().as_raw()
        ),
    }
}

/// As Kubernetes gives a mounted secret to `fsGroup`.
fn is_our_group(group: u32) -> bool {
    let others = getgroups().unwrap_or_default();
    [getegid()].iter().chain(&others).any(|ours| ours.as_raw() == group)
}

/// Whether a container runtime put it there: Docker and Podman mount secrets below this folder,
/// readable by every user of the container.
fn is_mounted_secret(path: &Path) -> bool {
    path.starts_with("/run/secrets") || path.starts_with("/var/run/secrets")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Owner, closed, is_mounted_secret};

    #[test]
    fn what_keeps_others_out_leaves_the_service_in() {
        assert_eq!(closed("/etc/jwt", Owner::Us), "`chmod 600 /etc/jwt`");
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
