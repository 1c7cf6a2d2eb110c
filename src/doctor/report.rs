//! What was found: findings, each in plain words and with its fix, and the whole of them.
//!
//! The names here are what `doctor --json` says (docs/operations/troubleshooting.md), so they stay.

use serde::Serialize;

use crate::clock::Timestamp;

/// The most characters of a finding, and of what fixes it: either may quote a server or a file.
const LONGEST_TEXT: usize = 2_000;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// As it should be.
    Ok,
    /// Nothing is wrong; somebody may want to know.
    Note,
    /// It works, but may fail or be misused unless it is fixed.
    Warning,
    /// It does not work, or anybody could misuse it.
    Error,
}

/// What was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// The environment's variables, together.
    Variables,
    /// `TRUSTED_PROXIES`
    TrustedProxies,
    /// The secret that signs access tokens.
    JwtSecret,
    /// The passwords of the stores.
    StorePasswords,
    /// The files that `…_FILE` variables name.
    SecretFiles,
    /// `DATA_DIR` and the files in it.
    DataDir,
    /// How much room is left for the SQLite file.
    DiskSpace,
    /// Whether a service runs on the SQLite file.
    Service,
    /// The database: reached, signed in to, its version and latency.
    Database,
    /// Whether the tables are those of this version.
    Schema,
    /// Whether the SQLite file is whole.
    Integrity,
    /// Redis: reached, signed in to, its version and latency.
    Redis,
    /// Whether Redis keeps what it is given for as long as it was told.
    RedisMemory,
    /// The way to Discogs: name, connection, TLS, answer.
    Discogs,
    /// Our clock beside that of Discogs.
    Clock,
    /// The app's Discogs credentials.
    AppCredentials,
}

/// A headline of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Area {
    /// What the operator has set.
    Configuration,
    /// What must stay secret.
    Secrets,
    /// Users and their connections.
    Database,
    /// Flows under way.
    Redis,
    /// The server we call.
    Discogs,
}

/// A figure that belongs to a finding, by its unit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Measured {
    /// How long something took.
    Milliseconds(f64),
    /// How far our clock is ahead; behind, below zero.
    Seconds(i64),
    /// How much is left.
    Bytes(u64),
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub check: Check,
    /// How bad it is.
    pub severity: Severity,
    /// What was found, in plain words.
    pub what: String,
    /// What to do about it; `None` where there is nothing to do.
    pub fix: Option<String>,
    /// The figure behind it.
    pub measured: Option<Measured>,
}

/// Everything that was found.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The version of this program.
    pub version: &'static str,
    /// When it was asked.
    pub timestamp: Timestamp,
    /// The worst of all findings.
    pub severity: Severity,
    /// Whether a service could start with this configuration.
    pub is_configuration_usable: bool,
    /// In the order of [`Check::ALL`].
    pub findings: Vec<Finding>,
}

impl Check {
    /// In the order of the report.
    pub const ALL: [Self; 16] = [
        Self::Variables,
        Self::TrustedProxies,
        Self::JwtSecret,
        Self::StorePasswords,
        Self::SecretFiles,
        Self::Service,
        Self::Database,
        Self::Schema,
        Self::Integrity,
        Self::DataDir,
        Self::DiskSpace,
        Self::Redis,
        Self::RedisMemory,
        Self::Discogs,
        Self::Clock,
        Self::AppCredentials,
    ];

    /// The headline that it stands under.
    #[must_use]
    pub fn area(self) -> Area {
        match self {
            Self::Variables | Self::TrustedProxies => Area::Configuration,
            Self::JwtSecret | Self::StorePasswords | Self::SecretFiles => Area::Secrets,
            Self::DataDir
            | Self::DiskSpace
            | Self::Service
            | Self::Database
            | Self::Schema
            | Self::Integrity => Area::Database,
            Self::Redis | Self::RedisMemory => Area::Redis,
            Self::Discogs | Self::Clock | Self::AppCredentials => Area::Discogs,
        }
    }
}

impl Area {
    /// In the order of the report.
    pub const ALL: [Self; 5] =
        [Self::Configuration, Self::Secrets, Self::Database, Self::Redis, Self::Discogs];

    /// As people read it.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Configuration => "Configuration",
            Self::Secrets => "Secrets",
            Self::Database => "Database",
            Self::Redis => "Redis",
            Self::Discogs => "Discogs",
        }
    }
}

impl Finding {
    pub(super) fn ok(check: Check, what: impl Into<String>) -> Self {
        Self { check, severity: Severity::Ok, what: what.into(), fix: None, measured: None }
    }

    pub(super) fn note(check: Check, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { severity: Severity::Note, fix: Some(fix.into()), ..Self::ok(check, what) }
    }

    pub(super) fn warning(check: Check, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::note(check, what, fix) }
    }

    pub(super) fn error(check: Check, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { severity: Severity::Error, ..Self::note(check, what, fix) }
    }

    pub(super) fn measured(self, measured: Measured) -> Self {
        Self { measured: Some(measured), ..self }
    }
}

impl Report {
    pub(super) fn new(
        timestamp: Timestamp,
        is_configuration_usable: bool,
        mut findings: Vec<Finding>,
    ) -> Self {
        for finding in &mut findings {
            finding.what = printable::line(&finding.what, LONGEST_TEXT);
            finding.fix = finding.fix.as_deref().map(|fix| printable::line(fix, LONGEST_TEXT));
        }
        let place = |finding: &Finding| Check::ALL.iter().position(|check| *check == finding.check);
        findings.sort_by_key(place);
        let severities = findings.iter().map(|finding| finding.severity);
        Self {
            version: env!("CARGO_PKG_VERSION"),
            timestamp,
            severity: severities.max().unwrap_or(Severity::Ok),
            is_configuration_usable,
            findings,
        }
    }

    /// How many findings are so bad.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }
}
