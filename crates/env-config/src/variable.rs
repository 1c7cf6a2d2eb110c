//! Variable declarations. Tests also check the documentation against them.

/// How the value of a variable is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Without surrounding white space; surrounding quotes are an error.
    Plain,
    /// Like `Plain`, but rejects values that only a shell would expand (a leading `~` or `$`).
    Path,
    /// Unchanged, since any byte may belong to it; surrounding characters cause a warning.
    Secret,
}

/// A variable's declaration without its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Declaration {
    /// `API_PORT`
    pub name: &'static str,
    /// The value to use if it is unset; `None` if there is no default.
    pub default: Option<&'static str>,
    /// Whether `NAME_FILE` may name a file with the value. Error messages then never show the
    /// value, whether it comes from the file or from `NAME` itself.
    pub has_file_variant: bool,
    /// Whether the name is also read in lower case, as in other programs.
    pub(crate) may_be_lower_case: bool,
    /// An example value for error messages.
    pub(crate) example: Option<&'static str>,
    pub(crate) kind: Kind,
}

/// A variable whose value has the type `T`.
#[derive(Debug, Clone, Copy)]
pub struct Variable<T: 'static> {
    /// Its declaration without the type.
    pub declaration: Declaration,
    pub(crate) parse: fn(&str) -> Result<T, String>,
}

/// A group of related variables.
#[derive(Debug, Clone, Copy)]
pub struct Group {
    /// The heading in the documentation.
    pub title: &'static str,
    /// The variables, in the order of the documentation.
    pub variables: &'static [Declaration],
}

impl Declaration {
    /// Whether `name` is this variable, or the one that names its file.
    #[must_use]
    pub fn is_named(&self, name: &str) -> bool {
        name == self.name
            || (self.may_be_lower_case && name == self.name.to_lowercase())
            || (self.has_file_variant && name.strip_suffix("_FILE") == Some(self.name))
    }

    /// Returns its upper-case names: `NAME` and, if allowed, `NAME_FILE`.
    pub fn names(&self) -> impl Iterator<Item = String> + use<> {
        let file_name = self.has_file_variant.then(|| format!("{}_FILE", self.name));
        std::iter::once(self.name.to_owned()).chain(file_name)
    }

    /// Returns the example, or else the default.
    pub(crate) fn example(&self) -> Option<&'static str> {
        self.example.or(self.default)
    }
}

impl<T> Variable<T> {
    /// Declares a variable that `parse` reads.
    ///
    /// The error of `parse` follows the value in a sentence: "is not a port".
    #[must_use]
    pub const fn parsed(parse: fn(&str) -> Result<T, String>) -> Self {
        let declaration = Declaration {
            name: "",
            default: None,
            has_file_variant: false,
            may_be_lower_case: false,
            example: None,
            kind: Kind::Plain,
        };
        Self { declaration, parse }
    }

    /// Declares a secret, which can be read from a file.
    #[must_use]
    pub const fn secret(parse: fn(&str) -> Result<T, String>) -> Self {
        let mut secret = Self::parsed(parse).or_file();
        secret.declaration.kind = Kind::Secret;
        secret
    }

    /// Sets the name; [`variables!`](crate::variables) calls it.
    #[must_use]
    pub const fn named(mut self, name: &'static str) -> Self {
        self.declaration.name = name;
        self
    }

    /// Sets the value to use if the variable is unset.
    #[must_use]
    pub const fn default(mut self, default: &'static str) -> Self {
        self.declaration.default = Some(default);
        self
    }

    /// Sets the example for error messages; without one, error messages show the default.
    #[must_use]
    pub const fn example(mut self, example: &'static str) -> Self {
        self.declaration.example = Some(example);
        self
    }

    /// Lets `NAME_FILE` name a file with the value; error messages then never show the value.
    #[must_use]
    pub const fn or_file(mut self) -> Self {
        self.declaration.has_file_variant = true;
        self
    }

    /// Also reads the name in lower case.
    #[must_use]
    pub const fn or_lower_case(mut self) -> Self {
        self.declaration.may_be_lower_case = true;
        self
    }
}

impl Variable<String> {
    /// Declares a string; white space around it is removed.
    #[must_use]
    pub const fn text() -> Self {
        Self::parsed(verbatim)
    }

    /// Declares a secret string. From the environment it is used unchanged; from a file it is
    /// trimmed.
    #[must_use]
    pub const fn secret_text() -> Self {
        Self::secret(verbatim)
    }

    /// Declares the path of a file or folder.
    #[must_use]
    pub const fn path() -> Self {
        let mut path = Self::text();
        path.declaration.kind = Kind::Path;
        path
    }
}

#[expect(clippy::unnecessary_wraps, reason = "it is a parser")]
fn verbatim(value: &str) -> Result<String, String> {
    Ok(value.to_owned())
}

/// Declares variables as constants, and lists them by group.
///
/// ```
/// env_config::variables! {
///     pub(crate) GROUPS, VARIABLES:
///     "Listening" {
///         API_PORT: u16 = Variable::parsed(|value| {
///             value.parse().map_err(|_| "is not a port".to_owned())
///         }).default("8004");
///     }
///     "Secrets" {
///         JWT_SECRET_KEY: String = Variable::secret_text();
///     }
/// }
/// assert_eq!(VARIABLES[0].name, "API_PORT");
/// assert_eq!(GROUPS[1].title, "Secrets");
/// ```
#[macro_export]
macro_rules! variables {
    ($visibility:vis $groups:ident, $variables:ident: $($title:literal {
        $($(#[$attribute:meta])* $name:ident: $type:ty = Variable::$kind:ident($($parse:expr)?)
            $(.$option:ident($($value:expr)?))*;)*
    })*) => {
        $($(
            $(#[$attribute])*
            $visibility const $name: $crate::Variable<$type> =
                $crate::Variable::<$type>::$kind($($parse)?)$(.$option($($value)?))*.named(stringify!($name));
        )*)*

        /// Every group of variables, in the order of the documentation.
        pub const $groups: &[$crate::Group] = &[
            $($crate::Group { title: $title, variables: &[$($name.declaration),*] }),*
        ];

        /// Every variable, in the order of the documentation.
        pub const $variables: &[$crate::Declaration] = &[$($($name.declaration),*),*];
    };
}

/// Returns the declaration whose name, or whose `_FILE` name, is `name`.
#[must_use]
pub fn declaration(variables: &'static [Declaration], name: &str) -> Option<&'static Declaration> {
    variables.iter().find(|variable| variable.is_named(name))
}

/// Returns how a variable's value is read; `None` if it is not declared.
pub(crate) fn kind_of(variables: &'static [Declaration], name: &str) -> Option<Kind> {
    let variable = declaration(variables, name)?;
    let is_path_of_file = variable.has_file_variant && name.ends_with("_FILE");
    Some(if is_path_of_file { Kind::Path } else { variable.kind })
}

/// Whether a value describes a Kubernetes Service.
///
/// Every pod gets such variables for each Service in its namespace, unless it has
/// `enableServiceLinks: false`. For example, a Service called `redis` sets
/// `REDIS_PORT=tcp://10.0.0.7:6379`.
#[must_use]
pub fn is_service_link(name: &str, value: &str) -> bool {
    let is_address = ["tcp://", "udp://", "sctp://"].iter().any(|begin| value.starts_with(begin));
    is_address && name.ends_with("_PORT")
}
