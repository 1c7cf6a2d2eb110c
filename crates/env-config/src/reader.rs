//! Reads variables one by one, and collects their problems.
//!
//! An empty variable counts as not set. A secret can be read from a file that `NAME_FILE` names.

use std::io;
use std::path::Path;

use super::environment::Environment;
use super::problem::{Problem, Problems, Warning};
use super::shown::{path_shown, shown};
use super::variable::{Declaration, Kind, Variable, declaration, is_service_link, kind_of};
use super::wrapped::{readable, trimmed, wrapped_secret};

/// Reads variables and collects their problems.
#[derive(Debug)]
pub struct Reader<'a> {
    environment: &'a Environment,
    variables: &'static [Declaration],
    /// Reads the file that a `NAME_FILE` variable names; errors must not show its content.
    read_file: fn(&Path) -> io::Result<String>,
    problems: Vec<Problem>,
    /// Unknown names, each with the variable that was meant.
    misspelt: Vec<(&'a str, String)>,
    /// Unknown names that may belong to another program, which is only a warning.
    perhaps_misspelt: Vec<(&'a str, String)>,
    warnings: Vec<Warning>,
}

/// How certain it is that an unknown name was meant for a declared variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certainty {
    /// It is a problem.
    Certain,
    /// It is a warning.
    Possible,
}

/// A value with the name of its variable. It has no `Debug`: it may be secret.
#[expect(missing_debug_implementations, reason = "it may be a password")]
pub struct Sourced<T> {
    name: String,
    value: T,
}

impl<T> Sourced<T> {
    /// Returns `None` if the variable has no value.
    pub fn new(name: impl Into<String>, value: Option<T>) -> Option<Self> {
        value.map(|value| Self { name: name.into(), value })
    }
}

impl<'a> Reader<'a> {
    /// Checks every declared variable for quotes, control characters and the like.
    #[must_use]
    pub fn new(
        environment: &'a Environment,
        variables: &'static [Declaration],
        read_file: fn(&Path) -> io::Result<String>,
    ) -> Self {
        let mut reader = Self {
            environment,
            variables,
            read_file,
            problems: Vec::new(),
            misspelt: Vec::new(),
            perhaps_misspelt: Vec::new(),
            warnings: Vec::new(),
        };
        for name in environment.not_unicode().filter(|name| kind_of(variables, name).is_some()) {
            reader.problems.push(Problem::new(name, "is not valid UTF-8", None));
        }
        for (name, value) in environment.variables() {
            if let Some(kind) = kind_of(variables, name) {
                reader.check(name, kind, value);
            }
        }
        reader
    }

    fn check(&mut self, name: &str, kind: Kind, value: &str) {
        if is_service_link(name, value) {
            self.warn(Warning::Careful(format!(
                "{name} is not read: it holds what Kubernetes says of a Service; set \
                 `enableServiceLinks: false` in the pod, or give {name} a value there"
            )));
        } else if let Err(what) = readable(kind, value) {
            self.problem(name, what, None);
        }
    }

    fn kind_of(&self, name: &str) -> Option<Kind> {
        kind_of(self.variables, name)
    }

