//! Finds the privileges that the role lacks, by asking the server instead of trying.

use tokio_postgres::Transaction;
use tokio_postgres::types::Type;

use super::{MissingPrivilege, Remedy};
use crate::storage::postgres::PostgresError;

/// The privileges that the statements need on each existing table, or on all of its columns. A
/// `delete` can't be granted by column, and old addresses are found by their `ctid`, on which no
/// privilege can be granted.
const TO_SERVE: &str = "
    with needed (place, privilege) as (
        values ('users', 'select'), ('users', 'insert'), ('users', 'update'),
            ('oauth_tokens', 'select'), ('oauth_tokens', 'insert'), ('oauth_tokens', 'update'),
            ('oauth_tokens', 'delete'),
            ('app_config', 'select'), ('app_config', 'insert'), ('app_config', 'update'),
            ('app_config', 'delete'),
            ('known_addresses', 'select'), ('known_addresses', 'insert'),
            ('known_addresses', 'update'), ('known_addresses', 'delete'),
            ('api_migrations', 'select')
    ),
    lacking (lack) as (
        select 'usage on schema public'
        where current_schema() is null and to_regnamespace('public') is not null
        union all
        select string_agg(privilege, ', ' order by privilege) || ' on ' || place
        from needed
        where not has_table_privilege(to_regclass(place), privilege)
            and (
                privilege = 'delete'
                or place = 'known_addresses'
                or exists (
                    select
                    from pg_attribute
                    where attrelid = to_regclass(place) and attnum > 0 and not attisdropped
                        and not has_column_privilege(attrelid, attnum, privilege)
                )
            )
        group by place
    )
    select lack, 'grant ' || lack || ' to ' || quote_ident(current_user), null::text
    from lacking
    order by lack";

/// What missing migrations need besides: to create tables, to record that they were applied, and to
/// own the tables that they alter, which another role may have created.
const TO_MIGRATE: &str = "
    with lacking (lack) as (
        select 'create on schema ' || quote_ident(coalesce(current_schema(), 'public'))
        where not coalesce(has_schema_privilege(current_schema(), 'create'), false)
        union all
        select 'insert on api_migrations'
        where not has_table_privilege(to_regclass('api_migrations'), 'insert')
    ),
    altered (migration, place) as (
        values ('0002_admins', 'users'), ('0004_known_addresses', 'known_addresses'),
            ('0005_sign_in_and_flows', 'users')
    )
    select lack, 'grant ' || lack || ' to ' || quote_ident(current_user), null::text
    from lacking
    union
    select 'ownership of ' || place, null, pg_get_userbyid(relowner)::text
    from altered
    join pg_class on pg_class.oid = to_regclass(place)
    where migration = any($1) and not pg_has_role(relowner, 'usage')
    order by 1";

pub(super) async fn missing_to_serve(
    transaction: &Transaction<'_>,
) -> Result<Vec<MissingPrivilege>, PostgresError> {
    read(&transaction.query_typed(TO_SERVE, &[]).await?)
}

/// `migrations` are the names of those to apply.
pub(super) async fn missing_to_migrate(
    transaction: &Transaction<'_>,
    migrations: &[String],
) -> Result<Vec<MissingPrivilege>, PostgresError> {
    read(&transaction.query_typed(TO_MIGRATE, &[(&migrations, Type::TEXT_ARRAY)]).await?)
}

fn read(rows: &[tokio_postgres::Row]) -> Result<Vec<MissingPrivilege>, PostgresError> {
    let privilege = |row: &tokio_postgres::Row| {
        let remedy = match row.try_get(1)? {
            Some(statement) => Remedy::Grant(statement),
            None => Remedy::Owner(row.try_get(2)?),
        };
        Ok(MissingPrivilege { privilege: row.try_get(0)?, remedy })
    };
    rows.iter().map(privilege).collect()
}
