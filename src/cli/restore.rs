//! `restore`: replaces the embedded store's database with a backup.

use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};

use clap::Args;
use sqlite_file::Restored;

use super::backup::users;
use super::{Context, UsageError, embedded, say};
use crate::{sqlite, telemetry};

#[derive(Args)]
pub(super) struct RestoreArguments {
    /// A file that `backup` created, or a plain copy of the database; `-` reads from stdin.
    file: PathBuf,
}

pub(super) fn restore(arguments: &RestoreArguments, context: Context<'_>) -> anyhow::Result<()> {
    let config = context.config()?;
    let stores = embedded(&config, "`pg_restore` or `psql`")?;
    telemetry::start(config.log_level, config.log_format)?;
    let path = (arguments.file != Path::new("-")).then_some(arguments.file.as_path());
    if path.is_none() && io::stdin().is_terminal() {
        return Err(UsageError("a backup is not typed: use `restore - < FILE`".to_owned()).into());
    }
    let settings = sqlite::settings(&stores);
    let Restored { copied, kept } = sqlite_file::restore(&settings, path, io::stdin().lock())?;
    say(&format!("Restored {}: {}.", settings.database.display(), users(copied.count)))?;
    if let Some(kept) = kept {
        say(&format!("The previous database is kept as {}.", kept.display()))?;
    }
    let (secret, key) = (stores.jwt_secret(), stores.master_key());
    let secret = needed(config.jwt_secret_key.is_some(), "JWT_SECRET_KEY", &secret, "sign in");
    let is_set = config.encryption.current.is_some();
    let key = needed(is_set, "ENCRYPTION_MASTER_KEY", &key, "connect Discogs");
    say(&format!("{secret}\n{key}"))?;
    Ok(())
}

/// Returns what the operator has to do about a secret that is not part of the backup.
fn needed(is_set: bool, variable: &str, file: &Path, again: &str) -> String {
    let file_exists = file.exists();
    let file = file.display();
    if is_set {
        format!("No user has to {again} again if {variable} is the one of the backup.")
    } else if file_exists {
        format!("No user has to {again} again if {file} is the one of the backup.")
    } else {
        format!(
            "{file} is missing: put the one of the backup there, or every user has to {again} again."
        )
    }
}
