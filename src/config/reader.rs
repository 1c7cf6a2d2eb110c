//! The ways of reading one variable, and what was wrong with all that were read.
//!
//! An empty variable counts as not set. A secret may stand in a file that `NAME_FILE` names.

use std::io;
use std::path::Path;

use private_files::small;
use secrecy::SecretString;

use super::environment::Environment;
use super::misspelt::{Likeness, STORE_PREFIXES, is_service_link, meant_by};
use super::problem::{ConfigError, Problem};
use super::shown::{path_shown, shown};
use super::variables::{Kind, VARIABLES, kind_of};
use super::warning::Warning;
use super::wrapped::{readable, trimmed};

/// Reads variables one by one and remembers what is wrong with them.
pub(super) struct Reader<'a> {
    environment: &'a Environment,
    problems: Vec<Problem>,
    /// Names that are not read, each with the variable that was meant.
    misspelt: Vec<(&'a str, String)>,
    /// The same, where it is not sure enough to end the start.
    perhaps_misspelt: Vec<(&'a str, String)>,
    warnings: Vec<Warning>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(environment: &'a Environment) -> Self {
        let mut reader = Self {
            environment,
            problems: Vec::new(),
            misspelt: Vec::new(),
            perhaps_misspelt: Vec::new(),
            warnings: Vec::new(),
        };
        for name in environment.not_unicode() {
            if kind_of(name).is_some() {
                reader.problem(name, "is not valid UTF-8", None);
            } else {
                reader.note_misspelt(name, "");
            }
        }
        for (name, value) in environment.variables() {
            reader.note_unreadable(name, value);
        }
        for name in environment.empty() {
            reader.note_misspelt(name, "");
        }
        reader
    }

    fn note_unreadable(&mut self, name: &'a str, value: &str) {
        let Some(kind) = kind_of(name) else {
            return self.note_misspelt(name, value);
        };
        if is_service_link(name, value) {
            self.warn(Warning::Careful(format!(
                "{name} is not read: it holds what Kubernetes says of a Service; set \
                 `enableServiceLinks: false` in the pod, or give {name} a value there"
            )));
        } else if let Err(what) = readable(kind, value) {
            self.problem(name, what, None);
        }
    }

    /// Notes a name that is not read, though it looks like one of ours.
    fn note_misspelt(&mut self, name: &'a str, value: &str) {
        if kind_of(name).is_some() {
            return;
        }
        match meant_by(name, value) {
            Some(guess) if self.is_given(&guess.meant, guess.likeness) => {}
            Some(guess) if guess.likeness != Likeness::Possible => {
                self.misspelt.push((name, guess.meant));
            }
            Some(guess) if !self.environment.is_empty(name) => {
                self.perhaps_misspelt.push((name, guess.meant));
            }
            Some(_) | None => {}
        }
    }

    /// Whether what a variable says is given already, by itself or by another one. Then the name
    /// that is not read belongs to another program, unless it is a plain slip of the pen.
    fn is_given(&self, meant: &str, likeness: Likeness) -> bool {
        let is_set = |name: &str| {
            let names = [name, &format!("{name}_FILE")];
            let mut ours = names.into_iter().filter(|name| kind_of(name).is_some());
            ours.any(|name| self.environment.get(name).is_some())
        };
        let meant = meant.strip_suffix("_FILE").unwrap_or(meant);
        let has_host = is_set("POSTGRES_ADDRESS") || is_set("POSTGRES_HOST");
        let sign_in = ["POSTGRES_USERNAME", "POSTGRES_PASSWORD", "POSTGRES_DATABASE"];
        let is_slip = likeness == Likeness::Misspelt;
        is_set(meant)
            || match meant {
                "DATABASE_URL" => !is_slip && has_host && sign_in.iter().all(|name| is_set(name)),
                "POSTGRES_ADDRESS" | "POSTGRES_HOST" => has_host || is_set("DATABASE_URL"),
                "POSTGRES_PORT" => is_set("DATABASE_URL"),
                "REDIS_URL" => !is_slip && is_set("REDIS_HOST"),
                "REDIS_HOST" | "REDIS_PORT" | "REDIS_PASSWORD" => is_set("REDIS_URL"),
                meant => sign_in.contains(&meant) && is_set("DATABASE_URL"),
            }
    }

    /// The variables that say that somebody wants servers, whether they are enough or not.
    pub(super) fn asking_for_servers(&self) -> Vec<&'a str> {
        let set = self.environment.variables().map(|(name, _)| name);
        let set = set.chain(self.environment.not_unicode()).filter(|name| is_of_stores(name));
        let misspelt = self.misspelt.iter().map(|(name, _)| *name);
        set.chain(misspelt.filter(|name| !is_of_stores(name))).collect()
    }

    /// The variables of the stores that are set to nothing.
    pub(super) fn empty_of_stores(&self) -> Vec<&'a str> {
        self.environment.empty().filter(|name| is_of_stores(name)).collect()
    }

    /// Whether a variable, or the one that names its file, is set to anything.
    pub(super) fn is_set(&self, name: &str) -> bool {
        let file_name = format!("{name}_FILE");
        let Self { environment, .. } = self;
        let is_set = |name: &str| {
            environment.get(name).is_some() || environment.not_unicode().any(|it| it == name)
        };
        is_set(name) || is_set(&file_name)
    }

    /// A variable without what surrounds it; one that can't be read was noted already, and so was
    /// a service link.
    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        let value = self.environment.get(name)?;
        if is_service_link(name, value) {
            return None;
        }
        readable(kind_of(name).unwrap_or(Kind::Plain), value).ok()
    }

    /// A variable through `parse`, whose error follows the value in a sentence.
    pub(super) fn parsed<T>(
        &mut self,
        name: &str,
        example: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.text(name)?;
        match parse(value) {
            Ok(parsed) => Some(parsed),
            Err(what) => {
                self.problem(name, format!("{} {what}", shown(value)), Some(example));
                None
            }
        }
    }

    /// A secret, which may also stand in a file; its value is never part of a problem.
    pub(super) fn secret(&mut self, name: &str) -> Option<SecretString> {
        self.text_or_file(name).map(SecretString::from)
    }

    /// A variable that may also stand in a file; its value is never part of a problem.
    pub(super) fn text_or_file(&mut self, name: &str) -> Option<String> {
        let file_name = format!("{name}_FILE");
        let value = self.text(name);
        let is_of_file = self.text(&file_name).is_some();
        if value.is_some() && is_of_file {
            self.problem(
                &file_name,
                format!("is set together with {name}: keep only one of them"),
                None,
            );
            return None;
        }
        let value = if is_of_file { self.file(name, &file_name) } else { value.map(str::to_owned) };
        if let Some(value) = &value
            && kind_of(name) == Some(Kind::Secret)
            && let Some(warning) = Warning::of_wrapped_secret(&self.name_in_use(name), value)
        {
            self.warn(warning);
        }
        value
    }

    /// What the file holds that `file_name` names, trimmed.
    fn file(&mut self, name: &str, file_name: &str) -> Option<String> {
        let path = self.text(file_name)?;
        let example = format!("/run/secrets/{}", name.to_lowercase());
        let content = small::read_text(Path::new(path)).map_err(|error| why_unread(&error));
        let content = content.and_then(|content| {
            let content = trimmed(&content);
            if content.is_empty() {
                return Err("names a file that is empty".to_owned());
            }
            let kind = kind_of(name).unwrap_or(Kind::Plain);
            let content = readable(kind, content).map(str::to_owned);
            content.map_err(|what| format!("names a file whose content {what}"))
        });
        content
            .map_err(|what| {
                self.problem(file_name, format!("{} {what}", path_shown(path)), Some(&example));
            })
            .ok()
    }

    /// How a variable is set: by its own name, or by the one of its file.
    pub(super) fn name_in_use(&self, name: &str) -> String {
        let file_name = format!("{name}_FILE");
        if self.text(&file_name).is_some() { file_name } else { name.to_owned() }
    }

    /// Whether something was noted about a variable, or about a name that stands for it.
    pub(super) fn has_problem_with(&self, name: &str) -> bool {
        let file_name = format!("{name}_FILE");
        let meant = self.misspelt.iter().map(|(_, meant)| meant.as_str());
        let names = self.problems.iter().map(Problem::name).chain(meant);
        names.into_iter().any(|noted| [name, &file_name].contains(&noted))
    }

    /// Notes that a variable is missing, unless something else is wrong with it already.
    pub(super) fn missing(&mut self, name: &str, why: &str, example: &str) {
        if !self.has_problem_with(name) {
            let is_empty = self.environment.is_empty(name);
            let what = if is_empty { "is empty" } else { "is missing" };
            self.problem(name, format!("{what}: it {why}"), Some(example));
        }
    }

    /// Notes that two variables say the same, unless something else is wrong with either.
    pub(super) fn clash(&mut self, name: &str, other: &str, example: &str) {
        if !self.has_problem_with(name) && !self.has_problem_with(other) {
            self.problem(name, format!("is the same as {other}"), Some(example));
        }
    }

    /// Notes a problem; `what` follows the name in a sentence.
    pub(super) fn problem(&mut self, name: &str, what: impl Into<String>, example: Option<&str>) {
        self.problems.push(Problem::new(name, what, example));
    }

    pub(super) fn warn(&mut self, warning: Warning) {
        self.warnings.push(warning);
    }

    /// Ends the reading: the warnings, or all the problems. Names that are not read come first,
    /// since they are likely the cause of the others.
    pub(super) fn finish(mut self) -> Result<Vec<Warning>, ConfigError> {
        let not_read = |(name, meant): (&str, String)| {
            Problem::new(name, format!("is not read: did you mean {meant}?"), None)
        };
        if self.problems.is_empty() && self.misspelt.is_empty() {
            let perhaps = self.perhaps_misspelt.into_iter().map(not_read);
            let perhaps = perhaps.map(|problem| Warning::Careful(problem.to_string()));
            return Ok(perhaps.chain(self.warnings).collect());
        }
        self.problems.sort_by_key(|problem| {
            VARIABLES.iter().position(|variable| variable.is_named(problem.name()))
        });
        let names = self.misspelt.into_iter().chain(self.perhaps_misspelt).map(not_read);
        Err(ConfigError::new(names.chain(self.problems).collect()))
    }
}

fn is_of_stores(name: &str) -> bool {
    STORE_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Says of a file that can't be read what the system says, which holds nothing of the file.
pub(super) fn why_unread(error: &io::Error) -> String {
    format!("can't be read: {error}")
}
