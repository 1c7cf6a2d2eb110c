//! The stored secrets as they are, in the SQLite file: the methods in the order of PostgreSQL's.

use async_trait::async_trait;
use rusqlite::{Connection, Row, Transaction, named_params};
use secrecy::{ExposeSecret as _, SecretString};

use super::{SqliteStorage, rows};
use crate::keyring::SealedTable;
use crate::storage::{Encryption, Reseal, SealedRow, SealedRows, StorageError, Written};

/// The statements of one table.
struct Statements {
    rows: &'static str,
    sample: &'static str,
    reseal: &'static str,
    delete: &'static str,
}

const OAUTH_TOKENS: Statements = Statements {
    rows: "
        select id as key, access_token as first, access_secret as second
        from oauth_tokens
        where id >= :from
        order by id
        limit 1000",
    sample: "
        select id as key, access_token as first, access_secret as second
        from oauth_tokens
        where access_token glob 'gAAAA*' or access_secret glob 'gAAAA*'
        limit 20",
    reseal: "
        update oauth_tokens
        set access_token = :first, access_secret = :second
        where id = :key and access_token = :old_first and access_secret = :old_second",
    delete: "
        delete from oauth_tokens
        where id = :key and access_token = :value",
};

const APP_CONFIG: Statements = Statements {
    rows: "
        select key, value as first, null as second
        from app_config
        where key in ('discogs_consumer_key', 'discogs_consumer_secret') and value <> '' and key >= :from
        order by key
        limit 1000",
    sample: "
        select key, value as first, null as second
        from app_config
        where key in ('discogs_consumer_key', 'discogs_consumer_secret') and value glob 'gAAAA*'",
    reseal: "
        update app_config
        set value = :first
        where key = :key and value = :old_first and :second is :old_second",
    delete: "
        delete from app_config
        where key = :key and value = :value",
};

const USERS: Statements = Statements {
    rows: "
        select id as key, totp_secret as first, null as second
        from users
        where id >= :from
        order by id
        limit 1000",
    sample: "
        select id as key, totp_secret as first, null as second
        from users
        where totp_secret glob 'gAAAA*'
        limit 20",
    reseal: "
        update users
        set totp_secret = :first
        where id = :key and totp_secret = :old_first and :second is :old_second",
    delete: "
        update users
        set totp_secret = null
        where id = :key and totp_secret = :value",
};

#[async_trait]
impl SealedRows for SqliteStorage {
    async fn encryption(&self) -> Result<Encryption, StorageError> {
        let read = |connection: &mut Connection| encryption_in(connection);
        Ok(self.database.read(read).await?)
    }

