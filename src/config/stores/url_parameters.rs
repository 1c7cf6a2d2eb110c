//! Parameters in a URL that are meant for other clients: which may be ignored, and shown.

use env_config::{Reader, Warning};

/// A parameter with one of these in its name is about security, so it is not ignored.
const OF_SECURITY: [&str; 8] = ["ssl", "tls", "gss", "auth", "cert", "verif", "encrypt", "secure"];

/// The longest name of a parameter that is shown.
const LONGEST_NAME: usize = 40;

/// Parameters with the values that ask for what is done anyway.
pub(super) type Fulfilled = [(&'static str, &'static [&'static str])];

pub(super) fn is_fulfilled(known: &Fulfilled, name: &str, value: &str) -> bool {
    known.iter().any(|(known, values)| *known == name && values.contains(&value))
}

pub(super) fn is_of_security(name: &str) -> bool {
    let name = name.to_lowercase();
    OF_SECURITY.iter().any(|about| name.contains(about))
}

/// Shows a name, unless it could be a piece of a password: it has more than letters and `_`.
pub(super) fn shown_name(name: &str) -> &str {
    let is_word = name.chars().all(|letter| letter.is_ascii_alphabetic() || letter == '_');
    if is_word && (1..=LONGEST_NAME).contains(&name.len()) { name } else { "(not shown)" }
}

/// One warning for all parameters of a URL that have no effect.
pub(super) fn warn_of_ignored(reader: &mut Reader<'_>, name: &str, ignored: &[String]) {
    if !ignored.is_empty() {
        let ignored = ignored.join(", ");
        let what = format!("{name} has parameters that have no effect: {ignored}");
        reader.warn(Warning::Careful(what));
    }
}
