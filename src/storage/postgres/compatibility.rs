//! Decides whether the service may use a database.
//!
//! It may not if the tables belong to another application, or if a new database's encoding can't
//! represent every character.

use pg_pipeline::Error;
use tokio_postgres::Transaction;
use tokio_postgres::types::{ToSql, Type};

use super::columns::{Column, declared};
use super::error::PostgresError;
use crate::migrations::{Migration, POSTGRES};

/// Finds the first of these columns that an existing table lacks, or has with another type.
///
/// Columns that a migration adds may be missing, and additional columns may exist.
const DIFFERENCE: &str = "
    select case
            when relkind not in ('r', 'p') then '`' || place || '` is not a table'
            when attname is null then '`' || place || '` has no column `' || name || '`'
            else '`' || place || '.' || name || '` is ' || format_type(atttypid, atttypmod)
                || ', not ' || kind
        end
    from unnest($1::text[], $2::text[], $3::text[], $4::boolean[])
        with ordinality as expected (place, name, kind, is_added, position)
    join pg_class on relname = place
        and relnamespace = (select oid from pg_namespace where nspname = current_schema())
    left join pg_attribute on attrelid = pg_class.oid and attname = name and not attisdropped
    where relkind not in ('r', 'p')
        or (attname is null and not is_added)
        or format_type(atttypid, atttypmod) <> kind
    order by position
    limit 1";

/// The columns of the table that lists the applied migrations, which the first one comes with.
const API_MIGRATIONS: [(&str, &str); 2] = [("name", "text"), ("number", "integer")];

/// Finds columns of existing tables that lack their unique index.
const MISSING_UNIQUE_CONSTRAINTS: &str = "
    with expected (migration, place, columns) as (
        values ('0001_accounts', 'users', '{id}'::name[]),
            ('0001_accounts', 'users', '{email}'),
            ('0001_accounts', 'oauth_tokens', '{provider,user_id}'),
            ('0001_accounts', 'app_config', '{key}'),
            ('0004_known_addresses', 'known_addresses', '{account,address}'),
            ('0006_encryption', 'api_encryption', '{name}')
    )
    select place, array_to_string(columns, ', ')
    from expected
    join pg_class on relname = place
        and relnamespace = (select oid from pg_namespace where nspname = current_schema())
    where migration = any($1)
        and not exists (
            select
            from pg_index
            where indrelid = pg_class.oid and indisunique and indisvalid and indimmediate
                and indpred is null and indexprs is null
                and columns = array(
                    select attname
                    from pg_attribute
                    where attrelid = indrelid
                        and attnum = any((indkey::int2[])[0:indnkeyatts - 1])
                    order by attname
                )
        )
    order by place, columns";

/// Finds the tables and columns that do not exist yet.
const ADDITIONS: &str = "
    select addition
    from (
        select case
                when to_regclass(place) is null then place
                else place || '.' || name
            end,
            position
        from unnest($1::text[], $2::text[]) with ordinality as expected (place, name, position)
        where not exists (
            select
            from pg_attribute
            where attrelid = to_regclass(place) and attname = name and not attisdropped
        )
    ) as missing (addition, position)
    group by addition
    order by min(position)";

/// Finds the tables and columns of newer releases of the Python service that exist.
const LATER_PYTHON: &str = "
    select place || coalesce('.' || name, '')
    from (
        values ('app_tokens', null), ('admin_audit_log', null), ('extraction_history', null),
            ('users', 'is_admin'), ('users', 'password_changed_at'), ('users', 'totp_enabled'),
            ('users', 'totp_secret'), ('users', 'totp_recovery_codes')
    ) as later (place, name)
    where to_regclass(place) is not null
        and (
            name is null
            or exists (
                select
                from pg_attribute
                where attrelid = to_regclass(place) and attname = name and not attisdropped
            )
        )";

/// Columns that must be unique, but have no unique constraint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MissingUnique {
    /// The table.
    pub(crate) table: String,
    /// As in `unique (…)`.
    pub(crate) columns: String,
}

/// Returns why the service must not use the database; `None` if it may.
///
/// Also checks tables of `missing` migrations, which another application may have created.
pub(crate) async fn incompatibility(
    transaction: &Transaction<'_>,
    missing: &[Migration],
) -> Result<Option<String>, PostgresError> {
    let names: Vec<_> = missing.iter().map(ToString::to_string).collect();
    let is_new = missing.len() == POSTGRES.len();
    if is_new && let Some(encoding) = limited_encoding(transaction).await? {
        return Ok(Some(format!(
            "the encoding of the database is {encoding}, which can't represent every \
             character of names and addresses: use a database with the encoding UTF8"
        )));
    }
    if let Some(difference) = difference(transaction, missing).await? {
        return Ok(Some(of_another_application(&difference)));
    }
    let missing = missing_unique(transaction, &names).await?;
    Ok(missing.first().map(|MissingUnique { table, columns }| {
        of_another_application(&format!("`{table}` has no unique constraint on ({columns})"))
    }))
}