    /// Returns the environment that is read.
    #[must_use]
    pub fn environment(&self) -> &'a Environment {
        self.environment
    }

    /// Whether a variable, or the one that names its file, has a value.
    #[must_use]
    pub fn is_set<T>(&self, variable: &Variable<T>) -> bool {
        let set = self.environment.variables().map(|(name, _)| name);
        set.chain(self.environment.not_unicode()).any(|name| variable.declaration.is_named(name))
    }

    /// Returns the value of a variable or its default; `None` also after a problem.
    pub fn value<T>(&mut self, variable: &Variable<T>) -> Option<T> {
        let Variable { declaration, parse } = variable;
        let name = self.name_in_use(declaration.name);
        let Some(value) = self.text_or_file(declaration) else {
            let default = declaration.default.filter(|_| !self.has_problem_with(declaration.name));
            return self.parsed(declaration.name, default?, *parse, declaration, shown);
        };
        let shown = if declaration.has_file_variant { |_: &str| String::new() } else { shown };
        self.parsed(&name, &value, *parse, declaration, shown)
    }

    /// Returns the entries of a list: separated by commas in the variable, one a line in its file.
    ///
    /// The variable's parser reads one entry. A problem names an entry by its number, and never
    /// shows it. The list is empty if the variable is unset, or after a problem with the whole.
    pub fn list<T>(&mut self, variable: &Variable<T>) -> Vec<T> {
        let Variable { declaration, parse } = variable;
        let Some(text) = self.text_in_use(declaration) else {
            return Vec::new();
        };
        let name = self.name_in_use(declaration.name);
        let is_file = name != declaration.name;
        let mut list = Vec::new();
        for (number, entry) in (1..).zip(text.split(if is_file { '\n' } else { ',' })) {
            let entry = if is_file { trimmed(entry) } else { entry };
            match readable(declaration.kind, entry).and_then(parse) {
                Ok(parsed) => list.push(parsed),
                Err(what) => self.problem(&name, format!("entry {number} {what}"), None),
            }
            if declaration.kind == Kind::Secret {
                let warning = wrapped_secret(&format!("{name} entry {number}"), entry);
                self.warnings.extend(warning);
            }
        }
        list
    }

    fn parsed<T>(
        &mut self,
        name: &str,
        value: &str,
        parse: fn(&str) -> Result<T, String>,
        declaration: &Declaration,
        shown: fn(&str) -> String,
    ) -> Option<T> {
        let parsed = parse(value).map_err(|what| {
            let what = format!("{} {what}", shown(value));
            self.problem(name, what.trim_start(), declaration.example());
        });
        parsed.ok()
    }

    /// Returns the text of a variable.
    ///
    /// `None` also if it can't be read, which [`Self::new`] reports, or describes a Service of
    /// Kubernetes.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&'a str> {
        let value = self.environment.get(name)?;
        if is_service_link(name, value) {
            return None;
        }
        readable(self.kind_of(name).unwrap_or(Kind::Plain), value).ok()
    }

    /// Like [`Self::text_in_use`]; also warns about what surrounds a secret.
    fn text_or_file(&mut self, declaration: &Declaration) -> Option<String> {
        let value = self.text_in_use(declaration)?;
        if declaration.kind == Kind::Secret {
            let warning = wrapped_secret(&self.name_in_use(declaration.name), &value);
            self.warnings.extend(warning);
        }
        Some(value)
    }

    /// Returns the text of a variable, or of the file that it names.
    fn text_in_use(&mut self, declaration: &Declaration) -> Option<String> {
        let Declaration { name, has_file_variant, may_be_lower_case, .. } = *declaration;
        let lower_case = || self.text(&name.to_lowercase()).filter(|_| may_be_lower_case);
        let file_name = format!("{name}_FILE");
        let path = self.text(&file_name).filter(|_| has_file_variant);
        match (self.text(name), path) {
            (Some(_), Some(_)) => {
                let what = format!("is set together with {name}: keep only one of them");
                self.problem(&file_name, what, None);
                None
            }
            (None, Some(path)) => self.content(declaration, &file_name, path),
            (value, None) => value.or_else(lower_case).map(str::to_owned),
        }
    }

    /// Returns the trimmed content of the file that `file_name` names.
    fn content(
        &mut self,
        declaration: &Declaration,
        file_name: &str,
        path: &str,
    ) -> Option<String> {
        let content = (self.read_file)(Path::new(path)).map_err(|error| why_unread(&error));
        let content = content.and_then(|content| {
            let content = trimmed(&content);
            if content.is_empty() {
                return Err("names a file that is empty".to_owned());
            }
            let content = readable(declaration.kind, content).map(str::to_owned);
            content.map_err(|what| format!("names a file whose content {what}"))
        });
        let content = content.map_err(|what| {
            let example = format!("/run/secrets/{}", declaration.name.to_lowercase());
            self.problem(file_name, format!("{} {what}", path_shown(path)), Some(&example));
        });
        content.ok()
    }

    /// Returns the name that is set: the variable's, its file's, or in lower case.
    #[must_use]
    pub fn name_in_use(&self, name: &str) -> String {
        let declaration = declaration(self.variables, name);
        let (file_name, lower_case) = (format!("{name}_FILE"), name.to_lowercase());
        if self.text(&file_name).is_some() {
            file_name
        } else if declaration.is_some_and(|it| it.may_be_lower_case)
            && self.text(name).is_none()
            && self.text(&lower_case).is_some()
        {
            lower_case
        } else {
            name.to_owned()
        }
    }

    /// Returns the value that all sources agree on.
    ///
    /// If two differ, a problem names both and shows neither.
    pub fn agreed<T: PartialEq>(
        &mut self,
        what: &str,
        sources: impl IntoIterator<Item = Option<Sourced<T>>>,
    ) -> Option<T> {
        let mut sources = sources.into_iter().flatten();
        let first = sources.next()?;
        for other in sources.filter(|other| other.value != first.value) {
            let problem =
                format!("gives another {what} than {}: make them agree, or keep one", first.name);
            self.problem(&other.name, problem, None);
        }
        Some(first.value)
    }

    /// Whether a variable, or a name that was meant for it, has a problem.
    #[must_use]
    pub fn has_problem_with(&self, name: &str) -> bool {
        let file_name = format!("{name}_FILE");
        let meant = self.misspelt.iter().map(|(_, meant)| meant.as_str());
        let mut names = self.problems.iter().map(Problem::name).chain(meant);
        names.any(|noted| [name, &file_name].contains(&noted))
    }

    /// Adds a problem; `what` follows the name in a sentence.
    pub fn problem(&mut self, name: &str, what: impl Into<String>, example: Option<&str>) {
        self.problems.push(Problem::new(name, what, example));
    }

    /// Adds a problem with a variable's value; `what` follows its name in a sentence.
    pub fn invalid<T>(&mut self, variable: &Variable<T>, what: impl Into<String>) {
        let name = self.name_in_use(variable.declaration.name);
        self.problem(&name, what, variable.declaration.example());
    }

    /// Adds a problem for a missing variable, unless it already has one.
    pub fn missing<T>(&mut self, variable: &Variable<T>, why: &str) {
        let Declaration { name, .. } = variable.declaration;
        if !self.has_problem_with(name) {
            let what = if self.environment.is_empty(name) { "is empty" } else { "is missing" };
            self.problem(name, format!("{what}: it {why}"), variable.declaration.example());
        }
    }

    /// Adds an unknown name, and the variable that was meant.
    pub fn not_read(&mut self, name: &'a str, meant: String, certainty: Certainty) {
        match certainty {
            Certainty::Certain => self.misspelt.push((name, meant)),
            Certainty::Possible => self.perhaps_misspelt.push((name, meant)),
        }
    }

    /// Returns the unknown names that were certainly meant for a declared variable.
    pub fn misspelt(&self) -> impl Iterator<Item = &'a str> {
        self.misspelt.iter().map(|(name, _)| *name)
    }

    /// Adds a warning.
    pub fn warn(&mut self, warning: Warning) {
        self.warnings.push(warning);
    }

    /// Finishes reading, and returns what was read with the warnings.
    ///
    /// # Errors
    ///
    /// All problems. Unknown names come first, since they probably cause others.
    pub fn finish<T>(mut self, read: Option<T>) -> Result<(T, Vec<Warning>), Problems> {
        let not_read = |(name, meant): (&str, String)| {
            Problem::new(name, format!("is not read: did you mean {meant}?"), None)
        };
        if let Some(read) = read
            && self.problems.is_empty()
            && self.misspelt.is_empty()
        {
            let perhaps = self.perhaps_misspelt.into_iter().map(not_read);
            let perhaps = perhaps.map(|problem| Warning::Careful(problem.to_string()));
            return Ok((read, perhaps.chain(self.warnings).collect()));
        }
        self.problems.sort_by_key(|problem| {
            self.variables.iter().position(|variable| variable.is_named(problem.name()))
        });
        let names = self.misspelt.into_iter().chain(self.perhaps_misspelt).map(not_read);
        Err(Problems::new(names.chain(self.problems).collect()))
    }
}

/// Returns the system's reason why a file can't be read.
fn why_unread(error: &io::Error) -> String {
    format!("can't be read: {error}")
}
