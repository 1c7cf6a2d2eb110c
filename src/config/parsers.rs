//! Parsers for values that need no type of their own.
//!
//! Each error is the end of a sentence that begins with the variable's name.

use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;
use std::time::Duration;

use url::Url;

use super::{CorsOrigins, LogFormat, LogLevel};

const MINUTE: u64 = 60;
const YEAR_IN_MINUTES: u64 = 525_600;

pub(super) fn parse_host(value: &str) -> Result<IpAddr, String> {
    match value {
        "localhost" => Ok(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        _ => value.trim_matches(['[', ']']).parse().map_err(|_| "is not an IP address".to_owned()),
    }
}

pub(super) fn parse_port(value: &str) -> Result<u16, String> {
    value.parse().map_err(|_| "is not a port number from 1 to 65535".to_owned())
}

pub(super) fn parse_minutes(value: &str) -> Result<Duration, String> {
    match value.parse() {
        Ok(minutes @ 1..=YEAR_IN_MINUTES) => Ok(Duration::from_secs(minutes * MINUTE)),
        _ => Err("is not a whole number of minutes from 1 to 525600".to_owned()),
    }
}

pub(super) fn parse_seconds(value: &str, allowed: RangeInclusive<u64>) -> Result<Duration, String> {
    let seconds = value.parse().ok().filter(|seconds| allowed.contains(seconds));
    seconds.map(Duration::from_secs).ok_or_else(|| {
        format!("is not a whole number of seconds from {} to {}", allowed.start(), allowed.end())
    })
}

pub(super) fn parse_switch(value: &str) -> Result<bool, String> {
    match value.to_ascii_lowercase().as_str() {
        "on" | "true" | "1" | "yes" => Ok(true),
        "off" | "false" | "0" | "no" => Ok(false),
        _ => Err("is neither on nor off".to_owned()),
    }
}

pub(super) fn parse_origins(value: &str) -> Result<CorsOrigins, String> {
    let origins: Vec<_> = value.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
    if origins == ["*"] {
        return Ok(CorsOrigins::Any);
    }
    if origins.is_empty() {
        return Err("names no origin".to_owned());
    }
    if origins.contains(&"*") {
        return Err("has `*`, which means any origin, beside another one".to_owned());
    }
    let parsed = origins.iter().enumerate().map(|(place, origin)| {
        // The error shows only the origin's position: the value may contain a password.
        let of_which =
            if origins.len() > 1 { format!(" (origin {})", place + 1) } else { String::new() };
        parse_origin(origin).map_err(|what| format!("{what}{of_which}"))
    });
    parsed.collect::<Result<_, _>>().map(CorsOrigins::Only)
}

/// Parses one origin and returns it as browsers write it.
fn parse_origin(origin: &str) -> Result<String, &'static str> {
    if !["http://", "https://"].iter().any(|scheme| origin.to_lowercase().starts_with(scheme)) {
        return Err("needs https:// in front");
    }
    let url = Url::parse(origin).map_err(|_| "names no valid host and port")?;
    let serialized = url.origin().ascii_serialization();
    let is_one = url.origin().is_tuple() && !origin.contains('*');
    if is_one && serialized == origin.trim_end_matches('/').to_lowercase() {
        Ok(serialized)
    } else {
        Err("must be a scheme, a host and perhaps a port, and nothing else")
    }
}

pub(super) fn parse_level(value: &str) -> Result<LogLevel, String> {
    match value.to_ascii_uppercase().as_str() {
        "CRITICAL" | "ERROR" => Ok(LogLevel::Error),
        "WARNING" | "WARN" => Ok(LogLevel::Warning),
        "INFO" => Ok(LogLevel::Info),
        "DEBUG" => Ok(LogLevel::Debug),
        "TRACE" => Ok(LogLevel::Trace),
        _ => Err("is not one of DEBUG, INFO, WARNING, ERROR, CRITICAL, TRACE".to_owned()),
    }
}

pub(super) fn parse_format(value: &str) -> Result<LogFormat, String> {
    match value.to_ascii_lowercase().as_str() {
        "auto" => Ok(LogFormat::Auto),
        "json" => Ok(LogFormat::Json),
        "pretty" => Ok(LogFormat::Pretty),
        _ => Err("is neither json nor pretty".to_owned()),
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
