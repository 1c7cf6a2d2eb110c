//! Rows of the SQLite file; its tables are strict, so a column holds what it says.

use rusqlite::Row;
use secrecy::SecretString;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::model::{ConfigEntry, ConfigKey, Connection, FlowEpoch, User, UserWithHash};

pub(super) fn user(row: &Row<'_>) -> rusqlite::Result<User> {
    Ok(User {
        id: uuid(row, 0)?,
        email: row.get(1)?,
        is_active: row.get(2)?,
        is_admin: row.get(3)?,
        created_at: Timestamp::from_microseconds(row.get(4)?),
        flow_epoch: FlowEpoch(row.get(5)?),
    })
}

pub(super) fn user_with_hash(row: &Row<'_>) -> rusqlite::Result<UserWithHash> {
    let hashed_password = SecretString::from(row.get::<_, String>(6)?);
    Ok(UserWithHash { user: user(row)?, hashed_password, has_second_factor: row.get(7)? })
}

pub(super) fn connection(row: &Row<'_>) -> rusqlite::Result<Connection> {
    Ok(Connection {
        provider_username: row.get(0)?,
        provider_user_id: row.get(1)?,
        updated_at: Timestamp::from_microseconds(row.get(2)?),
    })
}

/// `None` for a key that another program keeps in the table.
pub(super) fn config_entry(row: &Row<'_>) -> rusqlite::Result<Option<ConfigEntry>> {
    let Some(key) = ConfigKey::from_name(&row.get::<_, String>(0)?) else {
        return Ok(None);
    };
    Ok(Some(ConfigEntry {
        key,
        value: SecretString::from(row.get::<_, String>(1)?),
        updated_at: Timestamp::from_microseconds(row.get(2)?),
    }))
}

fn uuid(row: &Row<'_>, column: usize) -> rusqlite::Result<Uuid> {
    Uuid::try_parse(&row.get::<_, String>(column)?).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, error.into())
    })
}
