//! Rows, read by column name. Columns that another program left empty are accepted.

use std::error::Error as StdError;

use secrecy::SecretString;
use tokio_postgres::types::{FromSql, Type};
use tokio_postgres::{Error, Row};

use crate::clock::Timestamp;
use crate::model::{
    ConfigEntry, ConfigKey, Connection, FlowEpoch, User, UserDetails, UserWithHash,
};

/// 2000-01-01, from which PostgreSQL counts, in microseconds since 1970-01-01.
const EPOCH_OFFSET: i64 = 946_684_800_000_000;

/// A `timestamptz`; infinities become the first and last moment.
struct Timestamptz(Timestamp);

impl<'a> FromSql<'a> for Timestamptz {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn StdError + Sync + Send>> {
        let microseconds = i64::from_be_bytes(raw.try_into()?);
        Ok(Self(Timestamp::from_microseconds(microseconds.saturating_add(EPOCH_OFFSET))))
    }

    fn accepts(sql_type: &Type) -> bool {
        *sql_type == Type::TIMESTAMPTZ
    }
}

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

/// `None` for a user without an id.
pub(super) fn user(row: &Row) -> Result<Option<User>, Error> {
    let Some(id) = row.try_get("id")? else {
        return Ok(None);
    };
    Ok(Some(User {
        id,
        email: text(row, "email")?,
        is_active: flag(row, "is_active")?,
        is_admin: flag(row, "is_admin")?,
        created_at: timestamp(row, "created_at")?,
        flow_epoch: FlowEpoch(row.try_get::<_, Option<_>>("flow_epoch")?.unwrap_or(0)),
    }))
}

/// `None` for a user without an id.
pub(super) fn user_with_hash(row: &Row) -> Result<Option<UserWithHash>, Error> {
    let Some(user) = user(row)? else {
        return Ok(None);
    };
    let hashed_password = SecretString::from(text(row, "hashed_password")?);
    let has_second_factor = flag(row, "totp_enabled")?;
    Ok(Some(UserWithHash { user, hashed_password, has_second_factor }))
}

pub(super) fn user_details(row: &Row) -> Result<UserDetails, Error> {
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

pub(super) fn connection(row: &Row) -> Result<Connection, Error> {
    Ok(Connection {
        provider_username: row.try_get("provider_username")?,
        provider_user_id: row.try_get("provider_user_id")?,
        updated_at: timestamp(row, "updated_at")?,
    })
}

/// `None` for a key that another program keeps in the table.
pub(crate) fn config_entry(row: &Row) -> Result<Option<ConfigEntry>, Error> {
    let Some(key) = row.try_get::<_, Option<_>>("key")?.and_then(ConfigKey::from_name) else {
        return Ok(None);
    };
    let value = SecretString::from(row.try_get::<_, String>("value")?);
    Ok(Some(ConfigEntry { key, value, updated_at: timestamp(row, "updated_at")? }))
}

/// Null becomes an empty string.
pub(super) fn text(row: &Row, column: &str) -> Result<String, Error> {
    Ok(row.try_get::<_, Option<_>>(column)?.unwrap_or_default())
}

/// Null becomes `false`.
fn flag(row: &Row, column: &str) -> Result<bool, Error> {
    Ok(row.try_get::<_, Option<_>>(column)?.unwrap_or_default())
}

/// Null becomes the Unix epoch.
pub(super) fn timestamp(row: &Row, column: &str) -> Result<Timestamp, Error> {
    let timestamp: Option<Timestamptz> = row.try_get(column)?;
    Ok(timestamp.map_or(Timestamp::from_microseconds(0), |it| it.0))
}
