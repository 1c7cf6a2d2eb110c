//! The stored secrets as they are, in PostgreSQL. None is prepared: no request needs them.

use async_trait::async_trait;
use pg_pipeline::{Query, Sql};
use secrecy::{ExposeSecret as _, SecretString};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Error, Row, Transaction};
use uuid::Uuid;

use super::{PostgresError, PostgresStorage, rows};
use crate::keyring::SealedTable;
use crate::storage::{Encryption, Reseal, SealedRow, SealedRows, StorageError, Written};

static ENCRYPTION: Sql = Sql {
    types: &[],
    text: "
    select name, value
    from api_encryption",
};

static PUT_CHECK: Sql = Sql {
    types: &[Type::TEXT, Type::TEXT],
    text: "
    insert into api_encryption (name, value)
    values ('check', $1)
    on conflict (name) do update
    set value = excluded.value, updated_at = now()
    where api_encryption.value = $2
    returning name",
};

static RECORD_ENCRYPTED: Sql = Sql {
    types: &[Type::TEXT_ARRAY],
    text: "
    insert into api_encryption (name, value)
    select unnest($1::text[]), 'encrypted'
    on conflict (name) do nothing",
};

static FORGET_ENCRYPTION: Sql = Sql {
    types: &[],
    text: "
    delete from api_encryption",
};

/// The statements of one table.
struct Statements {
    rows: Sql,
    sample: Sql,
    reseal: Sql,
    delete: Sql,
}

static OAUTH_TOKENS: Statements = Statements {
    rows: Sql {
        types: &[Type::UUID],
        text: "
    select id::text as key, access_token as first, access_secret as second
    from oauth_tokens
    where id >= $1
    order by id
    limit 1000",
    },
    sample: Sql {
        types: &[],
        text: "
    select id::text as key, access_token as first, access_secret as second
    from oauth_tokens
    where access_token like 'gAAAA%' or access_secret like 'gAAAA%'
    limit 20",
    },
    reseal: Sql {
        types: &[
            Type::UUID_ARRAY,
            Type::TEXT_ARRAY,
            Type::TEXT_ARRAY,
            Type::TEXT_ARRAY,
            Type::TEXT_ARRAY,
        ],
        text: "
    update oauth_tokens
    set access_token = new.first, access_secret = new.second
    from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[])
        as new (id, old_first, first, old_second, second)
    where oauth_tokens.id = new.id
        and access_token = old_first
        and access_secret = old_second
    returning 1",
    },
    delete: Sql {
        types: &[Type::UUID, Type::TEXT],
        text: "
    delete from oauth_tokens
    where id = $1 and access_token = $2",
    },
};

static APP_CONFIG: Statements = Statements {
    rows: Sql {
        types: &[Type::TEXT],
        text: "
    select key, value as first, null::text as second
    from app_config
    where key in ('discogs_consumer_key', 'discogs_consumer_secret') and value <> '' and key >= $1
    order by key
    limit 1000",
    },
    sample: Sql {
        types: &[],
        text: "
    select key, value as first, null::text as second
    from app_config
    where key in ('discogs_consumer_key', 'discogs_consumer_secret') and value like 'gAAAA%'",
    },
    reseal: Sql {
        types: &[Type::TEXT_ARRAY, Type::TEXT_ARRAY, Type::TEXT_ARRAY],
        text: "
    update app_config
    set value = new.first
    from unnest($1::text[], $2::text[], $3::text[]) as new (key, old_first, first)
    where app_config.key = new.key and value = old_first
    returning 1",
    },
    delete: Sql {
        types: &[Type::TEXT, Type::TEXT],
        text: "
    delete from app_config
    where key = $1 and value = $2",
    },
};

/// Most users have no secret; a page that skipped them would have to read the whole table at once.
static USERS: Statements = Statements {
    rows: Sql {
        types: &[Type::UUID],
        text: "
    select id::text as key, totp_secret as first, null::text as second
    from users
    where id >= $1
    order by id
    limit 1000",
    },
    sample: Sql {
        types: &[],
        text: "
    select id::text as key, totp_secret as first, null::text as second
    from users
    where totp_secret like 'gAAAA%'
    limit 20",
    },
    reseal: Sql {
        types: &[Type::UUID_ARRAY, Type::TEXT_ARRAY, Type::TEXT_ARRAY],
        text: "
    update users
    set totp_secret = new.first
    from unnest($1::uuid[], $2::text[], $3::text[]) as new (id, old_first, first)
    where users.id = new.id and totp_secret = old_first
    returning 1",
    },
    delete: Sql {
        types: &[Type::UUID, Type::TEXT],
        text: "
    update users
    set totp_secret = null
    where id = $1 and totp_secret = $2",
    },
};

#[async_trait]
impl SealedRows for PostgresStorage {
    async fn encryption(&self) -> Result<Encryption, StorageError> {
        Ok(recorded(&self.pools.reads.query(Query::new(&ENCRYPTION)).await?)?)
    }

    async fn put_check(
        &self,
        check: &str,
        replaces: Option<&str>,
    ) -> Result<Written, StorageError> {
        let query = Query::new(&PUT_CHECK).bind(check.to_owned()).bind(replaces.map(str::to_owned));
        Ok(Written::of(!self.pools.writes.query(query).await?.is_empty()))
    }

