//! The numbered files of `migrations/`, compiled in: the same numbers and names for both databases.
//!
//! A released one is never edited. Must not know who applies them.

use std::fmt;

/// One step of the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migration {
    /// Its place in the order, from 1.
    pub number: i32,
    /// What it is about.
    pub name: &'static str,
    /// Its statements.
    pub(crate) sql: &'static str,
}

impl fmt::Display for Migration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}_{}", self.number, self.name)
    }
}

/// How the schema of a database stands to the migrations of this version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Schema {
    /// It has had them all, and nothing else.
    UpToDate,
    /// It lacks these.
    Behind(Vec<String>),
    /// It has had these too, which only a newer version knows.
    Ahead(Vec<String>),
    /// It is not what the migrations made of it; says what differs.
    Changed(String),
}

impl Schema {
    /// Compares ours with the numbers and names that a database keeps of those it has had.
    #[must_use]
    pub fn compare(ours: &[Migration], applied: &[(i32, String)]) -> Self {
        let is_applied =
            |ours: &&Migration| applied.iter().any(|(number, _)| *number == ours.number);
        let missing: Vec<_> =
            ours.iter().filter(|ours| !is_applied(ours)).map(ToString::to_string).collect();
        if !missing.is_empty() {
            return Self::Behind(missing);
        }
        let mut newer = Vec::new();
        for (number, name) in applied {
            match ours.iter().find(|ours| ours.number == *number) {
                None => newer.push(format!("{number:04}_{name}")),
                Some(ours) if ours.name == name => {}
                Some(ours) => {
                    return Self::Changed(format!("migration {ours} is called `{name}` there"));
                }
            }
        }
        if newer.is_empty() { Self::UpToDate } else { Self::Ahead(newer) }
    }
}

/// Builds one side's list: both sides have the same numbers and names.
macro_rules! migrations {
    ($side:literal) => {
        [
            Migration {
                number: 1,
                name: "accounts",
                sql: include_str!(concat!("../migrations/", $side, "/0001_accounts.sql")),
            },
            Migration {
                number: 2,
                name: "admins",
                sql: include_str!(concat!("../migrations/", $side, "/0002_admins.sql")),
            },
            Migration {
                number: 3,
                name: "oauth_states",
                sql: include_str!(concat!("../migrations/", $side, "/0003_oauth_states.sql")),
            },
            Migration {
                number: 4,
                name: "known_addresses",
                sql: include_str!(concat!("../migrations/", $side, "/0004_known_addresses.sql")),
            },
            Migration {
                number: 5,
                name: "sign_in_and_flows",
                sql: include_str!(concat!("../migrations/", $side, "/0005_sign_in_and_flows.sql")),
            },
        ]
    };
}

/// For PostgreSQL.
pub const POSTGRES: [Migration; 5] = migrations!("postgres");

/// For SQLite.
pub const SQLITE: [Migration; 5] = migrations!("sqlite");

#[cfg(test)]
mod tests {
    use super::{SQLITE, Schema};

    fn applied() -> Vec<(i32, String)> {
        SQLITE.iter().map(|migration| (migration.number, migration.name.to_owned())).collect()
    }

    #[test]
    fn a_schema_stands_to_ours_as_its_migrations_do() {
        assert_eq!(Schema::compare(&SQLITE, &applied()), Schema::UpToDate);
        let [earlier @ .., last] = &SQLITE;
        let behind = Schema::Behind(vec![last.to_string()]);
        assert_eq!(Schema::compare(&SQLITE, &applied()[..earlier.len()]), behind);
        let newer = [applied(), vec![(99, "sleeves".to_owned())]].concat();
        let ahead = Schema::Ahead(vec!["0099_sleeves".to_owned()]);
        assert_eq!(Schema::compare(&SQLITE, &newer), ahead);
        let mut renamed = applied();
        renamed[1].1 = "owners".to_owned();
        let changed = "migration 0002_admins is called `owners` there".to_owned();
        assert_eq!(Schema::compare(&SQLITE, &renamed), Schema::Changed(changed));
    }
}
