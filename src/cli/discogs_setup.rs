//! `discogs-setup`: the app's Discogs credentials, with the options of the Python service's command.

use std::io::BufRead as _;

use clap::Args;
use secrecy::ExposeSecret as _;

use super::{Context, NewDatabase, UsageError, open_with_keys, say};
use crate::config::StoreKind;
use crate::keys;
use crate::model::{ConfigKey, ConfigValue, mask};
use crate::storage::{Storage, Written};

#[derive(Args)]
#[group(required = true, multiple = true)]
pub(super) struct SetupArguments {
    /// The consumer key that Discogs gave the app; `-` reads it from stdin.
    #[arg(long, value_name = "KEY", requires = "consumer_secret")]
    consumer_key: Option<String>,
    /// The consumer secret; `-` reads it from stdin, which keeps it out of the process list.
    #[arg(long, value_name = "SECRET", requires = "consumer_key")]
    consumer_secret: Option<String>,
    /// Show the credentials, masked.
    #[arg(long, conflicts_with_all = ["consumer_key", "consumer_secret", "unset"])]
    show: bool,
    /// Remove the credentials.
    #[arg(long, conflicts_with_all = ["consumer_key", "consumer_secret"])]
    unset: bool,
}

pub(super) async fn discogs_setup(
    arguments: &SetupArguments,
    context: Context<'_>,
) -> anyhow::Result<()> {
    let values = values(arguments)?;
    // The credentials may be set before the first start.
    let new = if values.is_empty() { NewDatabase::Refuse } else { NewDatabase::Create };
    let (storage, keyring) = open_with_keys(context, new).await?;
    if arguments.show {
        show(&*storage).await?;
    } else if arguments.unset {
        say(match storage.delete_config(&ConfigKey::ALL).await? {
            Written::Changed => "The Discogs app credentials are removed.",
            Written::Unchanged => "The Discogs app credentials were not set.",
        })?;
    } else {
        // A value that is encrypted with a wrong key would be lost.
        keys::fit(&*storage, &keyring).await?;
        storage.put_config(&values).await?;
        say(match context.store {
            StoreKind::Real => {
                "The Discogs app credentials are set. They take effect at once, also in services \
                 that are running on this store."
            }
            StoreKind::Sandbox => {
                "The Discogs app credentials are set in the sandbox's store, where nothing uses \
                 them: `serve --sandbox` has its own."
            }
        })?;
    }
    storage.close().await;
    Ok(())
}

async fn show(storage: &dyn Storage) -> anyhow::Result<()> {
    let entries = storage.config().await?;
    for key in ConfigKey::ALL {
        let entry = entries.iter().find(|entry| entry.key == key);
        let shown = entry.map_or_else(
            || "not set".to_owned(),
            |entry| format!("{} (since {})", mask(entry.value.expose_secret()), entry.updated_at),
        );
        say(&format!("{}: {shown}", key.as_str()))?;
    }
    Ok(())
}

/// The values to write, in the order in which they are read from stdin.
fn values(arguments: &SetupArguments) -> anyhow::Result<Vec<(ConfigKey, ConfigValue)>> {
    let given = [
        (ConfigKey::DiscogsConsumerKey, "--consumer-key", &arguments.consumer_key),
        (ConfigKey::DiscogsConsumerSecret, "--consumer-secret", &arguments.consumer_secret),
    ];
    let mut values = Vec::new();
    for (key, option, given) in given {
        let Some(given) = given else { continue };
        let text = if given == "-" { line_of_stdin()? } else { given.clone() };
        let value =
            ConfigValue::parse(&text).map_err(|error| UsageError(format!("{option}: {error}")))?;
        values.push((key, value));
    }
    Ok(values)
}

fn line_of_stdin() -> std::io::Result<String> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    Ok(line)
}
