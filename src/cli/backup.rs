//! `backup`: copies the embedded store's database while a service may be running on it.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use clap::Args;
use sqlite_file::{Copied, CopyError, Existing, back_up, write_backup};

use super::{Context, UsageError, embedded, say};
use crate::config::{Config, EmbeddedStores};
use crate::{sqlite, telemetry};

#[derive(Args)]
pub(super) struct BackupArguments {
    /// The file to create; `-` writes to stdout.
    file: PathBuf,
    /// Replace an existing file.
    #[arg(long)]
    force: bool,
}

pub(super) fn backup(arguments: &BackupArguments, context: Context<'_>) -> anyhow::Result<()> {
    let config = context.config()?;
    let stores = embedded(&config, "`pg_dump`")?;
    telemetry::start(config.log_level, config.log_format)?;
    if arguments.file == Path::new("-") {
        return to_stdout(&config, &stores);
    }
    let existing = if arguments.force { Existing::Replaced } else { Existing::Refused };
    let copied = back_up(&sqlite::settings(&stores), &arguments.file, existing).map_err(advised)?;
    Ok(say(&summary(copied, &arguments.file.display().to_string(), &config, &stores))?)
}

fn to_stdout(config: &Config, stores: &EmbeddedStores) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    if stdout.is_terminal() {
        return Err(UsageError("a backup is not text: use `backup - > FILE`".to_owned()).into());
    }
    let copied = write_backup(&sqlite::settings(stores), &mut stdout).map_err(advised)?;
    Ok(writeln!(io::stderr(), "{}", summary(copied, "stdout", config, stores))?)
}

/// Adds what the operator can do.
fn advised(error: CopyError) -> anyhow::Error {
    match error {
        CopyError::Lost(loss) => anyhow!(sqlite::advice(&loss)),
        CopyError::NoDatabase(missing) => anyhow!("{missing}: is DATA_DIR right?"),
        CopyError::Exists(_) => anyhow!("{error}, or use --force to replace it"),
        error => error.into(),
    }
}

fn summary(copied: Copied, to: &str, config: &Config, stores: &EmbeddedStores) -> String {
    let Copied { count, bytes } = copied;
    let users = users(count);
    let secret = match &config.jwt_secret_key {
        Some(_) => "the value of JWT_SECRET_KEY".to_owned(),
        None => stores.jwt_secret().display().to_string(),
    };
    let key = match &config.encryption.current {
        Some(_) => "the value of ENCRYPTION_MASTER_KEY".to_owned(),
        None => stores.master_key().display().to_string(),
    };
    format!(
        "Copied the database to {to} and checked the copy: {users}, {bytes} bytes.\n\
         Keep {secret} with it: without that secret, every user has to sign in again.\n\
         Keep {key} with it, too: without that key, every user has to connect Discogs again."
    )
}

pub(super) fn users(count: i64) -> String {
    if count == 1 { "1 user".to_owned() } else { format!("{count} users") }
}
