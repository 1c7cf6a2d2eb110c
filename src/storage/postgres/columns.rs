//! The columns that the migrations declare, read from their text.
//!
//! Understands what `migrations/postgres` uses: `create table if not exists` with one declaration a
//! line, and `add column if not exists`. `tests/it/foreign.rs` compares the result with a database.

use crate::migrations::Migration;

/// The words that end a column's type, or start a declaration that is no column.
const CONSTRAINTS: [&str; 9] = [
    "check",
    "constraint",
    "default",
    "foreign",
    "generated",
    "not",
    "primary",
    "references",
    "unique",
];

/// A column as its migration declares it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) table: String,
    pub(super) name: String,
    /// As `format_type` spells it.
    pub(super) kind: String,
    /// Whether the column is added to a table, which therefore may lack it.
    pub(super) is_added: bool,
}

/// Returns the columns that a migration declares, sorted by table and name.
pub(super) fn declared(migration: &Migration) -> Vec<Column> {
    let lines: Vec<_> = migration.sql.lines().filter(|line| !line.starts_with("--")).collect();
    let mut columns: Vec<_> = lines.join("\n").split(';').flat_map(columns).collect();
    columns.sort_by(|one, other| (&one.table, &one.name).cmp(&(&other.table, &other.name)));
    columns
}

fn columns(statement: &str) -> Vec<Column> {
    let statement = statement.trim_start();
    let (rest, is_added) = match statement.strip_prefix("create table if not exists ") {
        Some(rest) => (rest, false),
        None => match statement.strip_prefix("alter table ") {
            Some(rest) => (rest, true),
            None => return Vec::new(),
        },
    };
    let Some((table, declarations)) = rest.split_once(char::is_whitespace) else {
        return Vec::new();
    };
    let prefix = if is_added { "add column if not exists " } else { "" };
    let declarations = declarations.lines().filter_map(|line| line.trim().strip_prefix(prefix));
    let columns = declarations.filter_map(name_and_kind);
    columns.map(|(name, kind)| Column { table: table.to_owned(), name, kind, is_added }).collect()
}

/// Returns `None` for a line that declares no column.
fn name_and_kind(declaration: &str) -> Option<(String, String)> {
    let (name, rest) = declaration.trim_end_matches(',').split_once(' ')?;
    if CONSTRAINTS.contains(&name) {
        return None;
    }
    let kind: Vec<_> = rest.split(' ').take_while(|word| !CONSTRAINTS.contains(word)).collect();
    let kind = kind.join(" ").replace("varchar", "character varying");
    Some((name.to_owned(), kind.replace("timestamptz", "timestamp with time zone")))
}

#[cfg(test)]
mod tests {
    use super::declared;
    use crate::migrations::Migration;

    fn told(sql: &'static str) -> Vec<String> {
        let columns = declared(&Migration { number: 99, name: "sleeves", sql });
        columns
            .iter()
            .map(|it| format!("{}.{} {} {}", it.table, it.name, it.kind, it.is_added))
            .collect()
    }

    #[test]
    fn the_columns_of_a_new_table_are_read() {
        let sql = "-- Sleeves; not boxes.\n\ncreate table if not exists sleeves (\n    \
                   number integer primary key,\n    name varchar(100) not null default '',\n    \
                   price numeric(6, 2),\n    seen_at timestamptz,\n    unique (name, price)\n);\n\n\
                   create index if not exists sleeves_price on sleeves (price);";
        let expected = [
            "sleeves.name character varying(100) false",
            "sleeves.number integer false",
            "sleeves.price numeric(6, 2) false",
            "sleeves.seen_at timestamp with time zone false",
        ];
        assert_eq!(told(sql), expected);
    }

    #[test]
    fn added_columns_are_read_and_other_changes_are_not() {
        let sql = "alter table users\n    add column if not exists b text unique,\n    \
                   add column if not exists a bytea;\nalter table users alter column email set default '';";
        assert_eq!(told(sql), ["users.a bytea true", "users.b text true"]);
    }
}
