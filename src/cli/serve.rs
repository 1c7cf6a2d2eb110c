//! `serve`: run the service until a signal comes, with a sandbox beside it where asked.

use std::time::Duration;

use clap::Args;
use oauth1::Consumer;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{info, warn};

use super::sandbox::{CONSUMER_KEY, CONSUMER_SECRET, PORT};
use super::{Context, sandbox, surroundings};
use crate::config::StoreKind;
use crate::{server, telemetry};

/// So long a second signal waits for its own line to be written.
const AT_ONCE: Duration = Duration::from_millis(100);

#[derive(Default, Args)]
pub(super) struct Arguments {
    /// With `--sandbox`: the port of the stand-in on 127.0.0.1 [default: 8014].
    #[arg(long, value_name = "PORT")]
    pub(super) sandbox_port: Option<u16>,
}

pub(super) async fn serve(arguments: &Arguments, context: Context<'_>) -> anyhow::Result<()> {
    let mut config = context.config()?;
    telemetry::start(config.log_level, config.log_format)?;
    let listeners = server::bind(&config)?;
    let mut surroundings = surroundings()?;
    let sandbox = if context.store == StoreKind::Sandbox {
        let port = arguments.sandbox_port.unwrap_or(PORT);
        let sandbox = sandbox::start(port, &surroundings).await?;
        config.discogs.api_url = sandbox.url();
        config.discogs.web_url = sandbox.url();
        let (key, secret) = (CONSUMER_KEY.to_owned(), CONSUMER_SECRET.into());
        surroundings.sandbox_consumer = Some(Consumer { key, secret });
        info!(url = sandbox.url(), "🚀 A sandbox stands in for Discogs");
        Some(sandbox)
    } else {
        None
    };
    let (terminate, interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let served =
        server::run(config, listeners, surroundings, told_to_stop(terminate, interrupt)).await;
    drop(sandbox);
    Ok(served?)
}

/// Waits for the first signal; a second one ends the process at once.
async fn told_to_stop(mut terminate: Signal, mut interrupt: Signal) {
    either(&mut terminate, &mut interrupt).await;
    tokio::spawn(async move {
        either(&mut terminate, &mut interrupt).await;
        warn!("⚠️ Told to stop a second time: ending at once");
        telemetry::flush(AT_ONCE);
        std::process::exit(1);
    });
}

async fn either(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
