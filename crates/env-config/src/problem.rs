//! What is wrong with variables, reported so that all of it can be fixed at once.

use std::fmt;

use thiserror::Error;

/// One thing that is wrong: which variable, what about it, and a valid value if there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    name: String,
    what: String,
    example: Option<String>,
}

/// Everything that is wrong; never empty.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct Problems(Vec<Problem>);

/// Something that an operator should know, though it is no error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// Degraded or insecure.
    Careful(String),
    /// To be fixed at once.
    Alarming(String),
}

impl Problem {
    /// `what` follows the name in a sentence: "is not a port".
    pub(crate) fn new(name: &str, what: impl Into<String>, example: Option<&str>) -> Self {
        Self { name: name.to_owned(), what: what.into(), example: example.map(str::to_owned) }
    }

    /// The variable that is wrong.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Problems {
    pub(crate) fn new(problems: Vec<Problem>) -> Self {
        Self(problems)
    }

    /// Every problem: first the names that are not read, then the variables in the order in which
    /// they are declared.
    #[must_use]
    pub fn as_slice(&self) -> &[Problem] {
        &self.0
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

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        let noun = if count == 1 { "problem" } else { "problems" };
        write!(f, "{count} {noun} with the configuration:")?;
        self.0.iter().try_for_each(|problem| write!(f, "\n  - {problem}"))
    }
}
