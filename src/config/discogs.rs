//! Where Discogs is, and the way there.

use secrecy::SecretString;
use url::Url;

use super::reader::Reader;
use super::{Warning, parse_switch};

/// Where Discogs is and how we introduce ourselves.
#[derive(Debug, Clone)]
pub struct DiscogsConfig {
    /// `DISCOGS_USER_AGENT`
    pub user_agent: String,
    /// `DISCOGS_API_URL`, without a slash at its end.
    pub api_url: String,
    /// `DISCOGS_WEB_URL`, without a slash at its end.
    pub web_url: String,
    /// `HTTPS_PROXY`
    pub proxy: Option<DiscogsProxy>,
}

/// Through whom Discogs is called; plain http, as to a sandbox, goes there by itself.
#[derive(Debug, Clone)]
pub struct DiscogsProxy {
    /// `HTTPS_PROXY`, which may carry a password.
    pub url: SecretString,
    /// `NO_PROXY`: hosts that are called directly, as the client reads them; empty for none.
    pub except: String,
}

pub(super) fn read(reader: &mut Reader<'_>) -> DiscogsConfig {
    const USER_AGENT: &str = "Discogsography/1.0 +https://github.com/SimplicityGuy/discogsography";
    let allow_http = reader.parsed("DISCOGS_ALLOW_HTTP", "on", parse_switch).unwrap_or(false);
    let mut url = |name, default: &str| {
        let Some(url) = reader.parsed(name, default, parse_http_url) else {
            return default.to_owned();
        };
        if url.scheme() == "http" && !is_loopback(&url) {
            if allow_http {
                reader.warn(Warning::Careful(format!(
                    "{name} is plain http: whoever is on the way can read and change what we and \
                     Discogs say"
                )));
            } else {
                reader.problem(
                    name,
                    "is plain http to another machine; use https, or set DISCOGS_ALLOW_HTTP=on",
                    Some(default),
                );
            }
        }
        url.as_str().trim_end_matches('/').to_owned()
    };
    DiscogsConfig {
        api_url: url("DISCOGS_API_URL", "https://api.discogs.com"),
        web_url: url("DISCOGS_WEB_URL", "https://www.discogs.com"),
        user_agent: reader
            .parsed("DISCOGS_USER_AGENT", USER_AGENT, parse_user_agent)
            .unwrap_or_else(|| USER_AGENT.to_owned()),
        proxy: read_proxy(reader),
    }
}

/// Both names are common in lower case, too.
fn read_proxy(reader: &mut Reader<'_>) -> Option<DiscogsProxy> {
    let (name, url) = match reader.text_or_file("HTTPS_PROXY") {
        Some(url) => (reader.name_in_use("HTTPS_PROXY"), url),
        None => ("https_proxy".to_owned(), reader.text("https_proxy")?.to_owned()),
    };
    let except = reader.text("NO_PROXY").or_else(|| reader.text("no_proxy")).unwrap_or_default();
    let url = parse_proxy(&url).map_err(|what| {
        // It may carry a password, so it is not shown.
        reader.problem(&name, what, Some("http://proxy.example.com:3128"));
    });
    Some(DiscogsProxy { url: url.ok()?.as_str().into(), except: except.to_owned() })
}

/// Reads a URL, or the `host:port` that many write instead.
fn parse_proxy(value: &str) -> Result<Url, &'static str> {
    let url = if value.contains("://") { value.to_owned() } else { format!("http://{value}") };
    let url = Url::parse(&url).map_err(|_| "is not the URL of a proxy")?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("must begin with http:// or https://");
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err("must be no more than scheme, user and password, host and port");
    }
    Ok(url)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

pub(super) fn parse_http_url(value: &str) -> Result<Url, String> {
    if !["http://", "https://"].iter().any(|scheme| value.to_lowercase().starts_with(scheme)) {
        return Err("must begin with https://".to_owned());
    }
    let url = Url::parse(value).map_err(|_| "names no valid host and port".to_owned())?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not carry a user name or password".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("must not have a query or a fragment".to_owned());
    }
    Ok(url)
}

fn parse_user_agent(value: &str) -> Result<String, String> {
    if value.chars().all(|character| character == ' ' || character.is_ascii_graphic()) {
        Ok(value.to_owned())
    } else {
        Err("must be visible ASCII characters".to_owned())
    }
}
