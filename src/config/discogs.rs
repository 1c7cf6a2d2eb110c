//! Where Discogs is, and through which proxy it is called.

use env_config::{Reader, Variable, Warning};
use secrecy::SecretString;
use url::Url;

use super::variables::{
    DISCOGS_ALLOW_HTTP, DISCOGS_API_URL, DISCOGS_USER_AGENT, DISCOGS_WEB_URL, HTTPS_PROXY, NO_PROXY,
};

/// The addresses of Discogs, the user agent and the proxy.
#[derive(Debug, Clone)]
pub struct DiscogsConfig {
    /// `DISCOGS_USER_AGENT`
    pub user_agent: String,
    /// `DISCOGS_API_URL`, without a trailing slash.
    pub api_url: String,
    /// `DISCOGS_WEB_URL`, without a trailing slash.
    pub web_url: String,
    /// `HTTPS_PROXY`
    pub proxy: Option<DiscogsProxy>,
}

/// The proxy for calls to Discogs; plain http, as to a sandbox, does not use it.
#[derive(Debug, Clone)]
pub struct DiscogsProxy {
    /// `HTTPS_PROXY`, which may carry a password.
    pub url: SecretString,
    /// `NO_PROXY` in the HTTP client's syntax: hosts called directly; may be empty.
    pub except: String,
}

pub(super) fn read(reader: &mut Reader<'_>) -> Option<DiscogsConfig> {
    let allow_http = reader.value(&DISCOGS_ALLOW_HTTP).unwrap_or(false);
    let api_url = read_url(reader, &DISCOGS_API_URL, allow_http);
    let web_url = read_url(reader, &DISCOGS_WEB_URL, allow_http);
    let user_agent = reader.value(&DISCOGS_USER_AGENT);
    let proxy = reader.value(&HTTPS_PROXY).map(|url| url.as_str().into());
    let except = reader.value(&NO_PROXY).unwrap_or_default();
    let proxy = proxy.map(|url| DiscogsProxy { url, except });
    Some(DiscogsConfig { api_url: api_url?, web_url: web_url?, user_agent: user_agent?, proxy })
}

fn read_url(reader: &mut Reader<'_>, variable: &Variable<Url>, allow_http: bool) -> Option<String> {
    let url = reader.value(variable)?;
    if url.scheme() == "http" && !is_loopback(&url) {
        let name = variable.declaration.name;
        if allow_http {
            reader.warn(Warning::Careful(format!(
                "{name} is plain http: anyone on the network path can read and change what the \
                 service and Discogs exchange"
            )));
        } else {
            let what = "is plain http to another machine; use https, or set DISCOGS_ALLOW_HTTP=on";
            reader.invalid(variable, what);
        }
    }
    Some(url.as_str().trim_end_matches('/').to_owned())
}

/// Parses a URL, or the common short form `host:port`.
pub(super) fn parse_proxy(value: &str) -> Result<Url, String> {
    let url = if value.contains("://") { value.to_owned() } else { format!("http://{value}") };
    let url = Url::parse(&url).map_err(|_| "is not the URL of a proxy".to_owned())?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("must begin with http:// or https://".to_owned());
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err("must be no more than scheme, user and password, host and port".to_owned());
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

pub(super) fn parse_user_agent(value: &str) -> Result<String, String> {
    if value.chars().all(|character| character == ' ' || character.is_ascii_graphic()) {
        Ok(value.to_owned())
    } else {
        Err("must be visible ASCII characters".to_owned())
    }
}
