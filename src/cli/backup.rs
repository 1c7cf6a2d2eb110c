//! `backup`: a copy of the embedded store's database, made beside a running service.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;

use super::{Context, UsageError, embedded, say};
use crate::config::{Config, EmbeddedStores};
use crate::sqlite::{self, Copied, Existing};
use crate::telemetry;

#[derive(Args)]
pub(super) struct Arguments {
    /// The file to make; `-` writes to stdout.
    file: PathBuf,
    /// Replace a file that exists.
    #[arg(long)]
    force: bool,
}

pub(super) fn backup(arguments: &Arguments, context: Context<'_>) -> anyhow::Result<()> {
    let config = context.config()?;
    let stores = embedded(&config, "`pg_dump`")?;
    telemetry::start(config.log_level, config.log_format)?;
    if arguments.file == Path::new("-") {
        return to_stdout(&config, &stores);
    }
    let existing = if arguments.force { Existing::Replaced } else { Existing::Refused };
    let copied = sqlite::back_up(&stores, &arguments.file, existing)?;
    Ok(say(&told(copied, &arguments.file.display().to_string(), &config, &stores))?)
}

fn to_stdout(config: &Config, stores: &EmbeddedStores) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    if stdout.is_terminal() {
        return Err(UsageError("a backup is not text: `backup - > FILE`".to_owned()).into());
    }
    let copied = sqlite::write_backup(stores, &mut stdout)?;
    Ok(writeln!(io::stderr(), "{}", told(copied, "stdout", config, stores))?)
}

/// What was copied, and what to keep with it.
fn told(copied: Copied, to: &str, config: &Config, stores: &EmbeddedStores) -> String {
    let Copied { users, bytes } = copied;
    let users = if users == 1 { "1 user".to_owned() } else { format!("{users} users") };
    let beside = match &config.jwt_secret_key {
        Some(_) => "the value of JWT_SECRET_KEY".to_owned(),
        None => stores.jwt_secret().display().to_string(),
    };
    format!(
        "Copied the database to {to} and checked the copy: {users}, {bytes} bytes.\n\
         It holds the database alone. Keep {beside} with it: without that, everybody has to sign \
         in again."
    )
}
