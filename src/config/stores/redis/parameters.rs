//! Parses the query of a `REDIS_URL`, as redis-py and other clients do.

use std::borrow::Cow;

use super::super::url_parameters::{DefaultValues, asks_for_default, is_of_security, shown_name};

/// Parameters that belong before the `?`.
const MISPLACED: [&str; 7] =
    ["host", "port", "path", "unix_socket_path", "user", "username", "password"];

/// Parameters, each with the values that request what happens anyway.
const DEFAULTS: &DefaultValues = &[
    ("ssl_cert_reqs", &["required", "CERT_REQUIRED"]),
    ("ssl_check_hostname", &["true", "True", "1"]),
];

#[derive(Default)]
pub(super) struct Parameters {
    /// `db`, which overrides the path, as in redis-py.
    pub(super) database: Option<u32>,
    /// The names of parameters that have no effect.
    pub(super) ignored: Vec<String>,
}

impl Parameters {
    pub(super) fn parse<'a>(
        pairs: impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)>,
        is_encrypted: bool,
    ) -> Result<Self, String> {
        let mut parameters = Self::default();
        for (name, value) in pairs {
            let shown = shown_name(&name);
            let is_for_encryption = ["ssl", "tls"].contains(&&*name);
            if name == "db" {
                let number = value.parse().ok().filter(|number| i32::try_from(*number).is_ok());
                let number = number.ok_or("names a database that is not a number of 0 or more")?;
                parameters.database = Some(number);
            } else if name == "protocol" && !["2", "3", "resp2", "resp3"].contains(&&*value) {
                return Err("has a protocol that is not 2 or 3".to_owned());
            } else if is_for_encryption && !is_encrypted && value != "false" {
                return Err(format!("has {shown}, but is encrypted only with rediss:// in front"));
            } else if name != "protocol"
                && !is_for_encryption
                && !asks_for_default(DEFAULTS, &name, &value)
            {
                refuse(&name, shown)?;
                parameters.ignored.push(shown.to_owned());
            }
        }
        Ok(parameters)
    }
}

/// Refuses what can't safely be ignored.
fn refuse(name: &str, shown: &str) -> Result<(), String> {
    if is_of_security(name) {
        return Err(format!(
            "has the parameter {shown}, which can't be honoured: certificates are always \
             checked; remove it, and name the server's root certificate in REDIS_SSLROOTCERT"
        ));
    }
    if MISPLACED.contains(&name) {
        let what = "whose place is before the `?`: redis://USER:PASSWORD@HOST:PORT/DATABASE";
        return Err(format!("has the parameter {shown}, {what}"));
    }
    Ok(())
}
