//! Problems with variables, reported together so that all can be fixed at once.

use std::fmt;

use thiserror::Error;

/// One problem: the variable, what is wrong, and a valid value if there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    name: String,
    what: String,
    example: Option<String>,
}

/// All problems; never empty.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct Problems(Vec<Problem>);

/// Something that an operator should know although it is not an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// Degraded or insecure.
    Careful(String),
    /// To be fixed immediately.
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

    /// Every problem: first unknown names, then variables in the order of declaration.
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
