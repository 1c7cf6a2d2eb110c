//! What an operator should hear about at start, though it is no error; `doctor` says the same.

use std::collections::BTreeSet;

use secrecy::{ExposeSecret as _, SecretString};

use super::wrapped::surroundings;

/// Secrets shorter than this are warned about: RFC 7518 section 3.2 wants 256 bits for HS256.
const LEAST_SECRET_BYTES: usize = 32;

/// A random text of 32 hex digits has more different characters, but for one in a billion.
const LEAST_DIFFERENT: usize = 8;

/// The longest text that a secret may repeat and nothing else, in bytes, to be warned about.
const LONGEST_PATTERN: usize = 15;

/// The secret in the Python service's example, which anybody can read.
const EXAMPLE_SECRET: &str = "your-secret-key-here";

/// What examples hold in the place of a secret, without what is not a letter.
const PLACEHOLDERS: [&str; 8] = [
    "yoursecretkeyhere",
    "yoursecret",
    "mysecretkey",
    "supersecret",
    "changeme",
    "changethis",
    "replaceme",
    "replacethis",
];

/// Something at start that is no error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// Degraded or insecure; a ⚠️ line.
    Careful(String),
    /// Someone should look; a ❌ line.
    Alarming(String),
}

impl Warning {
    /// What is wrong with a secret that signs access tokens; `name` says where it stands.
    pub(crate) fn of_weak_secret(name: &str, secret: &SecretString) -> Option<Self> {
        let secret = secret.expose_secret();
        if secret == EXAMPLE_SECRET {
            return Some(Self::Alarming(format!(
                "{name} is the example from the documentation: anybody can make access tokens \
                 for any user; set a random one, the same in every service that checks them"
            )));
        }
        weakness(secret).map(|what| Self::Careful(format!("{name} {what} and could be guessed")))
    }

    /// What surrounds a secret that was probably put there by mistake; `name` says where it stands.
    pub(crate) fn of_wrapped_secret(name: &str, secret: &str) -> Option<Self> {
        let what = surroundings(secret)?;
        Some(Self::Careful(format!(
            "{name} holds a secret that {what} and is used exactly like that: remove what does \
             not belong to it"
        )))
    }

    /// Writes the warning to the log.
    pub(crate) fn log(&self) {
        match self {
            Self::Careful(what) => tracing::warn!("⚠️ {what}"),
            Self::Alarming(what) => tracing::error!("❌ {what}"),
        }
    }
}

/// Why a secret could be guessed, as far as that can be seen.
fn weakness(secret: &str) -> Option<String> {
    if secret.len() < LEAST_SECRET_BYTES {
        return Some(format!("is shorter than {LEAST_SECRET_BYTES} bytes"));
    }
    let different = secret.chars().collect::<BTreeSet<_>>().len();
    if different < LEAST_DIFFERENT {
        return Some(format!("is long, but has only {different} different characters"));
    }
    if is_repetition(secret.as_bytes()) {
        return Some("repeats a short text".to_owned());
    }
    let random = without_placeholders(secret);
    (random.is_some_and(|length| length < LEAST_SECRET_BYTES))
        .then(|| "is made of the words of an example".to_owned())
}

fn is_repetition(secret: &[u8]) -> bool {
    (1..=LONGEST_PATTERN).any(|length| {
        let (pattern, rest) = (secret.iter(), secret.iter().skip(length));
        pattern.zip(rest).all(|(one, other)| one == other)
    })
}

/// How many letters and digits a secret has besides the words of an example; `None` if it has no
/// such words.
fn without_placeholders(secret: &str) -> Option<usize> {
    let letters: String = secret.chars().filter(char::is_ascii_alphanumeric).collect();
    let letters = letters.to_ascii_lowercase();
    let rest = PLACEHOLDERS.iter().fold(letters.clone(), |rest, words| rest.replace(words, ""));
    (rest.len() < letters.len()).then_some(rest.len())
}

#[cfg(test)]
mod tests {
    use super::weakness;

    #[test]
    fn a_weakness_that_can_be_seen_is_told() {
        for (secret, expected) in [
            ("x".repeat(31), "is shorter than 32 bytes"),
            ("x".repeat(40), "is long, but has only 1 different characters"),
            ("ü".repeat(16), "is long, but has only 1 different characters"),
            ("ab12".repeat(10), "is long, but has only 4 different characters"),
            ("changeme-changeme-changeme-changeme".to_owned(), "repeats a short text"),
            ("correct-horse-".repeat(3), "repeats a short text"),
            (
                "your-secret-key-here-please-change-me-now".to_owned(),
                "is made of the words of an example",
            ),
            ("CHANGE_ME_to_a_long_random_string".to_owned(), "is made of the words of an example"),
        ] {
            assert_eq!(weakness(&secret).as_deref(), Some(expected), "{secret}");
        }
    }

    #[test]
    fn what_is_random_is_not_weak() {
        for secret in [
            "a-secret-of-more-than-32-characters",
            "7f3a9c1e5b2d8064f1a7c3e9b5d20846",
            "changeme-7f3a9c1e5b2d8064f1a7c3e9b5d20846",
            "qK8vN2xR5tW9zB3mC6pL1sD4fG7hJ0kQ",
        ] {
            assert_eq!(weakness(secret), None, "{secret}");
        }
    }
}
