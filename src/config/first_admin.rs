//! The admin that the service creates at its first start.

use env_config::Reader;

use super::variables::{ADMIN_EMAIL, ADMIN_PASSWORD};
use crate::model::{Email, NewPassword, NewPasswordError};

/// The user that is created as an admin if there is no admin yet.
#[derive(Debug, Clone)]
pub struct FirstAdmin {
    /// `ADMIN_EMAIL`
    pub email: Email,
    /// `ADMIN_PASSWORD`
    pub password: NewPassword,
}

/// Reads both variables or neither, by the rules of registration.
pub(super) fn read(reader: &mut Reader<'_>) -> Option<FirstAdmin> {
    if !reader.is_set(&ADMIN_EMAIL) && !reader.is_set(&ADMIN_PASSWORD) {
        return None;
    }
    let email = reader.value(&ADMIN_EMAIL);
    let password = reader.value(&ADMIN_PASSWORD);
    if email.is_none() {
        reader.missing(&ADMIN_EMAIL, "belongs to ADMIN_PASSWORD, which is set");
    }
    if password.is_none() {
        reader.missing(&ADMIN_PASSWORD, "belongs to ADMIN_EMAIL, which is set");
    }
    Some(FirstAdmin { email: email?, password: password? })
}

pub(super) fn parse_email(value: &str) -> Result<Email, String> {
    Email::parse(value).map_err(|_| "is not an email address that could register".to_owned())
}

pub(super) fn parse_password(value: &str) -> Result<NewPassword, String> {
    NewPassword::parse(value).map_err(|error| match error {
        NewPasswordError::TooShort => {
            format!("has fewer than {} characters", NewPassword::MIN_LENGTH)
        }
        NewPasswordError::TooLong => {
            format!("has more than {} characters", NewPassword::MAX_LENGTH)
        }
        NewPasswordError::ContainsNul => "contains NUL".to_owned(),
    })
}