/// Returns how an existing table differs from those that these migrations create or alter.
async fn difference(
    transaction: &Transaction<'_>,
    missing: &[Migration],
) -> Result<Option<String>, PostgresError> {
    let columns: Vec<_> = missing.iter().flat_map(expected).collect();
    let tables: Vec<_> = columns.iter().map(|column| &column.table).collect();
    let names: Vec<_> = columns.iter().map(|column| &column.name).collect();
    let kinds: Vec<_> = columns.iter().map(|column| &column.kind).collect();
    let are_added: Vec<_> = columns.iter().map(|column| column.is_added).collect();
    let parameters: [(&(dyn ToSql + Sync), Type); 4] = [
        (&tables, Type::TEXT_ARRAY),
        (&names, Type::TEXT_ARRAY),
        (&kinds, Type::TEXT_ARRAY),
        (&are_added, Type::BOOL_ARRAY),
    ];
    let rows = transaction.query_typed(DIFFERENCE, &parameters).await?;
    Ok(rows.first().map(|row| row.try_get(0)).transpose()?)
}

/// Returns the columns of a migration, and for the first one also those of `api_migrations`.
fn expected(migration: &Migration) -> Vec<Column> {
    let column = |(name, kind): (&str, &str)| Column {
        table: "api_migrations".to_owned(),
        name: name.to_owned(),
        kind: kind.to_owned(),
        is_added: false,
    };
    let with_it: &[_] = if migration.number == 1 { &API_MIGRATIONS } else { &[] };
    with_it.iter().copied().map(column).chain(declared(migration)).collect()
}

/// Returns the unique constraints that are missing in the tables of these migrations.
pub(crate) async fn missing_unique(
    transaction: &Transaction<'_>,
    migrations: &[String],
) -> Result<Vec<MissingUnique>, PostgresError> {
    let rows = transaction
        .query_typed(MISSING_UNIQUE_CONSTRAINTS, &[(&migrations, Type::TEXT_ARRAY)])
        .await?;
    let missing = |row: &tokio_postgres::Row| {
        Ok(MissingUnique { table: row.try_get(0)?, columns: row.try_get(1)? })
    };
    rows.iter().map(missing).collect()
}

/// Returns the database's encoding if it can't represent every character.
///
/// A database that already has the service's tables is used anyway, and rejects what it can't store.
pub(crate) async fn limited_encoding(
    transaction: &Transaction<'_>,
) -> Result<Option<String>, PostgresError> {
    let row = transaction.query_typed("select current_setting('server_encoding')", &[]).await?;
    let row = row.first().ok_or_else(|| Error::NoRow)?;
    let encoding: String = row.try_get(0)?;
    // With SQL_ASCII the server stores bytes unchanged, and the service sends UTF-8.
    Ok(Some(encoding).filter(|encoding| !["UTF8", "SQL_ASCII"].contains(&encoding.as_str())))
}

/// Returns what these migrations add: tables, and columns as `users.is_admin`.
pub(crate) async fn additions(
    transaction: &Transaction<'_>,
    missing: &[Migration],
) -> Result<Vec<String>, PostgresError> {
    let columns: Vec<_> = missing.iter().flat_map(expected).collect();
    let tables: Vec<_> = columns.iter().map(|column| &column.table).collect();
    let names: Vec<_> = columns.iter().map(|column| &column.name).collect();
    let parameters: [(&(dyn ToSql + Sync), Type); 2] =
        [(&tables, Type::TEXT_ARRAY), (&names, Type::TEXT_ARRAY)];
    let rows = transaction.query_typed(ADDITIONS, &parameters).await?;
    Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
}

/// Returns the tables and columns that only a newer release of the Python service can have added.
pub(crate) async fn later_python(
    transaction: &Transaction<'_>,
    missing: &[Migration],
) -> Result<Vec<String>, PostgresError> {
    let is_applied =
        |migration: &&Migration| missing.iter().all(|it| it.number != migration.number);
    let own: Vec<_> = POSTGRES.iter().filter(is_applied).flat_map(declared).collect();
    let is_own = |found: &String| {
        own.iter().any(|it| it.table == *found || format!("{}.{}", it.table, it.name) == *found)
    };
    let rows = transaction.query_typed(LATER_PYTHON, &[]).await?;
    let mut found = rows.iter().map(|row| row.try_get(0)).collect::<Result<Vec<_>, _>>()?;
    found.retain(|found| !is_own(found));
    Ok(found)
}

fn of_another_application(difference: &str) -> String {
    format!(
        "the tables of the database are not those of this service: {difference}. Use a database of \
         its own"
    )
}
