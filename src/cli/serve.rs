//! `serve`: run the service until a signal comes, with a sandbox beside it where asked.

use std::time::Duration;

use clap::Args;
use oauth1::Consumer;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{info, warn};

use super::sandbox::{CONSUMER_KEY, CONSUMER_SECRET, PORT};
use super::{UsageError, sandbox, surroundings};
use crate::config::{Config, Environment};
use crate::{server, telemetry};

/// So long a second signal waits for its own line to be written.
const AT_ONCE: Duration = Duration::from_millis(100);

#[derive(Default, Args)]
pub(super) struct Arguments {
    /// Also run a stand-in for Discogs and use it, so that the whole flow works offline.
    #[arg(long)]
    sandbox: bool,
    /// The port of the stand-in on 127.0.0.1.
    #[arg(long, value_name = "PORT", default_value_t = PORT, requires = "sandbox")]
    sandbox_port: u16,
}

pub(super) async fn serve(arguments: &Arguments, environment: &Environment) -> anyhow::Result<()> {
    let mut config = Config::load(environment)?;
    if arguments.sandbox {
        refuse_sandbox_with_real_servers(environment)?;
    }
    telemetry::start(config.log_level, config.log_format)?;
    let listeners = server::bind(&config)?;
    let mut surroundings = surroundings()?;
    let sandbox = if arguments.sandbox {
        let sandbox = sandbox::start(arguments.sandbox_port, &surroundings).await?;
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

/// With real users or the real Discogs, a sandbox would mix up what is real and what is not.
fn refuse_sandbox_with_real_servers(environment: &Environment) -> Result<(), UsageError> {
    for name in [
        "POSTGRES_ADDRESS",
        "POSTGRES_HOST",
        "DATABASE_URL",
        "DATABASE_URL_FILE",
        "DISCOGS_API_URL",
    ] {
        if environment.get(name).is_some() {
            return Err(UsageError(format!(
                "--sandbox can't be used while {name} is set: unset it, or leave --sandbox out"
            )));
        }
    }
    Ok(())
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
