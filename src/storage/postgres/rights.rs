//! What the role may not do and has to: asked of the server, without trying it.

use tokio_postgres::Transaction;
use tokio_postgres::types::Type;

use super::error::PostgresError;
use crate::storage::look::{Lack, Remedy};

/// What the statements need of the tables that are there: of the whole table, or of each column. Nobody
/// deletes columns, and old addresses are found by their `ctid`, on which no right can be given.
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

/// What the migrations that are missing need besides: to make tables, to note that they were applied,
/// and to own the tables that they alter, which another role may have made.
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

pub(super) async fn lacking_to_serve(
    transaction: &Transaction<'_>,
) -> Result<Vec<Lack>, PostgresError> {
    lacks(&transaction.query_typed(TO_SERVE, &[]).await?)
}

/// `missing` are the names of migrations.
pub(super) async fn lacking_to_migrate(
    transaction: &Transaction<'_>,
    missing: &[String],
) -> Result<Vec<Lack>, PostgresError> {
    lacks(&transaction.query_typed(TO_MIGRATE, &[(&missing, Type::TEXT_ARRAY)]).await?)
}

fn lacks(rows: &[tokio_postgres::Row]) -> Result<Vec<Lack>, PostgresError> {
    let lack = |row: &tokio_postgres::Row| {
        let remedy = match row.try_get(1)? {
            Some(statement) => Remedy::Grant(statement),
            None => Remedy::Owner(row.try_get(2)?),
        };
        Ok(Lack { right: row.try_get(0)?, remedy })
    };
    rows.iter().map(lack).collect()
}
