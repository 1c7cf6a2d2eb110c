//! URL parameters meant for other clients: which are ignored, and which shown.

use env_config::{Reader, Warning};

/// Words in the names of security parameters, which are never ignored.
const OF_SECURITY: [&str; 8] = ["ssl", "tls", "gss", "auth", "cert", "verif", "encrypt", "secure"];

/// The longest parameter name that is shown.
const LONGEST_NAME: usize = 40;

/// Parameters, each with the values that merely ask for the default behaviour.
pub(super) type DefaultValues = [(&'static str, &'static [&'static str])];

pub(super) fn asks_for_default(known: &DefaultValues, name: &str, value: &str) -> bool {
    known.iter().any(|(known, values)| *known == name && values.contains(&value))
}

pub(super) fn is_of_security(name: &str) -> bool {
    let name = name.to_lowercase();
    OF_SECURITY.iter().any(|about| name.contains(about))
}

/// Returns the name if it is only letters and `_`: any other text could be part of a password.
pub(super) fn shown_name(name: &str) -> &str {
    let is_word = name.chars().all(|letter| letter.is_ascii_alphabetic() || letter == '_');
    if is_word && (1..=LONGEST_NAME).contains(&name.len()) { name } else { "(not shown)" }
}

/// Adds one warning for all parameters of a URL that have no effect.
pub(super) fn warn_of_ignored(reader: &mut Reader<'_>, name: &str, ignored: &[String]) {
    if !ignored.is_empty() {
        let ignored = ignored.join(", ");
        let what = format!("{name} has parameters that have no effect: {ignored}");
        reader.warn(Warning::Careful(what));
    }
}
