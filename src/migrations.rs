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
        ]
    };
}

/// For PostgreSQL.
pub const POSTGRES: [Migration; 4] = migrations!("postgres");

/// For SQLite.
pub const SQLITE: [Migration; 4] = migrations!("sqlite");
