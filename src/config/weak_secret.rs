//! Finds secrets for access tokens that could be guessed.

use std::collections::BTreeSet;

use env_config::Warning;
use secrecy::{ExposeSecret as _, SecretString};

/// Shorter secrets cause a warning: RFC 7518 section 3.2 requires 256 bits.
const LEAST_SECRET_BYTES: usize = 32;

/// The fewest distinct characters.
///
/// Of random texts of 32 hex digits, one in 28 million has fewer.
const LEAST_DIFFERENT: usize = 8;

/// The longest pattern, in bytes: a secret that only repeats one causes a warning.
const LONGEST_PATTERN: usize = 15;

/// The secret in the Python service's published example.
const EXAMPLE_SECRET: &str = "your-secret-key-here";

/// Placeholders that examples contain instead of a secret, letters only.
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

/// Warns if a secret could be guessed; `name` says where it comes from.
pub(crate) fn weak_secret(name: &str, secret: &SecretString) -> Option<Warning> {
    let secret = secret.expose_secret();
    if secret == EXAMPLE_SECRET {
        return Some(Warning::Alarming(format!(
            "{name} is the example from the documentation: anyone can make access tokens for any \
             user; set a random one, the same in every service that checks them"
        )));
    }
    guessable(name, secret)
}

/// Like [`weak_secret`], for a secret that is only accepted until its tokens have expired.
pub(crate) fn weak_previous_secret(name: &str, secret: &SecretString) -> Option<Warning> {
    let secret = secret.expose_secret();
    if secret == EXAMPLE_SECRET {
        return Some(Warning::Alarming(format!(
            "{name} is the example from the documentation: anyone can make access tokens for any \
             user until it is removed"
        )));
    }
    guessable(name, secret)
}

fn guessable(name: &str, secret: &str) -> Option<Warning> {
    weakness(secret).map(|what| Warning::Careful(format!("{name} {what} and could be guessed")))
}

/// Returns why a secret could be guessed; `None` if no reason is found.
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

/// Counts letters and digits outside placeholders; `None` without a placeholder.
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
