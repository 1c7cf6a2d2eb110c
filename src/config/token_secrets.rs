//! The secrets of access tokens: the one that signs, and previous ones that are still accepted.

use env_config::{Reader, Warning};
use secrecy::{ExposeSecret as _, SecretString};

use super::misspelt;
use super::variables::{JWT_SECRET_KEY, JWT_SECRET_KEY_PREVIOUS};
use super::weak_secret::{weak_previous_secret, weak_secret};

/// Returns `JWT_SECRET_KEY` and `JWT_SECRET_KEY_PREVIOUS`.
pub(super) fn read(reader: &mut Reader<'_>) -> (Option<SecretString>, Vec<SecretString>) {
    let current = read_current(reader);
    let previous = reader.list(&JWT_SECRET_KEY_PREVIOUS);
    let previous: Vec<_> = previous.into_iter().map(SecretString::from).collect();
    for warning in previous_warnings(&previous) {
        reader.warn(warning);
    }
    if let Some(current) = &current
        && let Some(warning) = repeated_secret("JWT_SECRET_KEY", current, &previous)
    {
        reader.warn(warning);
    }
    (current, previous)
}

fn read_current(reader: &mut Reader<'_>) -> Option<SecretString> {
    let secret: Option<SecretString> = reader.value(&JWT_SECRET_KEY).map(Into::into);
    match &secret {
        Some(secret) => {
            if let Some(warning) = weak_secret("JWT_SECRET_KEY", secret) {
                reader.warn(warning);
            }
        }
        None if !misspelt::asking_for_servers(reader).is_empty() => reader.missing(
            &JWT_SECRET_KEY,
            "is needed with PostgreSQL; every replica and Curator check tokens with it",
        ),
        None => {}
    }
    secret
}

/// Warns about previous secrets that could be guessed, or that are listed twice.
fn previous_warnings(previous: &[SecretString]) -> Vec<Warning> {
    let mut warnings = Vec::new();
    for (index, secret) in previous.iter().enumerate() {
        let name = entry(index);
        warnings.extend(weak_previous_secret(&name, secret));
        if previous.iter().take(index).any(|earlier| is_same(earlier, secret)) {
            let what = format!("{name} is listed twice: remove one of them");
            warnings.push(Warning::Careful(what));
        }
    }
    warnings
}

/// Warns if the secret that signs is among the previous ones; `name` says where it comes from.
pub(crate) fn repeated_secret(
    name: &str,
    secret: &SecretString,
    previous: &[SecretString],
) -> Option<Warning> {
    let index = previous.iter().position(|previous| is_same(previous, secret))?;
    Some(Warning::Careful(format!(
        "{} is the same as {name}, so it has no effect: remove it, or change {name}",
        entry(index)
    )))
}

fn is_same(one: &SecretString, other: &SecretString) -> bool {
    one.expose_secret() == other.expose_secret()
}

/// Names an entry of the list, from 1.
fn entry(index: usize) -> String {
    format!("JWT_SECRET_KEY_PREVIOUS entry {}", index + 1)
}
