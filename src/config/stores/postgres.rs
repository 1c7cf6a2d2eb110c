//! Where PostgreSQL is: in variables of its own, in `DATABASE_URL`, or in both.

use super::super::reader::Reader;
use super::agreement::{Given, agreed};
use super::{
    ChannelBinding, PostgresConfig, PostgresTls, StatementNames, address, database_url, tls,
};

const DEFAULT_PORT: u16 = 5432;
const APPLICATION_NAME: &str = "discogsography-api";
const ADDRESS_EXAMPLE: &str = "db.example.com:5432";

pub(super) fn read(reader: &mut Reader<'_>, because: &str) -> Option<PostgresConfig> {
    let url = database_url::read(reader);
    let is_url_malformed = reader.has_problem_with(database_url::NAME);
    let by_url = reader.name_in_use(database_url::NAME);
    let (host, port) = read_place(reader, &by_url, url.host, url.port);
    let mut secret_or_url = |name, what, in_url| {
        let own = reader.text_or_file(name);
        let own = Given::by(reader.name_in_use(name), own);
        agreed(reader, what, [own, Given::by(&*by_url, in_url)])
    };
    let username = secret_or_url("POSTGRES_USERNAME", "user name", url.username);
    let password = secret_or_url("POSTGRES_PASSWORD", "password", url.password);
    let database = reader.text("POSTGRES_DATABASE").map(str::to_owned);
    let database = Given::by("POSTGRES_DATABASE", database);
    let database = agreed(reader, "database", [database, Given::by(&*by_url, url.database)]);
    let tls = tls::read_postgres(reader, &by_url, [url.sslmode, url.sslrootcert]);
    let statements = reader.parsed("POSTGRES_STATEMENTS", "unnamed", parse_statements);
    let statements = Given::by("POSTGRES_STATEMENTS", statements);
    let given = [statements, Given::by(&*by_url, url.statements)];
    let statements = agreed(reader, "kind of statements", given);
    let channel_binding = url.channel_binding.unwrap_or(ChannelBinding::Prefer);
    if channel_binding == ChannelBinding::Require && matches!(tls, PostgresTls::Disable) {
        let what = "has channel_binding=require, which needs encryption: set its sslmode, too";
        reader.problem(&by_url, what, Some("sslmode=verify-full"));
    }
    let why = format!("is needed {because}");
    for (name, is_missing, example) in [
        ("POSTGRES_ADDRESS", host.is_none(), ADDRESS_EXAMPLE),
        ("POSTGRES_USERNAME", username.is_none(), "discogsography"),
        ("POSTGRES_PASSWORD", password.is_none(), "a long random one"),
        ("POSTGRES_DATABASE", database.is_none(), "discogsography"),
    ] {
        // What can't be read may have said it.
        let is_host_malformed =
            name == "POSTGRES_ADDRESS" && reader.has_problem_with("POSTGRES_HOST");
        if is_missing && !is_host_malformed && !is_url_malformed {
            reader.missing(name, &why, example);
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
    by_url: &str,
    host_in_url: Option<String>,
    port_in_url: Option<u16>,
) -> (Option<String>, Option<u16>) {
    let mut hosts = Vec::new();
    let mut ports = Vec::new();
    let own: [(_, fn(&str) -> _); 2] =
        [("POSTGRES_ADDRESS", address::parse), ("POSTGRES_HOST", address::parse_host)];
    for (name, parse) in own {
        if let Some(address) = reader.parsed(name, ADDRESS_EXAMPLE, parse) {
            hosts.push(Given::by(name, Some(address.host)));
            ports.push(Given::by(name, address.port));
        }
    }
    let port = reader.parsed("POSTGRES_PORT", "5432", address::parse_port);
    ports.push(Given::by("POSTGRES_PORT", port));
    hosts.push(Given::by(by_url, host_in_url));
    ports.push(Given::by(by_url, port_in_url));
    (agreed(reader, "host", hosts), agreed(reader, "port", ports))
}

fn parse_statements(value: &str) -> Result<StatementNames, String> {
    match value.to_ascii_lowercase().as_str() {
        "named" => Ok(StatementNames::Named),
        "unnamed" => Ok(StatementNames::Unnamed),
        _ => Err("is neither named nor unnamed".to_owned()),
    }
}
