//! Rows of the SQLite file, read by column name. Values of another type or encoding, which another
//! program may have written, are accepted.

use rusqlite::Row;
use rusqlite::types::ValueRef;
use secrecy::SecretString;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::model::{
    ConfigEntry, ConfigKey, Connection, FlowEpoch, User, UserDetails, UserWithHash,
};

/// The columns that [`user`] reads, for the statements.
macro_rules! user_columns {
    () => {
        "id, email, is_active, is_admin, created_at, flow_epoch"
    };
}

/// The columns that [`user_with_hash`] reads, for the statements.
macro_rules! user_with_hash_columns {
    () => {
        concat!(user_columns!(), ", hashed_password, totp_enabled")
    };
}

pub(super) use {user_columns, user_with_hash_columns};

/// `None` for a user whose id no access token can contain.
pub(super) fn user(row: &Row<'_>) -> rusqlite::Result<Option<User>> {
    let Some(id) = uuid(&text(row, "id")?) else {
        return Ok(None);
    };
    Ok(Some(User {
        id,
        email: text(row, "email")?,
        is_active: flag(row, "is_active")?,
        is_admin: flag(row, "is_admin")?,
        created_at: timestamp(row, "created_at")?,
        flow_epoch: FlowEpoch(integer(row, "flow_epoch")?),
    }))
}

/// `None` for a user whose id no access token can contain.
pub(super) fn user_with_hash(row: &Row<'_>) -> rusqlite::Result<Option<UserWithHash>> {
    let Some(user) = user(row)? else {
        return Ok(None);
    };
    let hashed_password = SecretString::from(text(row, "hashed_password")?);
    let has_second_factor = flag(row, "totp_enabled")?;
    Ok(Some(UserWithHash { user, hashed_password, has_second_factor }))
}

pub(super) fn user_details(row: &Row<'_>) -> rusqlite::Result<UserDetails> {
    Ok(UserDetails {
        id: text(row, "id")?,
        email: text(row, "email")?,
        is_active: flag(row, "is_active")?,
        is_admin: flag(row, "is_admin")?,
        has_second_factor: flag(row, "totp_enabled")?,
        created_at: timestamp(row, "created_at")?,
        connection: if flag(row, "is_connected")? { Some(connection(row)?) } else { None },
    })
}

pub(super) fn connection(row: &Row<'_>) -> rusqlite::Result<Connection> {
    Ok(Connection {
        provider_username: optional_text(row, "provider_username")?,
        provider_user_id: optional_text(row, "provider_user_id")?,
        updated_at: timestamp(row, "updated_at")?,
    })
}

/// `None` for a key that another program keeps in the table.
pub(crate) fn config_entry(row: &Row<'_>) -> rusqlite::Result<Option<ConfigEntry>> {
    let Some(key) = ConfigKey::from_name(&text(row, "key")?) else {
        return Ok(None);
    };
    let value = SecretString::from(text(row, "value")?);
    Ok(Some(ConfigEntry { key, value, updated_at: timestamp(row, "updated_at")? }))
}

/// An empty text for null.
pub(super) fn text(row: &Row<'_>, column: &str) -> rusqlite::Result<String> {
    Ok(optional_text(row, column)?.unwrap_or_default())
}

/// Bytes that are not UTF-8 become U+FFFD.
pub(super) fn optional_text(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<String>> {
    Ok(match row.get_ref(column)? {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some(number.to_string()),
        ValueRef::Real(number) => Some(number.to_string()),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
            Some(String::from_utf8_lossy(bytes).into_owned())
        }
    })
}

fn integer(row: &Row<'_>, column: &str) -> rusqlite::Result<i64> {
    Ok(if let ValueRef::Integer(number) = row.get_ref(column)? { number } else { 0 })
}

pub(super) fn flag(row: &Row<'_>, column: &str) -> rusqlite::Result<bool> {
    Ok(integer(row, column)? != 0)
}

fn timestamp(row: &Row<'_>, column: &str) -> rusqlite::Result<Timestamp> {
    integer(row, column).map(Timestamp::from_microseconds)
}

/// An id in one of the two spellings by which `USER_BY_ID` finds it.
fn uuid(text: &str) -> Option<Uuid> {
    let id = Uuid::try_parse(text).ok()?;
    let mut spelling = Uuid::encode_buffer();
    let is_found = id.as_hyphenated().encode_lower(&mut spelling) == text
        || id.as_hyphenated().encode_upper(&mut spelling) == text;
    is_found.then_some(id)
}
