//! A password that somebody chooses; any text of 8 to 1,024 characters, taken as it is.

use secrecy::SecretString;
use thiserror::Error;

/// A password for a new user.
#[derive(Debug, Clone)]
pub struct NewPassword(SecretString);

/// Why a new password is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NewPasswordError {
    /// Fewer than [`NewPassword::LEAST`] characters.
    #[error("password is too short")]
    TooShort,
    /// More than [`NewPassword::MOST`] characters.
    #[error("password is too long")]
    TooLong,
    /// It has a NUL, which other services' libraries would cut it at.
    #[error("password contains NUL")]
    ContainsNul,
}

impl NewPassword {
    /// The fewest Unicode scalar values.
    pub const LEAST: usize = 8;
    /// The most Unicode scalar values.
    pub const MOST: usize = 1024;

    /// Checks a password; nothing of it is changed.
    ///
    /// # Errors
    ///
    /// See [`NewPasswordError`].
    pub fn parse(raw: &str) -> Result<Self, NewPasswordError> {
        let characters = raw.chars().count();
        if characters < Self::LEAST {
            Err(NewPasswordError::TooShort)
        } else if characters > Self::MOST {
            Err(NewPasswordError::TooLong)
        } else if raw.contains('\0') {
            Err(NewPasswordError::ContainsNul)
        } else {
            Ok(Self(raw.into()))
        }
    }

    /// The password itself, for hashing.
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
        let refusal = |characters| NewPassword::parse(&"🎧".repeat(characters)).err();
        assert_eq!(refusal(7), Some(NewPasswordError::TooShort));
        assert_eq!(refusal(8), None);
        assert_eq!(refusal(1024), None);
        assert_eq!(refusal(1025), Some(NewPasswordError::TooLong));
    }

    #[test]
    fn white_space_counts_and_nul_is_refused() {
        assert!(NewPassword::parse("        ").is_ok());
        let nul = NewPassword::parse("pass\0word");
        assert_eq!(nul.err(), Some(NewPasswordError::ContainsNul));
    }
}