    async fn put_check(
        &self,
        check: &str,
        replaces: Option<&str>,
    ) -> Result<Written, StorageError> {
        const PUT_CHECK: &str = "
            insert into api_encryption (name, value, updated_at)
            values ('check', :check, :now)
            on conflict (name) do update
            set value = excluded.value, updated_at = excluded.updated_at
            where value = :replaces";

        let (check, replaces, now) = (check.to_owned(), replaces.map(str::to_owned), self.now());
        let put = move |transaction: &Transaction<'_>| {
            let parameters = named_params! { ":check": check, ":replaces": replaces, ":now": now };
            transaction.execute(PUT_CHECK, parameters)
        };
        Ok(Written::of(self.database.write(put).await? > 0))
    }

    async fn record_encrypted(&self, tables: &[SealedTable]) -> Result<(), StorageError> {
        const RECORD_ENCRYPTED: &str = "
            insert into api_encryption (name, value, updated_at)
            values (:name, 'encrypted', :now)
            on conflict (name) do nothing";

        let (tables, now) = (tables.to_vec(), self.now());
        let record = move |transaction: &Transaction<'_>| {
            for table in &tables {
                let parameters = named_params! { ":name": table.name(), ":now": now };
                transaction.execute(RECORD_ENCRYPTED, parameters)?;
            }
            Ok(())
        };
        Ok(self.database.write(record).await?)
    }

    async fn forget_encryption(&self) -> Result<(), StorageError> {
        const FORGET_ENCRYPTION: &str = "
            delete from api_encryption";

        let forget = |transaction: &Transaction<'_>| transaction.execute(FORGET_ENCRYPTION, []);
        Ok(self.database.write(forget).await.map(drop)?)
    }

    async fn sealed_rows(
        &self,
        table: SealedTable,
        from: Option<&str>,
    ) -> Result<Vec<SealedRow>, StorageError> {
        let from = from.unwrap_or_default().to_owned();
        let read = move |connection: &mut Connection| sealed_rows_in(connection, table, &from);
        Ok(self.database.read(read).await?)
    }

    async fn encrypted_sample(&self, table: SealedTable) -> Result<Vec<SealedRow>, StorageError> {
        let read = move |connection: &mut Connection| {
            connection.prepare(statements(table).sample)?.query_map([], sealed_row)?.collect()
        };
        Ok(self.database.read(read).await?)
    }

    async fn reseal(&self, table: SealedTable, rows: Vec<Reseal>) -> Result<usize, StorageError> {
        let reseal = move |transaction: &Transaction<'_>| {
            let mut statement = transaction.prepare_cached(statements(table).reseal)?;
            let mut written = 0;
            for Reseal { row, values } in &rows {
                written += statement.execute(named_params! {
                    ":key": row.key,
                    ":old_first": exposed(&row.values, 0),
                    ":old_second": exposed(&row.values, 1),
                    ":first": exposed(values, 0),
                    ":second": exposed(values, 1),
                })?;
            }
            Ok(written)
        };
        Ok(self.database.write(reseal).await?)
    }

    async fn delete_secret(&self, table: SealedTable, row: SealedRow) -> Result<(), StorageError> {
        let delete = move |transaction: &Transaction<'_>| {
            let parameters = named_params! { ":key": row.key, ":value": exposed(&row.values, 0) };
            transaction.execute(statements(table).delete, parameters)
        };
        Ok(self.database.write(delete).await.map(drop)?)
    }

    async fn erase_replaced(&self) -> Result<(), StorageError> {
        Ok(self.database.erase_replaced().await?)
    }
}

/// Reads what [`SealedRows::encryption`] returns.
pub(crate) fn encryption_in(connection: &Connection) -> rusqlite::Result<Encryption> {
    const ENCRYPTION: &str = "
        select name, value
        from api_encryption";

    let mut encryption = Encryption::default();
    let mut statement = connection.prepare(ENCRYPTION)?;
    let mut found = statement.query([])?;
    while let Some(row) = found.next()? {
        encryption.add(&rows::text(row, "name")?, rows::text(row, "value")?);
    }
    Ok(encryption)
}

/// Reads what [`SealedRows::sealed_rows`] returns.
pub(crate) fn sealed_rows_in(
    connection: &Connection,
    table: SealedTable,
    from: &str,
) -> rusqlite::Result<Vec<SealedRow>> {
    let mut statement = connection.prepare_cached(statements(table).rows)?;
    statement.query_map(named_params! { ":from": from }, sealed_row)?.collect()
}

fn statements(table: SealedTable) -> &'static Statements {
    match table {
        SealedTable::OauthTokens => &OAUTH_TOKENS,
        SealedTable::AppConfig => &APP_CONFIG,
        SealedTable::Users => &USERS,
    }
}

fn sealed_row(row: &Row<'_>) -> rusqlite::Result<SealedRow> {
    let values = [Some(rows::text(row, "first")?), rows::optional_text(row, "second")?];
    let values = values.into_iter().flatten().map(SecretString::from).collect();
    Ok(SealedRow { key: rows::text(row, "key")?, values })
}

fn exposed(values: &[SecretString], column: usize) -> Option<&str> {
    values.get(column).map(SecretString::expose_secret)
}