    async fn record_encrypted(&self, tables: &[SealedTable]) -> Result<(), StorageError> {
        let names: Vec<_> = tables.iter().map(|table| table.name()).collect();
        self.pools.writes.query(Query::new(&RECORD_ENCRYPTED).bind(names)).await?;
        Ok(())
    }

    async fn forget_encryption(&self) -> Result<(), StorageError> {
        self.pools.writes.query(Query::new(&FORGET_ENCRYPTION)).await?;
        Ok(())
    }

    async fn sealed_rows(
        &self,
        table: SealedTable,
        from: Option<&str>,
    ) -> Result<Vec<SealedRow>, StorageError> {
        let query = with_key(Query::new(&statements(table).rows), table, from.unwrap_or_default());
        let found = self.pools.reads.query(query).await?;
        Ok(found.iter().map(sealed_row).collect::<Result<_, _>>()?)
    }

    async fn encrypted_sample(&self, table: SealedTable) -> Result<Vec<SealedRow>, StorageError> {
        let found = self.pools.reads.query(Query::new(&statements(table).sample)).await?;
        Ok(found.iter().map(sealed_row).collect::<Result<_, _>>()?)
    }

    async fn reseal(&self, table: SealedTable, rows: Vec<Reseal>) -> Result<usize, StorageError> {
        let query = Query::new(&statements(table).reseal);
        let keys = rows.iter().map(|it| it.row.key.as_str());
        let mut query = if table == SealedTable::AppConfig {
            query.bind(keys.map(str::to_owned).collect::<Vec<_>>())
        } else {
            query.bind(keys.map(uuid).collect::<Vec<_>>())
        };
        let columns = if table == SealedTable::OauthTokens { 2 } else { 1 };
        for column in 0..columns {
            query = query
                .bind(exposed(rows.iter().map(|it| &it.row.values), column))
                .bind(exposed(rows.iter().map(|it| &it.values), column));
        }
        Ok(self.pools.writes.query(query).await?.len())
    }

    async fn delete_secret(&self, table: SealedTable, row: SealedRow) -> Result<(), StorageError> {
        let value = row.values.first().map(|value| value.expose_secret().to_owned());
        let query = with_key(Query::new(&statements(table).delete), table, &row.key).bind(value);
        self.pools.writes.query(query).await?;
        Ok(())
    }

    async fn erase_replaced(&self) -> Result<(), StorageError> {
        Ok(())
    }
}

/// Reads what [`SealedRows::encryption`] returns, in a transaction.
pub(crate) async fn encryption_in(
    transaction: &Transaction<'_>,
) -> Result<Encryption, PostgresError> {
    Ok(recorded(&transaction.query_typed(ENCRYPTION.text, &[]).await?)?)
}

/// Reads what [`SealedRows::sealed_rows`] returns, in a transaction.
pub(crate) async fn sealed_rows_in(
    transaction: &Transaction<'_>,
    table: SealedTable,
    from: &str,
) -> Result<Vec<SealedRow>, PostgresError> {
    let id = uuid(from);
    let from: (&(dyn ToSql + Sync), Type) = match table {
        SealedTable::AppConfig => (&from, Type::TEXT),
        SealedTable::OauthTokens | SealedTable::Users => (&id, Type::UUID),
    };
    let found = transaction.query_typed(statements(table).rows.text, &[from]).await?;
    Ok(found.iter().map(sealed_row).collect::<Result<_, _>>()?)
}

fn recorded(rows: &[Row]) -> Result<Encryption, Error> {
    let mut encryption = Encryption::default();
    for row in rows {
        encryption.add(&rows::text(row, "name")?, rows::text(row, "value")?);
    }
    Ok(encryption)
}

fn statements(table: SealedTable) -> &'static Statements {
    match table {
        SealedTable::OauthTokens => &OAUTH_TOKENS,
        SealedTable::AppConfig => &APP_CONFIG,
        SealedTable::Users => &USERS,
    }
}

/// Binds a primary key in the column's type. The empty key is the least one.
fn with_key(query: Query, table: SealedTable, key: &str) -> Query {
    match table {
        SealedTable::AppConfig => query.bind(key.to_owned()),
        SealedTable::OauthTokens | SealedTable::Users => query.bind(uuid(key)),
    }
}

/// Keys come from the database, so they are UUIDs.
fn uuid(key: &str) -> Uuid {
    Uuid::try_parse(key).unwrap_or_default()
}

fn sealed_row(row: &Row) -> Result<SealedRow, Error> {
    let second = row.try_get::<_, Option<String>>("second")?;
    let values = [Some(rows::text(row, "first")?), second];
    let values = values.into_iter().flatten().map(SecretString::from).collect();
    Ok(SealedRow { key: rows::text(row, "key")?, values })
}

fn exposed<'a>(rows: impl Iterator<Item = &'a Vec<SecretString>>, column: usize) -> Vec<String> {
    rows.filter_map(|values| values.get(column))
        .map(|value| value.expose_secret().to_owned())
        .collect()
}
