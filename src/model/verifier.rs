//! The PIN that Discogs shows and a person copies, with what gets copied along.

use std::fmt;

use thiserror::Error;

/// The most characters of a verifier; those seen from Discogs have ten.
const VERIFIER_LENGTH: usize = 128;

/// A PIN with nothing around it: 1 to 128 visible characters.
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier(String);

/// Why a PIN is refused before Discogs is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum VerifierError {
    /// Nothing is left without the blanks and quotes around it.
    #[error("empty verifier")]
    Empty,
    /// More than 128 characters.
    #[error("verifier is too long")]
    TooLong,
    /// A blank, a line break or another character without a shape stands inside it.
    #[error("verifier has a character that can not be seen")]
    Invisible,
}

impl Verifier {
    /// Trims blanks, line breaks and quotes, and checks what is left.
    ///
    /// # Errors
    ///
    /// See [`VerifierError`].
    pub fn parse(raw: &str) -> Result<Self, VerifierError> {
        let text = raw.trim_matches(|character| is_invisible(character) || is_quote(character));
        if text.is_empty() {
            Err(VerifierError::Empty)
        } else if text.chars().count() > VERIFIER_LENGTH {
            Err(VerifierError::TooLong)
        } else if text.chars().any(is_invisible) {
            Err(VerifierError::Invisible)
        } else {
            Ok(Self(text.to_owned()))
        }
    }

    /// The PIN itself, for Discogs.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier([REDACTED])")
    }
}

fn is_quote(character: char) -> bool {
    matches!(character, '"' | '\'' | '“' | '”' | '‘' | '’' | '«' | '»')
}

/// White space, control characters, and the marks of no width that web pages put between words.
fn is_invisible(character: char) -> bool {
    character.is_whitespace()
        || character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}'
        )
}

#[cfg(test)]
mod tests {
    use super::{Verifier, VerifierError};

    #[test]
    fn what_people_paste_around_a_pin_is_trimmed() {
        for pasted in [
            "AbCdEfGhIj",
            " AbCdEfGhIj ",
            "\nAbCdEfGhIj\r\n",
            "\"AbCdEfGhIj\"",
            "'AbCdEfGhIj'",
            "“AbCdEfGhIj”",
            "‘ AbCdEfGhIj ’",
            "« AbCdEfGhIj »",
            "\u{feff}AbCdEfGhIj\u{200b}",
            "\u{a0}AbCdEfGhIj\t",
        ] {
            assert_eq!(Verifier::parse(pasted).unwrap().as_str(), "AbCdEfGhIj", "{pasted:?}");
        }
    }

    #[test]
    fn what_can_not_be_a_pin_is_refused() {
        let refusal = |raw: &str| Verifier::parse(raw).err();
        assert_eq!(refusal(""), Some(VerifierError::Empty));
        assert_eq!(refusal(" \"\" "), Some(VerifierError::Empty));
        assert_eq!(refusal("two words"), Some(VerifierError::Invisible));
        assert_eq!(refusal("nul\0inside"), Some(VerifierError::Invisible));
        assert_eq!(refusal(&"é".repeat(128)), None);
        assert_eq!(refusal(&"é".repeat(129)), Some(VerifierError::TooLong));
    }
}
