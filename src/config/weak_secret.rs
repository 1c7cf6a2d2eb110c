//! Secrets that sign access tokens and could be guessed.

use std::collections::BTreeSet;

use env_config::Warning;
use secrecy::{ExposeSecret as _, SecretString};

/// Secrets shorter than this are warned about: RFC 7518 section 3.2 wants 256 bits for HS256.
const LEAST_SECRET_BYTES: usize = 32;

/// All but one in a billion random texts of 32 hex digits have more different characters.
const LEAST_DIFFERENT: usize = 8;

/// A secret that only repeats a text of at most so many bytes is warned about.
const LONGEST_PATTERN: usize = 15;

/// The secret in the Python service's published example.
const EXAMPLE_SECRET: &str = "your-secret-key-here";

/// Placeholders that examples have instead of a secret, letters only.
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

/// Warns if a secret that signs access tokens could be guessed; `name` says where it comes from.
pub(crate) fn weak_secret(name: &str, secret: &SecretString) -> Option<Warning> {
    let secret = secret.expose_secret();
    if secret == EXAMPLE_SECRET {
        return Some(Warning::Alarming(format!(
            "{name} is the example from the documentation: anyone can make access tokens for any \
             user; set a random one, the same in every service that checks them"
        )));
    }
    weakness(secret).map(|what| Warning::Careful(format!("{name} {what} and could be guessed")))
}

/// Why a secret could be guessed; `None` if no reason is visible.
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

/// The number of letters and digits in a secret besides placeholders; `None` if it has none.
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
    fn a_visible_weakness_is_named() {
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
    fn random_secrets_are_not_weak() {
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
