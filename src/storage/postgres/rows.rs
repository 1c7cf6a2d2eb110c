//! Rows as they stand: what another program left empty is taken without complaint.

use std::error::Error;

use secrecy::SecretString;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Type};

use super::error::PostgresError;
use crate::clock::Timestamp;
use crate::model::{
    ConfigEntry, ConfigKey, Connection, FlowEpoch, User, UserDetails, UserWithHash,
};

/// PostgreSQL counts from 2000-01-01, we count from 1970-01-01: the microseconds between.
const EPOCH_OFFSET: i64 = 946_684_800_000_000;

/// A `timestamptz`; `infinity` and its negative stay at the ends of time.
#[derive(Debug, Clone, Copy)]
pub(super) struct At(pub(super) Timestamp);

impl<'a> FromSql<'a> for At {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        let microseconds = i64::from_be_bytes(raw.try_into()?);
        Ok(Self(Timestamp::from_microseconds(microseconds.saturating_add(EPOCH_OFFSET))))
    }

    fn accepts(sql_type: &Type) -> bool {
        *sql_type == Type::TIMESTAMPTZ
    }
}

/// `None` for a user without an id.
pub(super) fn user(row: &Row) -> Result<Option<User>, PostgresError> {
    let Some(id) = row.try_get(0)? else {
        return Ok(None);
    };
    Ok(Some(User {
        id,
        email: text(row, 1)?,
        is_active: row.try_get::<_, Option<_>>(2)?.unwrap_or(false),
        is_admin: row.try_get::<_, Option<_>>(3)?.unwrap_or(false),
        created_at: moment(row, 4)?,
        flow_epoch: FlowEpoch(row.try_get::<_, Option<_>>(5)?.unwrap_or(0)),
    }))
}

/// `None` for a user without an id.
pub(super) fn user_with_hash(row: &Row) -> Result<Option<UserWithHash>, PostgresError> {
    let Some(user) = user(row)? else {
        return Ok(None);
    };
    let hashed_password = text(row, 6)?.into();
    let has_second_factor = row.try_get::<_, Option<_>>(7)?.unwrap_or(false);
    Ok(Some(UserWithHash { user, hashed_password, has_second_factor }))
}

pub(super) fn user_details(row: &Row) -> Result<UserDetails, PostgresError> {
    let is_connected: bool = row.try_get(6)?;
    Ok(UserDetails {
        id: text(row, 0)?,
        email: text(row, 1)?,
        is_active: row.try_get::<_, Option<_>>(2)?.unwrap_or(false),
        is_admin: row.try_get::<_, Option<_>>(3)?.unwrap_or(false),
        has_second_factor: row.try_get::<_, Option<_>>(4)?.unwrap_or(false),
        created_at: moment(row, 5)?,
        connection: if is_connected { Some(connection_from(row, 7)?) } else { None },
    })
}

pub(super) fn connection(row: &Row) -> Result<Connection, PostgresError> {
    connection_from(row, 0)
}

/// A connection whose columns begin with this one.
fn connection_from(row: &Row, first: usize) -> Result<Connection, PostgresError> {
    Ok(Connection {
        provider_username: row.try_get(first)?,
        provider_user_id: row.try_get(first + 1)?,
        updated_at: moment(row, first + 2)?,
    })
}

/// `None` for a key that another program keeps in the table.
pub(crate) fn config_entry(row: &Row) -> Result<Option<ConfigEntry>, PostgresError> {
    let Some(key) = row.try_get::<_, Option<_>>(0)?.and_then(ConfigKey::from_name) else {
        return Ok(None);
    };
    Ok(Some(ConfigEntry {
        key,
        value: SecretString::from(row.try_get::<_, String>(1)?),
        updated_at: moment(row, 2)?,
    }))
}

/// A text; empty if there is none.
pub(super) fn text(row: &Row, column: usize) -> Result<String, PostgresError> {
    Ok(row.try_get::<_, Option<_>>(column)?.unwrap_or_default())
}

/// A moment that nobody wrote counts as the Unix epoch.
fn moment(row: &Row, column: usize) -> Result<Timestamp, PostgresError> {
    let at: Option<At> = row.try_get(column)?;
    Ok(at.map_or(Timestamp::from_microseconds(0), |at| at.0))
}
