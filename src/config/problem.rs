//! What is wrong with a configuration, told so that it can be fixed in one go.

use std::fmt;

use thiserror::Error;

/// One thing that is wrong: which variable, what about it, and perhaps a value that would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    name: String,
    what: String,
    example: Option<String>,
}

/// Everything that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct ConfigError {
    problems: Vec<Problem>,
}

impl Problem {
    /// `what` follows the name in a sentence: "is not a port".
    pub(super) fn new(name: &str, what: impl Into<String>, example: Option<&str>) -> Self {
        Self { name: name.to_owned(), what: what.into(), example: example.map(str::to_owned) }
    }

    /// The variable that is wrong.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl ConfigError {
    pub(super) fn new(problems: Vec<Problem>) -> Self {
        Self { problems }
    }

    /// Every problem: first the names that are not read, then the variables in the order in which
    /// they are documented.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.what)?;
        match &self.example {
            Some(example) => write!(f, " (for example: {example})"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.problems.len();
        let noun = if count == 1 { "problem" } else { "problems" };
        write!(f, "{count} {noun} with the configuration:")?;
        for problem in &self.problems {
            write!(f, "\n  - {problem}")?;
        }
        write!(f, "\nEvery variable is described in docs/configuration.md.")
    }
}
