//! The addresses from which users signed in, in the SQLite file.

use rusqlite::{Connection, OptionalExtension as _, Result, Transaction, named_params};

use crate::clock::Timestamp;
use crate::model::KnownAddress;
use crate::storage::MOST_KNOWN_ADDRESSES;

/// When the account last signed in successfully from the address.
pub(super) fn seen_at(
    connection: &mut Connection,
    address: &KnownAddress,
) -> Result<Option<Timestamp>> {
    const KNOWN_ADDRESS: &str = "
        select seen_at
        from known_addresses
        where account = :account and address = :address";

    let KnownAddress { account, address } = *address;
    let parameters = named_params! { ":account": account, ":address": address };
    let mut statement = connection.prepare_cached(KNOWN_ADDRESS)?;
    let seen_at = statement.query_row(parameters, |row| row.get("seen_at")).optional()?;
    Ok(seen_at.map(Timestamp::from_microseconds))
}

/// Only a few, to keep the transaction short; in time, all of them are deleted.
const DELETE_OLD_ADDRESSES: &str = "
    delete from known_addresses
    where rowid in (
        select rowid
        from known_addresses
        where seen_at < :before
        order by seen_at
        limit 10
    )";

/// Keeps the newest, so that one account can't fill the table.
const DELETE_SURPLUS_ADDRESSES: &str = "
    delete from known_addresses
    where rowid in (
        select rowid
        from known_addresses
        where account = :account and address <> :address
        order by seen_at desc, rowid desc
        limit -1 offset :others
    )";

const PUT_KNOWN_ADDRESS: &str = "
    insert into known_addresses (account, address, seen_at)
    values (:account, :address, :now)
    on conflict (account, address) do update
    set seen_at = excluded.seen_at";

/// Records a sign-in at `now`. Deletes a few addresses last seen before `before`, and all but the newest
/// of this account.
pub(super) fn put(
    transaction: &Transaction<'_>,
    address: &KnownAddress,
    now: i64,
    before: i64,
) -> Result<()> {
    let KnownAddress { account, address } = *address;
    let old = named_params! { ":before": before };
    transaction.prepare_cached(DELETE_OLD_ADDRESSES)?.execute(old)?;
    let surplus = named_params! {
        ":account": account,
        ":address": address,
        ":others": MOST_KNOWN_ADDRESSES - 1,
    };
    transaction.prepare_cached(DELETE_SURPLUS_ADDRESSES)?.execute(surplus)?;
    let put = named_params! { ":account": account, ":address": address, ":now": now };
    transaction.prepare_cached(PUT_KNOWN_ADDRESS)?.execute(put).map(drop)
}
