//! The names and defaults of all variables; `docs/configuration.md` is checked against it.

/// A variable that the service reads.
#[derive(Debug, Clone, Copy)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What counts when it is not set; `None` where there is no default.
    pub default: Option<&'static str>,
    /// Whether `NAME_FILE` may name a file that holds the value.
    pub may_be_a_file: bool,
    /// What surrounds its value by mistake, and what becomes of that.
    pub(super) kind: Kind,
}

/// How a value is read that has quotes, white space or a byte order mark around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Trimmed; refused if it is quoted.
    Plain,
    /// Trimmed; refused if it is quoted, or is no path that a program would understand.
    Path,
    /// Used byte for byte, since any of them may belong to it; with a warning.
    Secret,
}

impl Variable {
    /// Whether `name` is this variable, or the one that names its file; a proxy's may be in lower
    /// case, as with other programs.
    #[must_use]
    pub fn is_named(&self, name: &str) -> bool {
        let is_in_lower_case = name.ends_with("_proxy") && name.to_uppercase() == self.name;
        name == self.name
            || is_in_lower_case
            || (self.may_be_a_file && name.strip_suffix("_FILE") == Some(self.name))
    }
}

/// How the value of a variable is read, by its name; that of `NAME_FILE` is a path. `None` for a
/// variable that is not ours.
pub(super) fn kind_of(name: &str) -> Option<Kind> {
    let variable = VARIABLES.iter().find(|variable| variable.is_named(name))?;
    let is_path_of_file = variable.may_be_a_file && name.ends_with("_FILE");
    Some(if is_path_of_file { Kind::Path } else { variable.kind })
}

const fn plain(name: &'static str, default: &'static str) -> Variable {
    Variable { name, default: Some(default), may_be_a_file: false, kind: Kind::Plain }
}

const fn without_default(name: &'static str) -> Variable {
    Variable { name, default: None, may_be_a_file: false, kind: Kind::Plain }
}

const fn or_file(name: &'static str) -> Variable {
    Variable { name, default: None, may_be_a_file: true, kind: Kind::Plain }
}

const fn path(name: &'static str, default: Option<&'static str>) -> Variable {
    Variable { name, default, may_be_a_file: false, kind: Kind::Path }
}

const fn secret(name: &'static str) -> Variable {
    Variable { name, default: None, may_be_a_file: true, kind: Kind::Secret }
}

/// Every variable, in the order of `docs/configuration.md`.
pub const VARIABLES: &[Variable] = &[
    without_default("POSTGRES_ADDRESS"),
    without_default("POSTGRES_HOST"),
    without_default("POSTGRES_PORT"),
    or_file("POSTGRES_USERNAME"),
    secret("POSTGRES_PASSWORD"),
    without_default("POSTGRES_DATABASE"),
    or_file("DATABASE_URL"),
    without_default("POSTGRES_SSLMODE"),
    path("POSTGRES_SSLROOTCERT", None),
    without_default("POSTGRES_STATEMENTS"),
    or_file("REDIS_URL"),
    without_default("REDIS_HOST"),
    without_default("REDIS_PORT"),
    secret("REDIS_PASSWORD"),
    path("REDIS_SSLROOTCERT", None),
    secret("JWT_SECRET_KEY"),
    plain("JWT_EXPIRE_MINUTES", "1440"),
    or_file("ADMIN_EMAIL"),
    secret("ADMIN_PASSWORD"),
    plain(
        "DISCOGS_USER_AGENT",
        "Discogsography/1.0 +https://github.com/SimplicityGuy/discogsography",
    ),
    plain("DISCOGS_API_URL", "https://api.discogs.com"),
    plain("DISCOGS_WEB_URL", "https://www.discogs.com"),
    plain("DISCOGS_ALLOW_HTTP", "off"),
    or_file("HTTPS_PROXY"),
    without_default("NO_PROXY"),
    plain("API_HOST", "127.0.0.1"),
    plain("API_PORT", "8004"),
    plain("API_HEALTH_PORT", "8005"),
    plain("KEEP_ALIVE_SECONDS", "75"),
    plain("DRAIN_SECONDS", "0"),
    path("DATA_DIR", Some("./data")),
    plain("CORS_ORIGINS", "*"),
    plain("WEB_PAGE", "on"),
    without_default("APP_BASE_URL"),
    plain("RATE_LIMITS", "on"),
    plain("RATE_LIMIT_REGISTER", "5/60"),
    plain("RATE_LIMIT_SIGN_IN", "10/60"),
    plain("RATE_LIMIT_FAILED_SIGN_IN", "10/900"),
    plain("RATE_LIMIT_AUTHORIZE", "10/60"),
    plain("RATE_LIMIT_AUTHORIZE_ADDRESS", "20/60"),
    plain("RATE_LIMIT_VERIFY", "10/60"),
    plain("RATE_LIMIT_VERIFY_ADDRESS", "20/60"),
    without_default("TRUSTED_PROXIES"),
    plain("AUTO_MIGRATE", "on"),
    plain("LOG_LEVEL", "INFO"),
    plain("LOG_FORMAT", "auto"),
];
