//! Reads where Redis is: from `REDIS_URL`, from separate variables, or from both.

mod parameters;

use env_config::{Reader, Sourced};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use redis::IntoConnectionInfo as _;
use url::Url;

use super::super::variables::{
    REDIS_HOST, REDIS_PASSWORD, REDIS_PORT, REDIS_SSLROOTCERT, REDIS_URL,
};
use super::url_parameters::warn_of_ignored;
use super::{RedisConfig, RootCertificates, address, tls};
use parameters::Parameters;

/// `REDIS_URL` without its parameters.
pub(in crate::config) struct RedisUrl {
    url: Url,
    /// The names of parameters that have no effect.
    ignored: Vec<String>,
}

pub(super) fn read(reader: &mut Reader<'_>, because: &str) -> Option<RedisConfig> {
    let url_name = reader.name_in_use("REDIS_URL");
    let in_url = reader.value(&REDIS_URL).map(|RedisUrl { url, ignored }| {
        warn_of_ignored(reader, &url_name, &ignored);
        url
    });
    let of_url =
        |part: fn(&Url) -> Option<String>| Sourced::new(&*url_name, in_url.as_ref().and_then(part));
    let own = reader.value(&REDIS_HOST);
    let (own_host, port_of_host) = own.map_or((None, None), |own| (Some(own.host), own.port));
    let own_port = reader.value(&REDIS_PORT);
    let own_password = reader.value(&REDIS_PASSWORD);
    let password_name = reader.name_in_use("REDIS_PASSWORD");
    let host = reader.agreed("host", [of_url(host), Sourced::new("REDIS_HOST", own_host)]);
    let ports = [
        Sourced::new(&*url_name, in_url.as_ref().and_then(Url::port)),
        Sourced::new("REDIS_HOST", port_of_host),
        Sourced::new("REDIS_PORT", own_port),
    ];
    let port = reader.agreed("port", ports);
    let passwords = [of_url(password), Sourced::new(password_name, own_password)];
    let password = reader.agreed("password", passwords);
    let Some(host) = host else {
        if !reader.has_problem_with("REDIS_HOST") {
            let why = format!("is needed {because}; replicas share the OAuth state through Redis");
            reader.missing(&REDIS_URL, &why);
        }
        return None;
    };
    let url = in_url.or_else(|| of_host(&host)).and_then(|url| completed(url, port, password));
    if url.is_none() {
        reader.invalid(&REDIS_HOST, "is not the name or address of a host");
    }
    let url = url?;
    let roots = read_roots(reader, &url);
    Some(RedisConfig { url: url.as_str().into(), roots, namespace: String::new() })
}

/// Parses a URL; rejects what the Redis library rejects, and what it would send unchecked.
pub(in crate::config) fn parse_redis_url(text: &str) -> Result<RedisUrl, String> {
    if ["unix:", "redis+unix:", "redis+socket:"].iter().any(|begin| text.starts_with(begin)) {
        return Err(address::NO_SOCKETS.to_owned());
    }
    let is_redis = |url: &Url| {
        matches!(url.scheme(), "redis" | "rediss")
            && url.host_str().is_some_and(|host| !host.is_empty())
    };
    let url = Url::parse(text).ok().filter(is_redis);
    let mut url = url.ok_or(
        "is not a URL that begins with redis:// or rediss:// and names a host; in its password, \
         anything but letters and digits must be written as %XX",
    )?;
    if url.fragment() == Some("insecure") {
        return Err("ends with #insecure, but certificates are always checked: remove it, and \
                    name the server's root certificate in REDIS_SSLROOTCERT"
            .to_owned());
    }
    let query = url.query().unwrap_or_default();
    if url.fragment().is_some() || query.contains('@') {
        return Err("has a `#` or `?` before its host: write them as %23 and %3F".to_owned());
    }
    let is_encrypted = url.scheme() == "rediss";
    let Parameters { database, ignored } = Parameters::parse(url.query_pairs(), is_encrypted)?;
    url.set_query(None);
    if let Some(number) = database {
        url.set_path(&format!("/{number}"));
    }
    let info = url.as_str().into_connection_info().map_err(|_| {
        "is not a valid Redis URL: it may contain only a host and port, a user and password, and a \
         database number"
    })?;
    if i32::try_from(info.redis_settings().db()).is_ok_and(|number| number >= 0) {
        Ok(RedisUrl { url, ignored })
    } else {
        Err("names a database that is not a number of 0 or more".to_owned())
    }
}

fn read_roots(reader: &mut Reader<'_>, url: &Url) -> Option<RootCertificates> {
    let path = reader.value(&REDIS_SSLROOTCERT)?;
    if url.scheme() == "rediss" {
        return tls::read_roots(reader, REDIS_SSLROOTCERT.declaration.name, &path);
    }
    let what = "has no effect, because REDIS_URL does not use TLS: begin REDIS_URL with rediss://, or \
                remove REDIS_SSLROOTCERT";
    reader.invalid(&REDIS_SSLROOTCERT, what);
    None
}

fn host(url: &Url) -> Option<String> {
    url.host_str().map(|host| address::canonical(host.trim_matches(['[', ']'])))
}

fn password(url: &Url) -> Option<String> {
    let password = percent_decode_str(url.password()?).decode_utf8().ok()?;
    Some(password.into_owned()).filter(|password| !password.is_empty())
}

fn of_host(host: &str) -> Option<Url> {
    Url::parse(&format!("redis://{}/0", address::in_url(host))).ok()
}

/// Adds the values of the separate variables.
fn completed(mut url: Url, port: Option<u16>, password: Option<String>) -> Option<Url> {
    url.set_port(port).ok()?;
    if let Some(password) = password {
        let password = utf8_percent_encode(&password, NON_ALPHANUMERIC).to_string();
        url.set_password(Some(&password)).ok()?;
    }
    Some(url)
}
