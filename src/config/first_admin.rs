//! The admin that a service makes at its first start, so that nobody has to be registered first.

use super::reader::Reader;
use crate::model::{Email, NewPassword, NewPasswordError};

const EMAIL: &str = "ADMIN_EMAIL";
const PASSWORD: &str = "ADMIN_PASSWORD";
const EMAIL_EXAMPLE: &str = "admin@example.com";
const PASSWORD_EXAMPLE: &str = "a long random one";

/// An account that is made, and made an admin, where there is no admin at all.
#[derive(Debug, Clone)]
pub struct FirstAdmin {
    /// `ADMIN_EMAIL`
    pub email: Email,
    /// `ADMIN_PASSWORD`
    pub password: NewPassword,
}

/// Reads both or neither, by the rules of registration; nothing of them is shown.
pub(super) fn read(reader: &mut Reader<'_>) -> Option<FirstAdmin> {
    if !reader.is_set(EMAIL) && !reader.is_set(PASSWORD) {
        return None;
    }
    let email = reader.text_or_file(EMAIL);
    let password = reader.text_or_file(PASSWORD);
    if email.is_none() {
        reader.missing(EMAIL, "belongs to ADMIN_PASSWORD, which is set", EMAIL_EXAMPLE);
    }
    if password.is_none() {
        reader.missing(PASSWORD, "belongs to ADMIN_EMAIL, which is set", PASSWORD_EXAMPLE);
    }
    let email = Email::parse(&email?).map_err(|_| {
        let name = reader.name_in_use(EMAIL);
        reader.problem(&name, "is not an email address that could register", Some(EMAIL_EXAMPLE));
    });
    let password = NewPassword::parse(&password?).map_err(|error| {
        let name = reader.name_in_use(PASSWORD);
        reader.problem(&name, why_refused(error), Some(PASSWORD_EXAMPLE));
    });
    Some(FirstAdmin { email: email.ok()?, password: password.ok()? })
}

fn why_refused(error: NewPasswordError) -> String {
    match error {
        NewPasswordError::TooShort => {
            format!("has fewer than {} characters", NewPassword::LEAST)
        }
        NewPasswordError::TooLong => format!("has more than {} characters", NewPassword::MOST),
        NewPasswordError::ContainsNul => "contains NUL".to_owned(),
    }
}
