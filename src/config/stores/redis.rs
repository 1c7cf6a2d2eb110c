//! Where Redis is: in `REDIS_URL`, in variables of its own, or in both.

mod parameters;

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use redis::IntoConnectionInfo as _;
use url::Url;

use super::super::reader::Reader;
use super::agreement::{Given, agreed};
use super::url_parameters::warn_of_ignored;
use super::{RedisConfig, RootCertificates, address, tls};
use parameters::Parameters;

const ROOTS: &str = "REDIS_SSLROOTCERT";
const URL_EXAMPLE: &str = "redis://cache.example.com:6379/0";

pub(super) fn read(reader: &mut Reader<'_>, because: &str) -> Option<RedisConfig> {
    let in_url = read_url(reader);
    let by_url = reader.name_in_use("REDIS_URL");
    let by_url_as =
        |part: fn(&Url) -> Option<String>| Given::by(&*by_url, in_url.as_ref().and_then(part));
    let own = reader.parsed("REDIS_HOST", "cache.example.com", address::parse_host);
    let (own_host, port_of_host) = own.map_or((None, None), |own| (Some(own.host), own.port));
    let own_port = reader.parsed("REDIS_PORT", "6379", address::parse_port);
    let own_password = reader.text_or_file("REDIS_PASSWORD");
    let by_password = reader.name_in_use("REDIS_PASSWORD");
    let host = agreed(reader, "host", [by_url_as(host), Given::by("REDIS_HOST", own_host)]);
    let ports = [
        Given::by(&*by_url, in_url.as_ref().and_then(Url::port)),
        Given::by("REDIS_HOST", port_of_host),
        Given::by("REDIS_PORT", own_port),
    ];
    let port = agreed(reader, "port", ports);
    let password =
        agreed(reader, "password", [by_url_as(password), Given::by(by_password, own_password)]);
    let Some(host) = host else {
        if !reader.has_problem_with("REDIS_HOST") {
            let why = format!("is needed {because}; replicas share the OAuth state through Redis");
            reader.missing("REDIS_URL", &why, URL_EXAMPLE);
        }
        return None;
    };
    let url = in_url.or_else(|| of_host(&host)).and_then(|url| completed(url, port, password));
    let Some(url) = url else {
        let what = "is not the name or address of a host";
        reader.problem("REDIS_HOST", what, Some("cache.example.com"));
        return None;
    };
    let roots = read_roots(reader, &url);
    Some(RedisConfig { url: url.as_str().into(), roots, namespace: String::new() })
}

fn read_url(reader: &mut Reader<'_>) -> Option<Url> {
    let text = reader.text_or_file("REDIS_URL")?;
    let name = reader.name_in_use("REDIS_URL");
    // The URL may carry a password, so the value is not shown.
    match parse_url(&text) {
        Ok((url, ignored)) => {
            warn_of_ignored(reader, &name, &ignored);
            Some(url)
        }
        Err(what) => {
            reader.problem(&name, what, Some(URL_EXAMPLE));
            None
        }
    }
}

/// Refuses what the library would refuse, or send to the server as it is. Gives the URL without
/// parameters, and the names of those that have no effect.
fn parse_url(text: &str) -> Result<(Url, Vec<String>), String> {
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
         anything but letters and digits is written as %XX",
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
        "is not a URL that Redis clients know: a host and port, a user and password, the number \
         of a database, and nothing else"
    })?;
    if i32::try_from(info.redis_settings().db()).is_ok_and(|number| number >= 0) {
        Ok((url, ignored))
    } else {
        Err("names a database that is not a number from 0 on".to_owned())
    }
}

fn read_roots(reader: &mut Reader<'_>, url: &Url) -> Option<RootCertificates> {
    let path = reader.text(ROOTS)?;
    if url.scheme() == "rediss" {
        return tls::read_roots(reader, ROOTS, path);
    }
    let what = "names a root certificate that nothing is checked against: give a REDIS_URL that \
                begins with rediss://, or leave it out";
    reader.problem(ROOTS, what, Some("/etc/discogsography-api/root.crt"));
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

/// The URL with what stands in variables of its own; as it is where nothing does.
fn completed(mut url: Url, port: Option<u16>, password: Option<String>) -> Option<Url> {
    url.set_port(port).ok()?;
    if let Some(password) = password {
        let password = utf8_percent_encode(&password, NON_ALPHANUMERIC).to_string();
        url.set_password(Some(&password)).ok()?;
    }
    Some(url)
}
