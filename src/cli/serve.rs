//! `serve`: runs the service until a signal arrives, optionally with a sandbox.

use std::time::{Duration, Instant};

use clap::Args;
use oauth1::Consumer;
use tracing::{info, warn};

use super::sandbox::{CONSUMER_KEY, CONSUMER_SECRET, PORT};
use super::signals::Signals;
use super::{Context, sandbox, surroundings};
use crate::config::{IfLost, StoreKind, Stores};
use crate::{server, telemetry};

/// Signals that arrive within this time count as one.
///
/// `timeout` and terminals send two.
const ONE_SIGNAL: Duration = Duration::from_millis(100);

#[derive(Default, Args)]
pub(super) struct ServeArguments {
    /// With `--sandbox`: the port of the stand-in on 127.0.0.1 [default: 8014].
    #[arg(long, value_name = "PORT")]
    pub(super) sandbox_port: Option<u16>,
    /// If the database is lost, start with a new and empty one instead of waiting for a backup.
    #[arg(long)]
    new_database: bool,
}

pub(super) async fn serve(arguments: &ServeArguments, context: Context<'_>) -> anyhow::Result<()> {
    let mut config = context.config()?;
    if let (true, Stores::Embedded(embedded)) = (arguments.new_database, &mut config.stores) {
        embedded.if_lost = IfLost::StartAfresh;
    }
    telemetry::start(config.log_level, config.log_format)?;
    let listeners = server::bind(&config)?;
    let mut surroundings = surroundings()?;
    let sandbox = if context.store == StoreKind::Sandbox {
        let port = arguments.sandbox_port.unwrap_or(PORT);
        let sandbox = sandbox::start(port, "--sandbox-port", &surroundings).await?;
        config.discogs.api_url = sandbox.url();
        config.discogs.web_url = sandbox.url();
        let (key, secret) = (CONSUMER_KEY.to_owned(), CONSUMER_SECRET.into());
        surroundings.sandbox_consumer = Some(Consumer { key, secret });
        info!(url = sandbox.url(), "🚀 A sandbox stands in for Discogs");
        Some(sandbox)
    } else {
        None
    };
    let stop = told_to_stop(Signals::listen()?);
    let served = server::run(config, listeners, surroundings, stop).await;
    drop(sandbox);
    Ok(served?)
}

/// Waits for the first signal; a second one ends the process at once.
async fn told_to_stop(mut signals: Signals) {
    signals.next().await;
    let first = Instant::now();
    tokio::spawn(async move {
        while first.elapsed() < ONE_SIGNAL {
            signals.next().await;
        }
        warn!("⚠️ Told to stop a second time: ending at once");
        telemetry::flush();
        std::process::exit(1);
    });
}
