//! `doctor`: says what is wrong with what the service stands on, and what to do about it.

use clap::Args;
use thiserror::Error;

use super::{Context, say, surroundings};
use crate::config::StoreKind;
use crate::doctor::{self, Severity};

#[derive(Args)]
pub(super) struct Arguments {
    /// Print one JSON document instead of lines for people.
    #[arg(long)]
    json: bool,
}

/// Nothing can be started with this configuration.
#[derive(Debug, Error)]
#[error("the configuration can't be used; the report says what to do")]
pub(super) struct Unusable;

pub(super) async fn doctor(arguments: &Arguments, context: Context<'_>) -> anyhow::Result<()> {
    if context.store == StoreKind::Sandbox {
        context.refuse_real_servers()?;
    }
    let report = doctor::examine(context.environment, context.store, &surroundings()?).await;
    if arguments.json {
        say(&serde_json::to_string_pretty(&report)?)?;
    } else {
        say(&report.to_string())?;
    }
    if !report.is_configuration_usable {
        return Err(Unusable.into());
    }
    if report.severity == Severity::Error {
        anyhow::bail!("something is wrong; the report says what to do");
    }
    Ok(())
}
