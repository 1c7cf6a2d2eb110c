//! `sandbox`: a stand-in for Discogs on this machine, alone or alongside `serve`.

use std::net::Ipv4Addr;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use discogs_sandbox::{Options, Sandbox};
use tokio::net::TcpListener;

use super::signals::Signals;
use super::{say, surroundings};
use crate::surroundings::Surroundings;

/// The default port of the stand-in.
pub(super) const PORT: u16 = 8014;

/// The app's credentials that the sandbox accepts.
pub(super) const CONSUMER_KEY: &str = "sandbox-key";
pub(super) const CONSUMER_SECRET: &str = "sandbox-secret";

#[derive(Args)]
pub(super) struct SandboxArguments {
    /// The port on 127.0.0.1.
    #[arg(long, value_name = "PORT", default_value_t = PORT)]
    port: u16,
}

pub(super) async fn sandbox(arguments: &SandboxArguments) -> anyhow::Result<()> {
    let sandbox = start(arguments.port, "--port", &surroundings()?).await?;
    say(&format!("A stand-in for Discogs listens on {}.", sandbox.url()))?;
    say(&format!(
        "Consumer key {CONSUMER_KEY}, consumer secret {CONSUMER_SECRET}. Press Ctrl-C to stop."
    ))?;
    Signals::listen()?.next().await;
    Ok(())
}

/// Starts the stand-in, which stops when the result is dropped.
///
/// `option` is the command-line option that sets its port.
pub(super) async fn start(
    port: u16,
    option: &str,
    surroundings: &Surroundings,
) -> anyhow::Result<Sandbox> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
    let listener = listener.with_context(|| {
        format!(
            "can't listen on 127.0.0.1:{port} for the sandbox: stop the program that uses this \
             port, or choose another one with {option}"
        )
    })?;
    let Surroundings { clock, random, .. } = surroundings.clone();
    let seed = u64::from_le_bytes(random.bytes());
    let now = Arc::new(move || clock.now().since_epoch());
    let consumer_name = "Discogsography".to_owned();
    Ok(Sandbox::start(listener, Options { consumer_name, ..Options::new(now, seed) })?)
}
