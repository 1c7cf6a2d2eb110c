//! `restore`: a backup in the place of the embedded store's database.

use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};

use clap::Args;

use super::{Context, UsageError, embedded, say};
use crate::sqlite::{self, Restored};
use crate::telemetry;

#[derive(Args)]
pub(super) struct Arguments {
    /// A file that `backup` made, or a plain copy of the database; `-` reads it from stdin.
    file: PathBuf,
}

pub(super) fn restore(arguments: &Arguments, context: Context<'_>) -> anyhow::Result<()> {
    let config = context.config()?;
    let stores = embedded(&config, "`pg_restore` or `psql`")?;
    telemetry::start(config.log_level, config.log_format)?;
    let path = (arguments.file != Path::new("-")).then_some(arguments.file.as_path());
    if path.is_none() && io::stdin().is_terminal() {
        return Err(UsageError("a backup is not typed: `restore - < FILE`".to_owned()).into());
    }
    let Restored { copied, kept } = sqlite::restore(&stores, path, io::stdin().lock())?;
    let users = copied.users;
    let users = if users == 1 { "1 user".to_owned() } else { format!("{users} users") };
    say(&format!("Restored {}: {users}.", stores.database().display()))?;
    if let Some(kept) = kept {
        say(&format!("The database that was there is kept as {}.", kept.display()))?;
    }
    let secret = stores.jwt_secret();
    let file = secret.display();
    match (&config.jwt_secret_key, secret.exists()) {
        (Some(_), _) => say("Tokens stay good if JWT_SECRET_KEY is the one of the backup.")?,
        (None, true) => say(&format!("Tokens stay good if {file} is the one of the backup."))?,
        (None, false) => say(&format!(
            "{file} is missing: put the one of the backup there, or everybody has to sign in again."
        ))?,
    }
    Ok(())
}
