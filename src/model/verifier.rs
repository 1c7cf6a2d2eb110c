//! The rule for the PIN that Discogs shows, and what people paste around it.

use std::fmt;

use thiserror::Error;
use utoipa::ToSchema;

/// The maximum length, in characters, of a verifier; those of Discogs have ten. `maxLength` of the
/// schema.
const VERIFIER_LENGTH: usize = 128;

/// A PIN with nothing around it: 1 to 128 visible characters.
#[derive(Clone, PartialEq, Eq, ToSchema)]
#[schema(
    description = "The code (PIN) as it was pasted. White space and quotes around it are removed.",
    min_length = 1,
    max_length = 128,
    pattern = "^[0-9A-Za-z]+$",
    example = "kPNqvCzAvb"
)]
pub struct Verifier(String);

/// Why a PIN is rejected before it is sent to Discogs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum VerifierError {
    /// Nothing but white space and quotes.
    #[error("empty verifier")]
    Empty,
    /// More than 128 characters.
    #[error("verifier is too long")]
    TooLong,
    /// White space, a line break or another invisible character inside it.
    #[error("verifier contains an invisible character")]
    Invisible,
}

impl Verifier {
    /// Trims white space and quotes, and checks the rest.
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

    /// Returns the PIN itself, for Discogs.
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

/// Whether it is white space, a control character, or one of the zero-width characters of web pages.
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
    fn white_space_and_quotes_around_a_pin_are_trimmed() {
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
    fn text_that_cannot_be_a_pin_is_rejected() {
        let error = |raw: &str| Verifier::parse(raw).err();
        assert_eq!(error(""), Some(VerifierError::Empty));
        assert_eq!(error(" \"\" "), Some(VerifierError::Empty));
        assert_eq!(error("two words"), Some(VerifierError::Invisible));
        assert_eq!(error("nul\0inside"), Some(VerifierError::Invisible));
        assert_eq!(error(&"é".repeat(128)), None);
        assert_eq!(error(&"é".repeat(129)), Some(VerifierError::TooLong));
    }
}
