//! Finds quotes, white space and byte order marks around a value.
//!
//! `docker run --env-file` keeps quotes, a file written on Windows leaves carriage returns, and
//! `echo` puts a line feed into a Secret.

use super::problem::Warning;
use super::variable::Kind;

/// Quotation marks that people, or their word processors, put around a value.
const QUOTES: [char; 12] = ['"', '\'', '`', '“', '”', '„', '‘', '’', '‚', '«', '»', '´'];

const BYTE_ORDER_MARK: char = '\u{feff}';

/// Returns the value without surrounding white space and byte order marks.
pub(crate) fn trimmed(value: &str) -> &str {
    value.trim_matches(is_space)
}

/// Returns the part of a value that is used.
///
/// # Errors
///
/// What is wrong with it, as the rest of a sentence that starts with the variable's name.
pub(crate) fn readable(kind: Kind, value: &str) -> Result<&str, String> {
    if value.chars().all(is_wrapping) {
        return Err("is blank: give it a value, or leave it out".to_owned());
    }
    match kind {
        Kind::Secret => Ok(value),
        Kind::Plain => unquoted(value),
        Kind::Path => unquoted(value).and_then(checked_path),
    }
}

/// Warns about characters around a secret that are probably a mistake.
///
/// `name` says where the secret comes from.
#[must_use]
pub fn wrapped_secret(name: &str, secret: &str) -> Option<Warning> {
    let what = surroundings(secret)?;
    Some(Warning::Careful(format!(
        "{name} holds a secret that {what} and is used exactly like that: remove what does not \
         belong to it"
    )))
}

/// Describes what surrounds a value: "begins and ends with a double quote".
fn surroundings(value: &str) -> Option<String> {
    let front = listed(value.chars().take_while(|character| is_wrapping(*character)));
    let (_, back) = value.split_at(value.trim_end_matches(is_wrapping).len());
    let back = listed(back.chars());
    match (front, back) {
        (None, None) => None,
        (Some(front), None) => Some(format!("begins with {front}")),
        (None, Some(back)) => Some(format!("ends with {back}")),
        (Some(front), Some(back)) if front == back => Some(format!("begins and ends with {front}")),
        (Some(front), Some(back)) => Some(format!("begins with {front} and ends with {back}")),
    }
}

fn unquoted(value: &str) -> Result<&str, String> {
    let value = trimmed(value);
    if value.starts_with(QUOTES) || value.ends_with(QUOTES) {
        let what = surroundings(value).unwrap_or_default();
        return Err(format!("{what}: remove what does not belong to the value"));
    }
    Ok(value)
}

/// Refuses a path that only a shell would expand: here it would name a folder.
fn checked_path(path: &str) -> Result<&str, String> {
    if path.contains(char::is_control) {
        return Err("contains a control character, such as a line break".to_owned());
    }
    if path.starts_with(['~', '$']) {
        return Err(
            "begins with `~` or `$`, which only a shell replaces: write the whole path".to_owned()
        );
    }
    Ok(path)
}

fn is_wrapping(character: char) -> bool {
    is_space(character) || QUOTES.contains(&character)
}

fn is_space(character: char) -> bool {
    character.is_whitespace() || character == BYTE_ORDER_MARK
}

/// Names characters, each kind once: "a double quote and a line feed".
fn listed(characters: impl Iterator<Item = char>) -> Option<String> {
    let mut names: Vec<_> = characters.map(name).collect();
    names.dedup();
    let last = names.pop()?;
    Some(if names.is_empty() {
        last.to_owned()
    } else {
        format!("{} and {last}", names.join(", "))
    })
}

fn name(character: char) -> &'static str {
    match character {
        '"' => "a double quote",
        '\'' => "a single quote",
        '\n' => "a line feed",
        '\r' => "a carriage return",
        '\t' => "a tab",
        ' ' => "a space",
        BYTE_ORDER_MARK => "a byte order mark",
        other if other.is_whitespace() => "white space",
        _ => "a quote",
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, readable, surroundings, trimmed};

    #[test]
    fn what_surrounds_a_value_is_named() {
        for (value, expected) in [
            ("value", None),
            ("va\"l ue", None),
            ("\"value\"", Some("begins and ends with a double quote")),
            ("'value'", Some("begins and ends with a single quote")),
            ("“value”", Some("begins and ends with a quote")),
            ("value\n", Some("ends with a line feed")),
            ("value\r", Some("ends with a carriage return")),
            ("value\r\n", Some("ends with a carriage return and a line feed")),
            (" value", Some("begins with a space")),
            ("\u{feff}value", Some("begins with a byte order mark")),
            ("value  \t", Some("ends with a space and a tab")),
            ("value\u{a0}", Some("ends with white space")),
            (
                " \"value\"\r\n",
                Some(
                    "begins with a space and a double quote and ends with a double quote, a \
                     carriage return and a line feed",
                ),
            ),
        ] {
            assert_eq!(surroundings(value).as_deref(), expected, "{value:?}");
        }
    }

    #[test]
    fn white_space_and_byte_order_marks_are_trimmed() {
        assert_eq!(trimmed("\u{feff} value\r\n"), "value");
        assert_eq!(trimmed("\"value\""), "\"value\"");
    }

    #[test]
    fn a_kind_says_what_is_trimmed_and_what_is_refused() {
        for (kind, value, expected) in [
            (Kind::Plain, " db\r", Ok("db")),
            (Kind::Plain, "\u{feff}db", Ok("db")),
            (Kind::Secret, " \"s3cret\"\n", Ok(" \"s3cret\"\n")),
            (Kind::Path, "/srv/data\r", Ok("/srv/data")),
            (Kind::Path, "data/~/$x", Ok("data/~/$x")),
            (
                Kind::Plain,
                "\"db",
                Err("begins with a double quote: remove what does not belong to the value"),
            ),
            (Kind::Secret, "\"\"", Err("is blank: give it a value, or leave it out")),
            (Kind::Plain, " \t", Err("is blank: give it a value, or leave it out")),
            (Kind::Path, "/srv/da\nta", Err("contains a control character, such as a line break")),
            (
                Kind::Path,
                "~/data",
                Err("begins with `~` or `$`, which only a shell replaces: write the whole path"),
            ),
        ] {
            assert_eq!(readable(kind, value), expected.map_err(str::to_owned), "{value:?}");
        }
    }
}
