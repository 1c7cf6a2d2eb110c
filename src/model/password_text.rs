//! The rule for new passwords: any text of 8 to 1,024 characters, kept as it is.

use secrecy::SecretString;
use thiserror::Error;
use utoipa::ToSchema;

/// A password that a user may choose.
#[derive(Debug, Clone, ToSchema)]
#[schema(
    description = "Taken as it is: no trimming, no rules about kinds of characters.",
    value_type = String,
    format = Password,
    min_length = 8,
    max_length = 1024,
    pattern = "^[^\\u0000]*$",
    example = "correct horse battery staple"
)]
pub struct NewPassword(SecretString);

/// Why a new password is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NewPasswordError {
    /// Fewer than [`NewPassword::MIN_LENGTH`] characters.
    #[error("password is too short")]
    TooShort,
    /// More than [`NewPassword::MAX_LENGTH`] characters.
    #[error("password is too long")]
    TooLong,
    /// It contains a NUL, at which the libraries of other services would cut it off.
    #[error("password contains NUL")]
    ContainsNul,
}

impl NewPassword {
    /// The fewest characters (Unicode scalar values).
    pub const MIN_LENGTH: usize = 8;
    /// The maximum length, in characters (Unicode scalar values).
    pub const MAX_LENGTH: usize = 1024;

    /// Checks a password without changing it.
    ///
    /// # Errors
    ///
    /// See [`NewPasswordError`].
    pub fn parse(raw: &str) -> Result<Self, NewPasswordError> {
        let characters = raw.chars().count();
        if characters < Self::MIN_LENGTH {
            Err(NewPasswordError::TooShort)
        } else if characters > Self::MAX_LENGTH {
            Err(NewPasswordError::TooLong)
        } else if raw.contains('\0') {
            Err(NewPasswordError::ContainsNul)
        } else {
            Ok(Self(raw.into()))
        }
    }

    /// Returns the password itself, for hashing.
    #[must_use]
    pub fn into_secret(self) -> SecretString {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::{NewPassword, NewPasswordError};

    #[test]
    fn length_is_counted_in_characters_not_in_bytes() {
        let error = |characters| NewPassword::parse(&"🎧".repeat(characters)).err();
        assert_eq!(error(7), Some(NewPasswordError::TooShort));
        assert_eq!(error(8), None);
        assert_eq!(error(1024), None);
        assert_eq!(error(1025), Some(NewPasswordError::TooLong));
    }

    #[test]
    fn white_space_counts_and_nul_is_rejected() {
        assert!(NewPassword::parse("        ").is_ok());
        let nul = NewPassword::parse("pass\0word");
        assert_eq!(nul.err(), Some(NewPasswordError::ContainsNul));
    }
}
