//! A copy of the environment's variables.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A copy of the environment's variables. `Debug` hides them: some are secret.
#[derive(Clone)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    empty: BTreeSet<String>,
    not_unicode: BTreeSet<String>,
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment").finish_non_exhaustive()
    }
}

impl Environment {
    /// Copies the variables of this process.
    #[must_use]
    pub fn of_process() -> Self {
        let mut not_unicode = BTreeSet::new();
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok()?;
            if let Ok(value) = value.into_string() {
                return Some((name, value));
            }
            not_unicode.insert(name);
            None
        });
        let variables = variables.collect::<Vec<_>>();
        Self { not_unicode, ..Self::of(variables) }
    }

    /// Creates an environment with these variables, for tests.
    #[must_use]
    pub fn of<N: Into<String>, V: Into<String>>(
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into()));
        let (empty, variables): (BTreeMap<_, _>, _) =
            variables.partition(|(_, value): &(String, String)| value.is_empty());
        Self { variables, empty: empty.into_keys().collect(), not_unicode: BTreeSet::new() }
    }

    /// Returns the value of a variable; `None` if it is not set or empty.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    /// Returns the variables that are neither empty nor invalid UTF-8.
    pub fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Returns the names of variables that are set but empty.
    pub fn empty(&self) -> impl Iterator<Item = &str> {
        self.empty.iter().map(String::as_str)
    }

    /// Returns the names of variables whose value is not UTF-8.
    pub fn not_unicode(&self) -> impl Iterator<Item = &str> {
        self.not_unicode.iter().map(String::as_str)
    }

    /// Whether a variable is set but empty.
    #[must_use]
    pub fn is_empty(&self, name: &str) -> bool {
        self.empty.contains(name)
    }
}
