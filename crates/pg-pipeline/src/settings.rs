//! How to reach a server and sign in to it.

use secrecy::{ExposeSecret as _, SecretString};
use tokio_postgres::Config;
use tokio_postgres::config::SslMode;

use crate::{ChannelBinding, Tls};

/// How to reach a server and sign in to it.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Host name or IP address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// The role to sign in as.
    pub username: String,
    /// Its password.
    pub password: SecretString,
    /// The database.
    pub database: String,
    /// What `pg_stat_activity` shows.
    pub application_name: String,
    /// Whether connections are encrypted, and which servers they trust.
    pub tls: Tls,
    /// Whether signing in proves that TLS ends at the server (RFC 5802 section 6).
    pub channel_binding: ChannelBinding,
    /// Run-time parameters of each connection, `-c name=value …`; `None` for none.
    pub options: Option<String>,
    /// Whether statements are prepared.
    pub statement_names: StatementNames,
}

/// Whether statements are prepared by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatementNames {
    /// Once on each connection.
    Named,
    /// Parsed at each execution, as poolers in transaction mode require.
    Unnamed,
}

impl Settings {
    pub(crate) fn config(&self) -> Config {
        let mut config = Config::new();
        config
            .user(&self.username)
            .password(self.password.expose_secret())
            .dbname(&self.database)
            .application_name(&self.application_name)
            .channel_binding(self.channel_binding)
            .ssl_mode(match self.tls {
                Tls::Disable => SslMode::Disable,
                Tls::Prefer => SslMode::Prefer,
                Tls::Require | Tls::VerifyCa(_) | Tls::VerifyFull(_) => SslMode::Require,
            });
        if let Some(options) = &self.options {
            config.options(options);
        }
        config
    }
}
