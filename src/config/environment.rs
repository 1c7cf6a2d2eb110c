//! The variables as they stand, and the ways of reading one of them.
//!
//! An empty variable counts as not set; one of nothing but blanks is a mistake. A secret may stand
//! in a file that `NAME_FILE` names.

use std::collections::BTreeMap;
use std::path::Path;

use secrecy::SecretString;

use super::Warning;
use super::misspelt::{is_service_link, meant_by};
use super::problem::{ConfigError, Problem};
use crate::small_file;

/// A copy of the environment's variables, without the empty ones.
///
/// Its `Debug` is left out on purpose: it holds secrets.
#[derive(Clone)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    not_unicode: Vec<String>,
}

/// Reads variables one by one and remembers what is wrong with them.
pub(super) struct Reader<'a> {
    environment: &'a Environment,
    problems: Vec<Problem>,
    warnings: Vec<Warning>,
}

impl Environment {
    /// Takes the variables of this process.
    #[must_use]
    pub fn of_process() -> Self {
        let mut not_unicode = Vec::new();
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok()?;
            if let Ok(value) = value.into_string() {
                return Some((name, value));
            }
            not_unicode.push(name);
            None
        });
        let variables = variables.collect::<Vec<_>>();
        Self { not_unicode, ..Self::of(variables) }
    }

    /// Takes these variables: for tests.
    #[must_use]
    pub fn of<N: Into<String>, V: Into<String>>(
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into()));
        let variables = variables.filter(|(_, value): &(_, String)| !value.is_empty()).collect();
        Self { variables, not_unicode: Vec::new() }
    }

    /// One variable; `None` where it is not set or empty.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }
}

impl<'a> Reader<'a> {
    pub(super) fn new(environment: &'a Environment) -> Self {
        let mut reader = Self { environment, problems: Vec::new(), warnings: Vec::new() };
        for name in &environment.not_unicode {
            if is_ours(name) {
                reader.problem(name, "is not valid UTF-8", "plain text");
            }
        }
        for (name, value) in &environment.variables {
            if is_ours(name) && is_blank(value) {
                reader.problem(name, "is blank: give it a value, or leave it out", "plain text");
            }
        }
        reader.warn_of_what_is_not_read();
        reader
    }

    /// Warns of what looks like a setting and counts as none.
    fn warn_of_what_is_not_read(&mut self) {
        for (name, value) in &self.environment.variables {
            if is_ours(name) && is_service_link(name, value) {
                self.warn(Warning::Careful(format!(
                    "{name} is not read: it holds what Kubernetes says of a Service; set \
                     `enableServiceLinks: false` in the pod, or give {name} a value there"
                )));
            } else if !is_ours(name)
                && let Some(meant) = meant_by(name)
                && [meant.clone(), format!("{meant}_FILE")].iter().all(|it| self.text(it).is_none())
            {
                self.warn(Warning::Careful(format!("{name} is not read: did you mean {meant}?")));
            }
        }
    }

    /// The variables whose name begins with one of these, whatever they hold.
    pub(super) fn names_beginning_with(&self, prefixes: &[&str]) -> Vec<&'a str> {
        let is_meant = |name: &&str| prefixes.iter().any(|prefix| name.starts_with(prefix));
        let Environment { variables, not_unicode } = self.environment;
        variables.keys().chain(not_unicode).map(String::as_str).filter(is_meant).collect()
    }

    /// A variable as it stands; a blank one was told of already, and so was a service link.
    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        let value = self.environment.get(name)?;
        (!is_blank(value) && !is_service_link(name, value)).then_some(value)
    }

    /// A variable through `parse`, whose error follows the value in a sentence.
    pub(super) fn parsed<T>(
        &mut self,
        name: &str,
        example: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.text(name)?.trim();
        match parse(value) {
            Ok(parsed) => Some(parsed),
            Err(what) => {
                let value = shown(value, !may_hold_a_password(value));
                self.problem(name, format!("{value}: {what}"), example);
                None
            }
        }
    }

    /// A variable that may also stand in a file; its value is never part of a problem.
    pub(super) fn secret(&mut self, name: &str) -> Option<SecretString> {
        self.secret_text(name).map(SecretString::from)
    }

    /// The same for what is no secret but may stand in a file too.
    pub(super) fn secret_text(&mut self, name: &str) -> Option<String> {
        let file_name = format!("{name}_FILE");
        let value = self.text(name);
        let Some(path) = self.text(&file_name) else {
            return value.map(str::to_owned);
        };
        if value.is_some() {
            self.problem(
                &file_name,
                format!("is set together with {name}; keep one"),
                "one of them",
            );
            return None;
        }
        let example = format!("/run/secrets/{}", name.to_lowercase());
        // Somebody may have put the secret itself where its path belongs.
        let shown = shown(path, ["/", "./", "../"].iter().any(|root| path.starts_with(root)));
        match small_file::read_text(Path::new(path)) {
            Ok(content) if content.trim().is_empty() => {
                self.problem(&file_name, format!("{shown}: the file is empty"), &example);
                None
            }
            Ok(content) => Some(content.trim().to_owned()),
            Err(error) => {
                self.problem(&file_name, format!("{shown} can't be read: {error}"), &example);
                None
            }
        }
    }

    /// How a variable is set: by its own name, or by the one of its file.
    pub(super) fn name_in_use(&self, name: &str) -> String {
        let file_name = format!("{name}_FILE");
        if self.text(&file_name).is_some() { file_name } else { name.to_owned() }
    }

    pub(super) fn has_problem_with(&self, name: &str) -> bool {
        let file_name = format!("{name}_FILE");
        self.problems.iter().any(|problem| [name, &file_name].contains(&problem.name()))
    }

    /// Notes that a variable is missing, unless something else is wrong with it already.
    pub(super) fn missing(&mut self, name: &str, why: &str, example: &str) {
        if !self.has_problem_with(name) {
            self.problem(name, format!("is missing: it {why}"), example);
        }
    }

    /// Notes that two variables say the same, unless something else is wrong with either.
    pub(super) fn clash(&mut self, name: &str, other: &str, example: &str) {
        if !self.has_problem_with(name) && !self.has_problem_with(other) {
            self.problem(name, format!("is the same as {other}"), example);
        }
    }

    pub(super) fn problem(&mut self, name: &str, what: impl Into<String>, example: &str) {
        self.problems.push(Problem::new(name, what, example));
    }

    pub(super) fn warn(&mut self, warning: Warning) {
        self.warnings.push(warning);
    }

    /// Ends the reading: the warnings, or all the problems.
    pub(super) fn finish(mut self) -> Result<Vec<Warning>, ConfigError> {
        if self.problems.is_empty() {
            return Ok(self.warnings);
        }
        let place = |problem: &Problem| {
            super::VARIABLES.iter().position(|variable| variable.is_named(problem.name()))
        };
        self.problems.sort_by_key(place);
        Err(ConfigError::new(self.problems))
    }
}

fn is_ours(name: &str) -> bool {
    super::VARIABLES.iter().any(|variable| variable.is_named(name))
}

fn is_blank(value: &str) -> bool {
    value.trim().is_empty()
}

/// Whether a value looks like `user:password@host`, `user:password:host` or the like.
fn may_hold_a_password(value: &str) -> bool {
    value.contains('@') || value.replacen("://", "", 1).matches(':').count() > 1
}

fn shown(value: &str, may_be_shown: bool) -> String {
    if may_be_shown { format!("`{value}`") } else { "(not shown)".to_owned() }
}
