//! Rows of the SQLite file as they stand: what another program wrote is taken without complaint.

use rusqlite::Row;
use rusqlite::types::ValueRef;
use secrecy::SecretString;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::model::{
    ConfigEntry, ConfigKey, Connection, FlowEpoch, User, UserDetails, UserWithHash,
};

/// `None` for a user whose id no access token can name.
pub(super) fn user(row: &Row<'_>) -> rusqlite::Result<Option<User>> {
    let Some(id) = uuid(&text(row, 0)?) else {
        return Ok(None);
    };
    Ok(Some(User {
        id,
        email: text(row, 1)?,
        is_active: flag(row, 2)?,
        is_admin: flag(row, 3)?,
        created_at: moment(row, 4)?,
        flow_epoch: FlowEpoch(integer(row, 5)?),
    }))
}

/// `None` for a user whose id no access token can name.
pub(super) fn user_with_hash(row: &Row<'_>) -> rusqlite::Result<Option<UserWithHash>> {
    let Some(user) = user(row)? else {
        return Ok(None);
    };
    let hashed_password = SecretString::from(text(row, 6)?);
    Ok(Some(UserWithHash { user, hashed_password, has_second_factor: flag(row, 7)? }))
}

pub(super) fn user_details(row: &Row<'_>) -> rusqlite::Result<UserDetails> {
    Ok(UserDetails {
        id: text(row, 0)?,
        email: text(row, 1)?,
        is_active: flag(row, 2)?,
        is_admin: flag(row, 3)?,
        has_second_factor: flag(row, 4)?,
        created_at: moment(row, 5)?,
        connection: if flag(row, 6)? { Some(connection_from(row, 7)?) } else { None },
    })
}

pub(super) fn connection(row: &Row<'_>) -> rusqlite::Result<Connection> {
    connection_from(row, 0)
}

/// A connection whose columns begin with this one.
fn connection_from(row: &Row<'_>, first: usize) -> rusqlite::Result<Connection> {
    Ok(Connection {
        provider_username: optional_text(row, first)?,
        provider_user_id: optional_text(row, first + 1)?,
        updated_at: moment(row, first + 2)?,
    })
}

/// `None` for a key that another program keeps in the table.
pub(crate) fn config_entry(row: &Row<'_>) -> rusqlite::Result<Option<ConfigEntry>> {
    let Some(key) = ConfigKey::from_name(&text(row, 0)?) else {
        return Ok(None);
    };
    let value = SecretString::from(text(row, 1)?);
    Ok(Some(ConfigEntry { key, value, updated_at: moment(row, 2)? }))
}

/// A text; empty if there is none.
pub(super) fn text(row: &Row<'_>, column: usize) -> rusqlite::Result<String> {
    Ok(optional_text(row, column)?.unwrap_or_default())
}

/// Bytes that are not UTF-8 become U+FFFD.
fn optional_text(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<String>> {
    Ok(match row.get_ref(column)? {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some(number.to_string()),
        ValueRef::Real(number) => Some(number.to_string()),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
            Some(String::from_utf8_lossy(bytes).into_owned())
        }
    })
}

fn integer(row: &Row<'_>, column: usize) -> rusqlite::Result<i64> {
    Ok(if let ValueRef::Integer(number) = row.get_ref(column)? { number } else { 0 })
}

pub(super) fn flag(row: &Row<'_>, column: usize) -> rusqlite::Result<bool> {
    Ok(integer(row, column)? != 0)
}

fn moment(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
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
