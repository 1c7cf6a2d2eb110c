//! `doctor`: prints problems with the service's dependencies, and how to fix them.

use clap::Args;
use thiserror::Error;

use super::{Context, say, surroundings};
use crate::config::StoreKind;
use crate::doctor::{self, Report, Severity};

#[derive(Args)]
pub(super) struct DoctorArguments {
    /// Print a JSON object instead of text.
    #[arg(long)]
    json: bool,
}

/// The configuration is invalid.
#[derive(Debug, Error)]
#[error("the configuration is invalid; the report says what to do")]
pub(super) struct Unusable;

pub(super) async fn doctor(
    arguments: &DoctorArguments,
    context: Context<'_>,
) -> anyhow::Result<()> {
    if context.store == StoreKind::Sandbox {
        context.refuse_real_servers()?;
    }
    let report = doctor::examine(context.environment, context.store, &surroundings()?).await;
    show(&report, arguments.json)
}

/// Prints a report; an error in it becomes the command's exit code.
pub(super) fn show(report: &Report, is_json: bool) -> anyhow::Result<()> {
    say(&if is_json { serde_json::to_string_pretty(report)? } else { report.to_string() })?;
    if !report.is_configuration_usable {
        return Err(Unusable.into());
    }
    if report.severity == Severity::Error {
        anyhow::bail!("there are errors; the report says what to do");
    }
    Ok(())
}
