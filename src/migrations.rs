//! The numbered files of `migrations/`, compiled in: the same numbers and names for both databases.
//!
//! `build.rs` lists them. A released file is never edited.

pub use sqlite_file::Migration;

/// How the schema of a database compares with the migrations of this version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Schema {
    /// Exactly these migrations were applied.
    UpToDate,
    /// These migrations are missing.
    Behind(Vec<String>),
    /// These migrations of a newer version were applied too.
    Ahead(Vec<String>),
    /// The schema was changed by other means; says what differs.
    Changed(String),
}

impl Schema {
    /// Compares the known migrations with the numbers and names of those applied.
    #[must_use]
    pub fn compare(known: &[Migration], applied: &[(i32, String)]) -> Self {
        let is_applied =
            |known: &&Migration| applied.iter().any(|(number, _)| *number == known.number);
        let missing: Vec<_> =
            known.iter().filter(|known| !is_applied(known)).map(ToString::to_string).collect();
        if !missing.is_empty() {
            return Self::Behind(missing);
        }
        let mut newer = Vec::new();
        for (number, name) in applied {
            match known.iter().find(|known| known.number == *number) {
                None => newer.push(format!("{number:04}_{name}")),
                Some(known) if known.name == name => {}
                Some(known) => {
                    return Self::Changed(format!("migration {known} is called `{name}` there"));
                }
            }
        }
        if newer.is_empty() { Self::UpToDate } else { Self::Ahead(newer) }
    }
}

// `POSTGRES` and `SQLITE`, which `build.rs` makes from the files.
include!(concat!(env!("OUT_DIR"), "/migrations.rs"));

#[cfg(test)]
mod tests {
    use super::{SQLITE, Schema};

    fn applied() -> Vec<(i32, String)> {
        SQLITE.iter().map(|migration| (migration.number, migration.name.to_owned())).collect()
    }

    #[test]
    fn a_schema_is_judged_by_its_migrations() {
        assert_eq!(Schema::compare(SQLITE, &applied()), Schema::UpToDate);
        let [earlier @ .., last] = SQLITE else { panic!("no migrations") };
        let behind = Schema::Behind(vec![last.to_string()]);
        assert_eq!(Schema::compare(SQLITE, &applied()[..earlier.len()]), behind);
        let newer = [applied(), vec![(99, "sleeves".to_owned())]].concat();
        let ahead = Schema::Ahead(vec!["0099_sleeves".to_owned()]);
        assert_eq!(Schema::compare(SQLITE, &newer), ahead);
        let mut renamed = applied();
        renamed[1].1 = "owners".to_owned();
        let changed = "migration 0002_admins is called `owners` there".to_owned();
        assert_eq!(Schema::compare(SQLITE, &renamed), Schema::Changed(changed));
    }
}
