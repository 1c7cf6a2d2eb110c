//! `takeover check`: prints what this service would find in the stores of a Python service.

use clap::Subcommand;

use super::doctor::show;
use super::{Context, UsageError, surroundings};
use crate::config::StoreKind;
use crate::doctor::check_takeover;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Check the stores of a Python service, while it runs, before this service takes over.
    ///
    /// It changes nothing, and a database role that can only read is enough. It reads every user and
    /// every secret, and makes at most two calls to Discogs. Set the variables as for the service.
    #[command(
        after_help = "Exit codes: 0 no errors; 1 at least one error; 2 the configuration is invalid.\n\n\
                      Examples:\n  discogsography-api takeover check\n  \
                      discogsography-api takeover check --json"
    )]
    Check {
        /// Print a JSON object instead of text.
        #[arg(long)]
        json: bool,
    },
}

pub(super) async fn takeover(command: &Command, context: Context<'_>) -> anyhow::Result<()> {
    let Command::Check { json } = command;
    if context.store == StoreKind::Sandbox {
        let error = "takeover check reads the stores of a Python service: omit --sandbox";
        return Err(UsageError(error.to_owned()).into());
    }
    show(&check_takeover(context.environment, &surroundings()?).await, *json)
}
