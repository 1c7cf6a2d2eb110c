//! Where Redis is: in `REDIS_URL`, in variables of its own, or in both.

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use redis::IntoConnectionInfo as _;
use url::Url;

use super::super::environment::Reader;
use super::given::{Given, agreed};
use super::{RedisConfig, RootCertificates, address, tls};

const ROOTS: &str = "REDIS_SSLROOTCERT";
const URL_EXAMPLE: &str = "redis://cache.example.com:6379/0";

pub(super) fn read(reader: &mut Reader<'_>, asked_for_by: &str) -> Option<RedisConfig> {
    let in_url = read_url(reader);
    let by_url = reader.name_in_use("REDIS_URL");
    let by_url_as =
        |part: fn(&Url) -> Option<String>| Given::by(&*by_url, in_url.as_ref().and_then(part));
    let own = reader.parsed("REDIS_HOST", "cache.example.com", address::parse);
    let (own_host, port_of_host) = own.map_or((None, None), |own| (Some(own.host), own.port));
    let own_port = reader.parsed("REDIS_PORT", "6379", address::parse_port);
    let own_password = reader.secret_text("REDIS_PASSWORD");
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
            let why = format!(
                "is needed with PostgreSQL, which {asked_for_by} asks for: replicas share the \
                 OAuth state through it"
            );
            reader.missing("REDIS_URL", &why, URL_EXAMPLE);
        }
        return None;
    };
    let url = in_url.or_else(|| of_host(&host)).and_then(|url| completed(url, port, password));
    let Some(url) = url else {
        reader.problem("REDIS_HOST", "is not the name or address of a host", "cache.example.com");
        return None;
    };
    let roots = read_roots(reader, &url);
    Some(RedisConfig { url: url.as_str().into(), roots, namespace: String::new() })
}

fn read_url(reader: &mut Reader<'_>) -> Option<Url> {
    let text = reader.secret_text("REDIS_URL")?;
    // The URL may carry a password, so the value is not shown.
    let url = parse_url(text.trim());
    url.map_err(|what| reader.problem("REDIS_URL", what, URL_EXAMPLE)).ok()
}

/// Refuses what the library would refuse, or send to the server as it is.
fn parse_url(text: &str) -> Result<Url, &'static str> {
    let is_redis = |url: &Url| {
        matches!(url.scheme(), "redis" | "rediss")
            && url.fragment().is_none()
            && url.host_str().is_some_and(|host| !host.is_empty())
    };
    let url = Url::parse(text)
        .ok()
        .filter(is_redis)
        .ok_or("is not a URL that begins with redis:// or rediss:// and names a host")?;
    let info = text.into_connection_info().map_err(|_| {
        "is not a URL that Redis clients know: a host and port, a user and password, the number \
         of a database, and nothing else"
    })?;
    if i32::try_from(info.redis_settings().db()).is_ok_and(|number| number >= 0) {
        Ok(url)
    } else {
        Err("names a database that is no number from 0 on")
    }
}

fn read_roots(reader: &mut Reader<'_>, url: &Url) -> Option<RootCertificates> {
    let path = reader.text(ROOTS)?.trim();
    if url.scheme() == "rediss" {
        return tls::read_roots(reader, ROOTS, path);
    }
    let what = "names a root certificate that nothing is checked against: give a REDIS_URL that \
                begins with rediss://, or leave it out";
    reader.problem(ROOTS, what, "/etc/discogsography-api/root.crt");
    None
}

fn host(url: &Url) -> Option<String> {
    url.host_str().map(|host| host.trim_matches(['[', ']']).to_ascii_lowercase())
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
