//! The addresses from which users signed in, in PostgreSQL.

use std::time::Duration;

use pg_pipeline::{Query, Sql};
use tokio_postgres::types::Type;

use super::pools::Pool;
use super::rows;
use crate::clock::Timestamp;
use crate::model::KnownAddress;
use crate::storage::{MOST_KNOWN_ADDRESSES, StorageError};

pub(super) static KNOWN_ADDRESS: Sql = Sql {
    types: &[Type::BYTEA, Type::BYTEA],
    text: "
    select seen_at
    from known_addresses
    where account = $1 and address = $2",
};

/// Also deletes a few of the oldest rows of all accounts, and all but the newest of this one. Skips
/// rows that another statement writes: two sign-ins that wait for each other's row would deadlock.
pub(super) static PUT_KNOWN_ADDRESS: Sql = Sql {
    types: &[Type::BYTEA, Type::BYTEA, Type::FLOAT8, Type::INT8],
    text: "
    with forgotten as (
        delete from known_addresses
        where ctid = any (array(
            select ctid
            from known_addresses
            where seen_at < now() - make_interval(secs => $3) and (account, address) <> ($1, $2)
            order by seen_at
            limit 10
            for update skip locked
        ) || array(
            select ctid
            from known_addresses
            where account = $1 and address <> $2
            order by seen_at desc
            offset $4
            for update skip locked
        ))
    )
    insert into known_addresses (account, address)
    values ($1, $2)
    on conflict (account, address) do update
    set seen_at = excluded.seen_at",
};

/// When the account last signed in successfully from the address.
pub(super) async fn seen_at(
    reads: &Pool,
    address: &KnownAddress,
) -> Result<Option<Timestamp>, StorageError> {
    let KnownAddress { account, address } = address;
    let query = Query::new(&KNOWN_ADDRESS).bind(account.to_vec()).bind(address.to_vec());
    let row = reads.query_first(query).await?;
    Ok(row.map(|row| rows::timestamp(&row, "seen_at")).transpose()?)
}

/// Records a successful sign-in from the address, now; `kept_for` is how long rows are kept.
pub(super) async fn put(
    writes: &Pool,
    address: &KnownAddress,
    kept_for: Duration,
) -> Result<(), StorageError> {
    let KnownAddress { account, address } = address;
    let query = Query::new(&PUT_KNOWN_ADDRESS)
        .bind(account.to_vec())
        .bind(address.to_vec())
        .bind(kept_for.as_secs_f64())
        .bind(MOST_KNOWN_ADDRESSES - 1);
    Ok(writes.query(query).await.map(drop)?)
}
