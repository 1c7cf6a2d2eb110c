//! `DATABASE_URL`: a whole PostgreSQL in one variable, as libpq's connection URIs are written
//! (PostgreSQL's documentation, section "Connection URIs"). Nothing of it is ever shown.

use percent_encoding::percent_decode_str;
use url::Url;

use super::super::environment::Reader;
use super::address::is_host;

pub(super) const NAME: &str = "DATABASE_URL";
const EXAMPLE: &str = "postgresql://discogsography:PASSWORD@db.example.com:5432/discogsography";

/// What the URL says; whatever it leaves out may stand in variables of its own.
#[derive(Default)]
pub(super) struct DatabaseUrl {
    pub(super) host: Option<String>,
    pub(super) port: Option<u16>,
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
    pub(super) database: Option<String>,
    pub(super) sslmode: Option<String>,
    pub(super) sslrootcert: Option<String>,
}

/// Reads the variable; with nothing in it where it is not set, or not to be understood.
pub(super) fn read(reader: &mut Reader<'_>) -> DatabaseUrl {
    let Some(text) = reader.secret_text(NAME) else {
        return DatabaseUrl::default();
    };
    parse(text.trim()).unwrap_or_else(|what| {
        reader.problem(&reader.name_in_use(NAME), what, EXAMPLE);
        DatabaseUrl::default()
    })
}

fn parse(text: &str) -> Result<DatabaseUrl, String> {
    let url = Url::parse(text)
        .ok()
        .filter(|url| url.has_authority() && ["postgres", "postgresql"].contains(&url.scheme()));
    let url = url.ok_or(
        "is not a URL that begins with postgres:// or postgresql://; in its password, anything but \
         letters and digits is written as %XX",
    )?;
    if url.fragment().is_some() || url.query().is_some_and(|query| query.contains('@')) {
        return Err("has a `#` or `?` before its host: write them as %23 and %3F".to_owned());
    }
    let (mut sslmode, mut sslrootcert) = (None, None);
    for (name, value) in url.query_pairs() {
        match &*name {
            "sslmode" => sslmode = Some(value.into_owned()),
            "sslrootcert" => sslrootcert = Some(value.into_owned()),
            // Which one is not told: it may be a piece of a password with a `?` in it.
            _ => {
                return Err(
                    "has a parameter that is neither sslmode nor sslrootcert: leave it out"
                        .to_owned(),
                );
            }
        }
    }
    let host = url.host_str().map(|host| host.trim_matches(['[', ']'])).and_then(not_empty);
    let host = host.map(decoded).transpose()?.map(|host| host.to_ascii_lowercase());
    if host.as_deref().is_some_and(|host| !is_host(host)) {
        return Err("names no host, or more than one".to_owned());
    }
    if url.port() == Some(0) {
        return Err("has a port that is not a number from 1 to 65535".to_owned());
    }
    let database = url.path().strip_prefix('/').and_then(not_empty);
    Ok(DatabaseUrl {
        host,
        port: url.port(),
        username: not_empty(url.username()).map(decoded).transpose()?,
        password: url.password().and_then(not_empty).map(decoded).transpose()?,
        database: database.map(decoded).transpose()?,
        sslmode,
        sslrootcert,
    })
}

fn not_empty(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

fn decoded(text: &str) -> Result<String, String> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(Into::into).map_err(|_| "has a %XX that is no UTF-8".to_owned())
}
