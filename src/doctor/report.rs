//! The report: findings, each in plain words and with its fix.
//!
//! The names of fields and variants in this file are the output format of `doctor --json`
//! (docs/operations/troubleshooting.md), so they never change.

use serde::Serialize;

use crate::clock::Timestamp;

/// The maximum length, in characters, of a finding or a fix, which may quote a server or a file.
const LONGEST_TEXT: usize = 2_000;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// As it should be.
    Ok,
    /// Nothing is wrong, but it is worth knowing.
    Note,
    /// It works, but may fail or be misused unless it is fixed.
    Warning,
    /// It does not work, or anyone could misuse it.
    Error,
}

/// What was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// The environment's variables, together.
    Variables,
    /// `TRUSTED_PROXIES`
    TrustedProxies,
    /// The secret that signs access tokens.
    JwtSecret,
    /// The key of stored secrets.
    EncryptionKey,
    /// Stored secrets: whether they are encrypted, and can be decrypted.
    StoredSecrets,
    /// The passwords of the stores.
    StorePasswords,
    /// The files that `…_FILE` variables name.
    SecretFiles,
    /// `DATA_DIR` and the files in it.
    DataDir,
    /// Free space for the SQLite file.
    DiskSpace,
    /// Whether a service uses the SQLite file.
    Service,
    /// The database: connection, sign-in, version, latency.
    Database,
    /// Whether the schema is that of this version.
    Schema,
    /// Whether the SQLite file is damaged.
    Integrity,
    /// Of a Python service: users, and whether they can sign in with their passwords.
    Users,
    /// Of a Python service: users with two-factor sign-in.
    SecondFactors,
    /// Of a Python service: users who are connected to Discogs.
    Connections,
    /// Redis: connection, sign-in, version, latency.
    Redis,
    /// Whether Redis evicts keys.
    RedisMemory,
    /// Of a Python service: pending flows.
    PendingFlows,
    /// Whether `PYTHON_COMPAT` has to be on.
    PythonCompat,
    /// Discogs: name, connection, TLS, response.
    Discogs,
    /// The difference between this machine's clock and that of Discogs.
    Clock,
    /// The app's Discogs credentials.
    AppCredentials,
}

/// A heading of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Area {
    /// The variables.
    Configuration,
    /// Secrets and their files.
    Secrets,
    /// Users and their connections.
    Database,
    /// Flows under way.
    Redis,
    /// Discogs and the app's credentials.
    Discogs,
}

/// The measurement behind a finding, by its unit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Measured {
    /// How long something took.
    Milliseconds(f64),
    /// How far this machine's clock is ahead; negative if behind.
    Seconds(i64),
    /// Free space.
    Bytes(u64),
}

/// The result of a check.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// What was checked.
    pub check: Check,
    /// How bad it is.
    pub severity: Severity,
    /// What was found, as a sentence.
    pub what: String,
    /// What to do about it; `None` if nothing.
    pub fix: Option<String>,
    /// The measurement behind it.
    pub measured: Option<Measured>,
}

/// All findings.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The version of this program.
    pub version: &'static str,
    /// When the checks were made.
    pub timestamp: Timestamp,
    /// The highest severity of all findings.
    pub severity: Severity,
    /// Whether a service could start with this configuration.
    pub is_configuration_usable: bool,
    /// In the order of [`Check::ALL`].
    pub findings: Vec<Finding>,
}

impl Check {
    /// In the order of the report.
    pub const ALL: [Self; 23] = [
        Self::Variables,
        Self::TrustedProxies,
        Self::JwtSecret,
        Self::EncryptionKey,
        Self::StoredSecrets,
        Self::StorePasswords,
        Self::SecretFiles,
        Self::Service,
        Self::Database,
        Self::Schema,
        Self::Integrity,
        Self::Users,
        Self::SecondFactors,
        Self::Connections,
        Self::DataDir,
        Self::DiskSpace,
        Self::Redis,
        Self::RedisMemory,
        Self::PendingFlows,
        Self::PythonCompat,
        Self::Discogs,
        Self::Clock,
        Self::AppCredentials,
    ];

    /// The heading that it is shown under.
    #[must_use]
    pub fn area(self) -> Area {
        match self {
            Self::Variables | Self::TrustedProxies => Area::Configuration,
            Self::JwtSecret
            | Self::EncryptionKey
            | Self::StoredSecrets
            | Self::StorePasswords
            | Self::SecretFiles => Area::Secrets,
            Self::DataDir
            | Self::DiskSpace
            | Self::Service
            | Self::Database
            | Self::Schema
            | Self::Integrity
            | Self::Users
            | Self::SecondFactors
            | Self::Connections => Area::Database,
            Self::Redis | Self::RedisMemory | Self::PendingFlows | Self::PythonCompat => {
                Area::Redis
            }
            Self::Discogs | Self::Clock | Self::AppCredentials => Area::Discogs,
        }
    }
}

impl Area {
    /// In the order of the report.
    pub const ALL: [Self; 5] =
        [Self::Configuration, Self::Secrets, Self::Database, Self::Redis, Self::Discogs];

    /// The text of the heading.
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

    /// The number of findings of this severity.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }
}
