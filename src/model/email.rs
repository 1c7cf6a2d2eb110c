//! The rule for email addresses, loose on purpose: any alphabet and any domain (docs/http-api.md).

use std::fmt;

use thiserror::Error;
use utoipa::ToSchema;

/// The maximum length, in characters, of an address in the column `users.email`.
///
/// Also `maxLength` of the schema.
const EMAIL_LENGTH: usize = 255;

/// An address that can be registered: trimmed, in lower case, of the form `x@y.z`.
#[derive(Clone, PartialEq, Eq, ToSchema)]
#[schema(
    description = "Trimmed and lower-cased; any alphabet.",
    max_length = 255,
    pattern = "^[^@\\s\\u0000-\\u001f\\u007f-\\u009f]+@[^@.\\s\\u0000-\\u001f\\u007f-\\u009f]+\\.[^@.\\s\\u0000-\\u001f\\u007f-\\u009f]+$",
    example = "digger@example.com"
)]
pub struct Email(String);

/// Text that can't be an email address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("invalid email address")]
pub struct EmailError;

impl Email {
    /// Normalizes and checks an address.
    ///
    /// # Errors
    ///
    /// If it is not of the form `x@y.z`, has white space, a control character or a second `@`,
    /// or is longer than 255 characters.
    pub fn parse(raw: &str) -> Result<Self, EmailError> {
        let email = normalize_email(raw);
        if is_address(&email) { Ok(Self(email)) } else { Err(EmailError) }
    }

    /// Returns the normalized address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Shows no address: logs must not have one.
impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email([REDACTED])")
    }
}

/// Trims an address and lower-cases it: the form in which users are found.
#[must_use]
pub fn normalize_email(raw: &str) -> String {
    raw.trim().to_lowercase()
}

fn is_address(email: &str) -> bool {
    let Some((local, domain)) = email.split_once('@') else {
        return false;
    };
    let has_dot_inside = domain
        .char_indices()
        .any(|(at, character)| character == '.' && at > 0 && at + 1 < domain.len());
    !local.is_empty()
        && has_dot_inside
        && !domain.contains('@')
        && !email.chars().any(|character| character.is_whitespace() || character.is_control())
        && email.chars().count() <= EMAIL_LENGTH
}

#[cfg(test)]
mod tests {
    use super::Email;

    fn of_length(characters: usize) -> String {
        format!("{}@example.com", "ü".repeat(characters - "@example.com".len()))
    }

    #[test]
    fn an_address_is_trimmed_and_lower_cased() {
        let email = Email::parse(" Digger@EXAMPLE.com\n").unwrap();
        assert_eq!(email.as_str(), "digger@example.com");
        assert_eq!(Email::parse("ÅSA@Exämple.SE").unwrap().as_str(), "åsa@exämple.se");
    }

    #[test]
    fn unusual_but_possible_addresses_are_accepted() {
        for email in ["a@b.c", "収集家@例え.テスト", "a+b@c.d.e", "a@.b.c", "a@b.c.", "\"x\"@y.z"]
        {
            assert!(Email::parse(email).is_ok(), "{email}");
        }
    }

    #[test]
    fn text_that_cannot_be_an_address_is_rejected() {
        let rejected = [
            "",
            "@",
            "a@",
            "@b.c",
            "a@b",
            "a@.b",
            "a@b.",
            "a@b@c.d",
            "a b@c.d",
            "a@b\u{0}.c",
            "a@.",
            "ab.c",
        ];
        for email in rejected {
            assert!(Email::parse(email).is_err(), "{email:?}");
        }
    }

    #[test]
    fn the_length_is_counted_in_characters_up_to_255() {
        assert!(Email::parse(&of_length(255)).is_ok());
        assert!(Email::parse(&of_length(256)).is_err());
    }

    #[test]
    fn debug_shows_no_address() {
        assert!(!format!("{:?}", Email::parse("digger@example.com")).contains("digger"));
    }
}
