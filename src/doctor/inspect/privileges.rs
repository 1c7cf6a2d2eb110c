//! Finds the privileges that the role lacks, by asking the server.

use tokio_postgres::Transaction;
use tokio_postgres::types::Type;

use super::{MissingPrivilege, Remedy};
use crate::migrations::{Migration, POSTGRES};
use crate::storage::postgres::PostgresError;

/// The privileges that the statements need on each table, or on all of its columns.
///
/// `delete` can't be granted on a column. Expired addresses are found by `ctid`, on which no
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
            ('api_encryption', 'select'), ('api_encryption', 'insert'),
            ('api_encryption', 'update'), ('api_encryption', 'delete'),
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

/// The additional privileges that the missing migrations need.
///
/// They create tables, record that they were applied, and must own the tables that they alter
/// (`$1`), which another role may have created.
const TO_MIGRATE: &str = "
    with lacking (lack) as (
        select 'create on schema ' || quote_ident(coalesce(current_schema(), 'public'))
        where not coalesce(has_schema_privilege(current_schema(), 'create'), false)
        union all
        select 'insert on api_migrations'
        where not has_table_privilege(to_regclass('api_migrations'), 'insert')
    )
    select lack, 'grant ' || lack || ' to ' || quote_ident(current_user), null::text
    from lacking
    union
    select 'ownership of ' || place, null, pg_get_userbyid(relowner)::text
    from unnest($1) as place
    join pg_class on pg_class.oid = to_regclass(place)
    where not pg_has_role(relowner, 'usage')
    order by 1";

pub(super) async fn missing_to_serve(
    transaction: &Transaction<'_>,
) -> Result<Vec<MissingPrivilege>, PostgresError> {
    read(&transaction.query_typed(TO_SERVE, &[]).await?)
}

/// Returns what the role lacks to apply the migrations named in `missing`.
pub(super) async fn missing_to_migrate(
    transaction: &Transaction<'_>,
    missing: &[String],
) -> Result<Vec<MissingPrivilege>, PostgresError> {
    let is_missing = |migration: &&Migration| missing.contains(&migration.to_string());
    let tables: Vec<_> = POSTGRES.iter().filter(is_missing).flat_map(altered_tables).collect();
    read(&transaction.query_typed(TO_MIGRATE, &[(&tables, Type::TEXT_ARRAY)]).await?)
}

/// Returns the tables that a migration alters or indexes, as only their owner may.
fn altered_tables(migration: &Migration) -> Vec<&'static str> {
    let mut tables = Vec::new();
    let lines = migration.sql.lines().filter(|line| !line.starts_with("--"));
    let words = lines.flat_map(|line| line.split([' ', '('])).filter(|word| !word.is_empty());
    let words: Vec<_> = words.collect();
    for statement in words.split_inclusive(|word| word.ends_with(';')) {
        let mut words = statement.iter().copied();
        match (words.next(), words.next()) {
            (Some("alter"), Some("table")) => {
                tables.extend(words.find(|word| !["if", "exists", "only"].contains(word)));
            }
            (Some("create"), Some("index" | "unique")) => {
                tables.extend(words.skip_while(|word| *word != "on").nth(1));
            }
            _ => {}
        }
    }
    tables
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

#[cfg(test)]
mod tests {
    use super::altered_tables;
    use crate::migrations::{Migration, POSTGRES};

    #[test]
    fn the_altered_tables_are_read_from_a_migration() {
        let altered = POSTGRES[..5].iter().map(altered_tables).collect::<Vec<_>>();
        let expected = [&[][..], &["users"], &[], &["known_addresses"], &["users", "users"]];
        assert_eq!(altered, expected);
        let sql = "alter table only users add a int;\ncreate unique index a on oauth_tokens(a);";
        let migration = Migration { number: 99, name: "sleeves", sql };
        assert_eq!(altered_tables(&migration), ["users", "oauth_tokens"]);
    }
}
