//! Parses the query of a `DATABASE_URL` (PostgreSQL's documentation, section "Parameter Key
//! Words").
//!
//! Providers add parameters for other clients: those without effect here cause a warning, and those
//! that request unsupported security are an error.

use super::super::address::parse_server_port;
use super::super::url_parameters::{DefaultValues, asks_for_default, is_of_security, shown_name};
use super::super::{ChannelBinding, StatementNames};
use super::{DatabaseUrl, decoded, not_empty};

/// Parameters, each with the values that merely ask for the default behaviour.
const DEFAULTS: &DefaultValues = &[
    ("gssencmode", &["disable", "prefer"]),
    ("sslcompression", &["0"]),
    ("sslsni", &["1"]),
    ("sslnegotiation", &["postgres"]),
    ("ssl_min_protocol_version", &["TLSv1", "TLSv1.1", "TLSv1.2"]),
    ("target_session_attrs", &["any"]),
    ("pgbouncer", &["false"]),
];

/// Parameters that select the server or the credentials in unsupported ways.
const NOT_OFFERED: [&str; 4] = ["hostaddr", "service", "servicefile", "passfile"];

/// Parses `name=value&…`, percent-encoded; unlike in a form, `+` is a literal plus.
pub(super) fn parse(query: &str) -> Result<DatabaseUrl, String> {
    let mut parameters = DatabaseUrl::default();
    // If the query has a password that contains `&`, part of it would be taken for a name.
    let may_be_named = !query.split('&').any(|pair| pair.starts_with("password"));
    let mut by_ssl = None;
    for pair in query.split('&').filter_map(not_empty) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (decoded(name)?, decoded(value)?);
        if name == "ssl" {
            by_ssl = sslmode_of(&value);
        } else if !parameters.take(&name, &value)? && !asks_for_default(DEFAULTS, &name, &value) {
            let shown = if may_be_named { shown_name(&name) } else { "(not shown)" };
            refuse(&name, shown)?;
            parameters.ignored.push(shown.to_owned());
        }
    }
    parameters.sslmode = parameters.sslmode.or(by_ssl);
    Ok(parameters)
}

impl DatabaseUrl {
    /// Sets the field for a parameter; returns `false` if it has no effect here.
    fn take(&mut self, name: &str, value: &str) -> Result<bool, String> {
        let text = || not_empty(value).map(str::to_owned);
        match name {
            "host" => self.host = text(),
            "port" => {
                let port =
                    parse_server_port(value).map_err(|what| format!("has a port that {what}"))?;
                self.port = Some(port);
            }
            "user" => self.username = text(),
            "password" => self.password = text(),
            "dbname" => self.database = text(),
            "sslmode" => self.sslmode = text(),
            "sslrootcert" => self.sslrootcert = text(),
            "application_name" => self.application_name = text().filter(|it| !it.contains('\0')),
            "channel_binding" => self.channel_binding = Some(parse_channel_binding(value)?),
            // Prisma's name for a pooler that switches connections between transactions.
            "pgbouncer" if value == "true" => self.statements = Some(StatementNames::Unnamed),
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// Returns the `sslmode` for other clients' `ssl=…`; libpq knows only `true`.
fn sslmode_of(value: &str) -> Option<String> {
    match value {
        "false" | "0" => None,
        "true" | "1" | "no-verify" => Some("require".to_owned()),
        other => Some(other.to_owned()),
    }
}

fn parse_channel_binding(value: &str) -> Result<ChannelBinding, String> {
    match value {
        "disable" => Ok(ChannelBinding::Disable),
        "prefer" => Ok(ChannelBinding::Prefer),
        "require" => Ok(ChannelBinding::Require),
        _ => Err("has a channel_binding that is not one of disable, prefer, require".to_owned()),
    }
}

/// Refuses what can't safely be ignored.
fn refuse(name: &str, shown: &str) -> Result<(), String> {
    if is_of_security(name) {
        return Err(format!(
            "has the parameter {shown}, which requests a security feature that is not supported: \
             use sslmode, sslrootcert and channel_binding instead, or remove it"
        ));
    }
    if NOT_OFFERED.contains(&name) {
        return Err(format!(
            "has the parameter {shown}, which can't be used: give host, user and password in the \
             URL itself"
        ));
    }
    Ok(())
}
