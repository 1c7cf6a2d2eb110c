//! What the role may not do and has to: asked of the server, without trying it.

use tokio_postgres::Transaction;

use super::error::PostgresError;
use crate::storage::look::Lack;

/// What the statements need of the tables that are there; rights on their columns do as well, but
/// nobody can delete a column.
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
        select string_agg(privilege, ', ' order by privilege) || ' on ' || place
        from needed
        where to_regclass(place) is not null
            and not case
                when privilege = 'delete' then has_table_privilege(to_regclass(place), privilege)
                else has_any_column_privilege(to_regclass(place), privilege)
            end
        group by place
    )
    select lack, 'grant ' || lack || ' to ' || quote_ident(current_user)
    from lacking
    order by lack";

/// What migrations need besides: to make tables, and to add a column to one that another role may
/// have made. Without the right to use the schema there is no `current_schema()`.
const TO_MIGRATE: &str = "
    with lacking (lack) as (
        select 'usage, create on schema ' || quote_ident(coalesce(current_schema(), 'public'))
        where not coalesce(has_schema_privilege(current_schema(), 'create'), false)
        union all
        select 'insert on api_migrations'
        where not has_any_column_privilege(to_regclass('api_migrations'), 'insert')
    )
    select lack, 'grant ' || lack || ' to ' || quote_ident(current_user)
    from lacking
    union all
    select 'ownership of users', 'alter table users owner to ' || quote_ident(current_user)
    from pg_class
    where oid = to_regclass('users')
        and not pg_has_role(relowner, 'usage')
        and not exists (
            select from pg_attribute
            where attrelid = pg_class.oid and attname = 'is_admin' and not attisdropped
        )";

pub(super) async fn lacking_to_serve(
    transaction: &Transaction<'_>,
) -> Result<Vec<Lack>, PostgresError> {
    lacking(transaction, TO_SERVE).await
}

pub(super) async fn lacking_to_migrate(
    transaction: &Transaction<'_>,
) -> Result<Vec<Lack>, PostgresError> {
    lacking(transaction, TO_MIGRATE).await
}

async fn lacking(transaction: &Transaction<'_>, query: &str) -> Result<Vec<Lack>, PostgresError> {
    let rows = transaction.query_typed(query, &[]).await?;
    let lack =
        |row: &tokio_postgres::Row| Ok(Lack { right: row.try_get(0)?, given_by: row.try_get(1)? });
    rows.iter().map(lack).collect()
}
