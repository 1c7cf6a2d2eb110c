//! A server's configuration: `PORT=eighty cargo run -p env-config --example server`.

use std::process::ExitCode;

use env_config::{Environment, Reader, variables};

variables! {
    pub(crate) GROUPS, VARIABLES:
    "Listening" {
        HOST: String = Variable::text().default("127.0.0.1");
        PORT: u16 = Variable::parsed(|value| {
            value.parse().map_err(|_| "is not a port from 1 to 65535".to_owned())
        }).default("8080");
    }
    "Secrets" {
        SIGNING_KEY: String = Variable::secret_text().example("the output of `openssl rand -hex 32`");
    }
}

struct Config {
    address: String,
}

fn read(reader: &mut Reader<'_>) -> Option<Config> {
    let host = reader.value(&HOST);
    let port = reader.value(&PORT);
    if reader.value(&SIGNING_KEY).is_none() {
        reader.missing(&SIGNING_KEY, "signs the sessions");
    }
    Some(Config { address: format!("{}:{}", host?, port?) })
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "it is an example")]
fn main() -> ExitCode {
    let environment = Environment::of_process();
    let mut reader = Reader::new(&environment, VARIABLES, |path| std::fs::read_to_string(path));
    let config = read(&mut reader);
    match reader.finish(config) {
        Ok((config, warnings)) => {
            println!("Listening on {}; warnings: {warnings:?}", config.address);
            ExitCode::SUCCESS
        }
        Err(problems) => {
            eprintln!("{problems}");
            for group in GROUPS {
                let names: Vec<_> = group.variables.iter().map(|variable| variable.name).collect();
                eprintln!("{}: {}", group.title, names.join(", "));
            }
            ExitCode::from(2)
        }
    }
}
