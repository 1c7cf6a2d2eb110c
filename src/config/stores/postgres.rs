//! Reads where PostgreSQL is: separate variables, `DATABASE_URL`, or both.

use env_config::{Reader, Sourced, Variable};

use super::super::variables::{
    DATABASE_URL, POSTGRES_ADDRESS, POSTGRES_DATABASE, POSTGRES_HOST, POSTGRES_PASSWORD,
    POSTGRES_PORT, POSTGRES_STATEMENTS, POSTGRES_USERNAME,
};
use super::url_parameters::warn_of_ignored;
use super::{ChannelBinding, PostgresConfig, PostgresTls, StatementNames, tls};

const DEFAULT_PORT: u16 = 5432;
const APPLICATION_NAME: &str = "discogsography-api";

pub(super) fn read(reader: &mut Reader<'_>, because: &str) -> Option<PostgresConfig> {
    let url_name = reader.name_in_use("DATABASE_URL");
    let url = reader.value(&DATABASE_URL).unwrap_or_default();
    warn_of_ignored(reader, &url_name, &url.ignored);
    let is_url_malformed = reader.has_problem_with("DATABASE_URL");
    let (host, port) = read_place(reader, &url_name, url.host, url.port);
    let mut text = |variable: &Variable<String>, what, in_url| {
        let own = reader.value(variable);
        let own = Sourced::new(reader.name_in_use(variable.declaration.name), own);
        reader.agreed(what, [own, Sourced::new(&*url_name, in_url)])
    };
    let username = text(&POSTGRES_USERNAME, "user name", url.username);
    let password = text(&POSTGRES_PASSWORD, "password", url.password);
    let database = text(&POSTGRES_DATABASE, "database", url.database);
    let tls = tls::read_postgres(reader, &url_name, [url.sslmode, url.sslrootcert]);
    let statements = Sourced::new("POSTGRES_STATEMENTS", reader.value(&POSTGRES_STATEMENTS));
    let statements =
        reader.agreed("kind of statements", [statements, Sourced::new(&*url_name, url.statements)]);
    let channel_binding = url.channel_binding.unwrap_or(ChannelBinding::Prefer);
    if channel_binding == ChannelBinding::Require && matches!(tls, PostgresTls::Disable) {
        let what = "has channel_binding=require, which needs encryption: set its sslmode, too";
        reader.problem(&url_name, what, Some("sslmode=verify-full"));
    }
    if !is_url_malformed {
        let why = format!("is needed {because}");
        // If POSTGRES_HOST is malformed, that is reported already.
        if host.is_none() && !reader.has_problem_with("POSTGRES_HOST") {
            reader.missing(&POSTGRES_ADDRESS, &why);
        }
        for (variable, value) in [
            (&POSTGRES_USERNAME, &username),
            (&POSTGRES_PASSWORD, &password),
            (&POSTGRES_DATABASE, &database),
        ] {
            if value.is_none() {
                reader.missing(variable, &why);
            }
        }
    }
    Some(PostgresConfig {
        host: host?,
        port: port.unwrap_or(DEFAULT_PORT),
        username: username?,
        password: password?.into(),
        database: database?,
        tls,
        statements: statements.unwrap_or(StatementNames::Named),
        application_name: url.application_name.as_deref().unwrap_or(APPLICATION_NAME).into(),
        channel_binding,
    })
}

fn read_place(
    reader: &mut Reader<'_>,
    url_name: &str,
    host_in_url: Option<String>,
    port_in_url: Option<u16>,
) -> (Option<String>, Option<u16>) {
    let mut hosts = Vec::new();
    let mut ports = Vec::new();
    for variable in [&POSTGRES_ADDRESS, &POSTGRES_HOST] {
        if let Some(address) = reader.value(variable) {
            let name = variable.declaration.name;
            hosts.push(Sourced::new(name, Some(address.host)));
            ports.push(Sourced::new(name, address.port));
        }
    }
    ports.push(Sourced::new("POSTGRES_PORT", reader.value(&POSTGRES_PORT)));
    hosts.push(Sourced::new(url_name, host_in_url));
    ports.push(Sourced::new(url_name, port_in_url));
    (reader.agreed("host", hosts), reader.agreed("port", ports))
}

pub(in crate::config) fn parse_statements(value: &str) -> Result<StatementNames, String> {
    match value.to_ascii_lowercase().as_str() {
        "named" => Ok(StatementNames::Named),
        "unnamed" => Ok(StatementNames::Unnamed),
        _ => Err("is neither named nor unnamed".to_owned()),
    }
}
