//! The rows of `app_config` that the service knows: the app's Discogs credentials.

use oauth1::Consumer;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use thiserror::Error;
use utoipa::ToSchema;

use crate::clock::Timestamp;

/// The maximum length, in characters, of a value; `maxLength` of the schema.
const VALUE_LENGTH: usize = 256;

/// Values up to this many characters are masked completely.
const FULLY_MASKED_LENGTH: usize = 8;

/// A key of `app_config`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(description = "Which of the app's credentials.")]
pub enum ConfigKey {
    /// `discogs_consumer_key`
    DiscogsConsumerKey,
    /// `discogs_consumer_secret`
    DiscogsConsumerSecret,
}

/// A value that can be stored: 1 to 256 visible ASCII characters.
#[derive(Debug, Clone, ToSchema)]
#[schema(
    description = "White space around it is removed.",
    value_type = String,
    min_length = 1,
    max_length = 256,
    pattern = "^[!-~]+$",
    example = "uLqXmCwZrTbNvKdFhPsY"
)]
pub struct ConfigValue(SecretString);

/// A value that is not 1 to 256 visible ASCII characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the value must be 1 to 256 visible ASCII characters")]
pub struct ConfigValueError;

/// A row of `app_config`.
#[derive(Debug, Clone)]
pub struct ConfigEntry {
    /// The key.
    pub key: ConfigKey,
    /// The stored value; an empty one counts as not set.
    pub value: SecretString,
    /// When it was last written.
    pub updated_at: Timestamp,
}

impl ConfigKey {
    /// Every key, in the order in which they are listed.
    pub const ALL: [Self; 2] = [Self::DiscogsConsumerKey, Self::DiscogsConsumerSecret];

    /// Returns the text in the `key` column.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DiscogsConsumerKey => "discogs_consumer_key",
            Self::DiscogsConsumerSecret => "discogs_consumer_secret",
        }
    }

    /// Returns the key of this name; `None` if there is none.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|key| key.as_str() == name)
    }
}

impl ConfigValue {
    /// Trims and checks a value.
    ///
    /// # Errors
    ///
    /// If the trimmed value is not 1 to 256 visible ASCII characters.
    pub fn parse(raw: &str) -> Result<Self, ConfigValueError> {
        let value = raw.trim();
        let is_visible = value.chars().all(|character| character.is_ascii_graphic());
        if is_visible && (1..=VALUE_LENGTH).contains(&value.len()) {
            Ok(Self(value.into()))
        } else {
            Err(ConfigValueError)
        }
    }

    /// Returns the value itself, for a store.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl ConfigEntry {
    /// Returns the app's credentials; `None` unless both are set.
    #[must_use]
    pub fn consumer(entries: &[Self]) -> Option<Consumer> {
        let value = |key| {
            let entry = entries.iter().find(|entry| entry.key == key)?;
            let value = entry.value.expose_secret();
            if value.is_empty() { None } else { Some(value) }
        };
        Some(Consumer {
            key: value(ConfigKey::DiscogsConsumerKey)?.to_owned(),
            secret: value(ConfigKey::DiscogsConsumerSecret)?.into(),
        })
    }
}

/// Masks all but the first and last two characters; a short value is masked completely.
#[must_use]
pub fn mask(value: &str) -> String {
    let length = value.chars().count();
    let is_shown = |at| length > FULLY_MASKED_LENGTH && (at < 2 || at + 2 >= length);
    value.chars().enumerate().map(|(at, shown)| if is_shown(at) { shown } else { '*' }).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert_eq, proptest};

    use super::{ConfigValue, mask};

    #[test]
    fn a_mask_shows_two_characters_at_each_end_of_a_long_value() {
        assert_eq!(mask("abcdefghi"), "ab*****hi");
        assert_eq!(mask("abcdefgh"), "********");
        assert_eq!(mask("äöüßäöüßä"), "äö*****ßä");
        assert_eq!(mask(""), "");
    }

    #[test]
    fn a_value_is_trimmed_and_must_be_visible_ascii() {
        assert_eq!(ConfigValue::parse(" key-1 \n").unwrap().expose(), "key-1");
        assert!(ConfigValue::parse(&"x".repeat(256)).is_ok());
        for rejected in ["", "  ", "two words", "schlüssel", "nul\0", &"x".repeat(257)] {
            assert!(ConfigValue::parse(rejected).is_err(), "{rejected:?}");
        }
    }

    proptest! {
        #[test]
        fn a_mask_is_as_long_and_shows_two_characters_at_each_end_or_nothing(
            begin in ".{2}", middle in ".{5,300}", end in ".{2}", short in ".{0,8}",
        ) {
            let masked = mask(&format!("{begin}{middle}{end}"));
            prop_assert_eq!(masked, format!("{begin}{}{end}", "*".repeat(middle.chars().count())));
            prop_assert_eq!(mask(&short), "*".repeat(short.chars().count()));
        }
    }
}
