//! Parses `DATABASE_URL`. Messages show only the names of its parameters.
//!
//! The format is libpq's (PostgreSQL's documentation, section "Connection URIs").

mod parameters;

use percent_encoding::percent_decode_str;
use url::Url;

use super::address::{NO_SOCKETS, canonical, is_host, is_socket};
use super::{ChannelBinding, StatementNames};

/// The parts of the URL; other variables may provide those that it omits.
#[derive(Default)]
pub(in crate::config) struct DatabaseUrl {
    pub(super) host: Option<String>,
    pub(super) port: Option<u16>,
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
    pub(super) database: Option<String>,
    pub(super) sslmode: Option<String>,
    pub(super) sslrootcert: Option<String>,
    pub(super) statements: Option<StatementNames>,
    pub(super) application_name: Option<String>,
    pub(super) channel_binding: Option<ChannelBinding>,
    /// The names of parameters that have no effect.
    pub(super) ignored: Vec<String>,
}

pub(in crate::config) fn parse_database_url(text: &str) -> Result<DatabaseUrl, String> {
    let url = Url::parse(text)
        .ok()
        .filter(|url| url.has_authority() && ["postgres", "postgresql"].contains(&url.scheme()));
    let url = url.ok_or(
        "is not a URL that begins with postgres:// or postgresql://; in its password, anything but \
         letters and digits must be written as %XX",
    )?;
    let query = url.query().unwrap_or_default();
    if url.fragment().is_some() || query.contains('@') {
        return Err("has a `#` or `?` before its host: write them as %23 and %3F".to_owned());
    }
    let parameters = parameters::parse(query)?;
    let host = url.host_str().map(|host| host.trim_matches(['[', ']'])).and_then(not_empty);
    let host = parameters.host.or(host.map(decoded).transpose()?);
    if host.as_deref().is_some_and(is_socket) {
        return Err(NO_SOCKETS.to_owned());
    }
    if host.as_deref().is_some_and(|host| !is_host(host)) {
        return Err("names no host, or more than one".to_owned());
    }
    if url.port() == Some(0) {
        return Err("has a port that is not a number from 1 to 65535".to_owned());
    }
    let username = not_empty(url.username()).map(decoded).transpose()?;
    let password = url.password().and_then(not_empty).map(decoded).transpose()?;
    let database = url.path().strip_prefix('/').and_then(not_empty).map(decoded).transpose()?;
    Ok(DatabaseUrl {
        host: host.map(|host| canonical(&host)),
        port: parameters.port.or(url.port()),
        username: parameters.username.or(username),
        password: parameters.password.or(password),
        database: parameters.database.or(database),
        ..parameters
    })
}

fn not_empty(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

fn decoded(text: &str) -> Result<String, String> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(Into::into).map_err(|_| "has a %XX that is not UTF-8".to_owned())
}
