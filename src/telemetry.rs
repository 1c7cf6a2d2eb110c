//! The log: one JSON object a line, or lines for people on a terminal; always on stderr.
//!
//! Our own lines are shown from the configured level on. Of the libraries only warnings are
//! shown, whatever the level: their details may hold what must not be logged.

mod lines;
mod output;
mod sink;

use std::io::IsTerminal as _;
use std::sync::OnceLock;
use std::time::Duration;

use thiserror::Error;
use tracing::dispatcher::SetGlobalDefaultError;
use tracing::level_filters::LevelFilter;

use crate::clock::Clock;
use crate::config::{LogFormat, LogLevel};
use lines::{Lines, Shape};
use output::Output;

/// The log of this process, once it was started.
static OUTPUT: OnceLock<Output> = OnceLock::new();

/// The marks that begin our messages; `tests/it/tidy.rs` holds the messages to them.
pub const MARKS: [&str; 10] = ["🚀", "💾", "🔴", "🏥", "🔐", "✅", "🔧", "📊", "⚠️", "❌"];

/// Why the log did not start.
#[derive(Debug, Error)]
pub enum LogError {
    /// A process has one log.
    #[error("the log has been started already")]
    Started(#[from] SetGlobalDefaultError),
    /// The machine gives no more threads.
    #[error("the log's thread can't be started")]
    NoThread(#[from] std::io::Error),
}

/// Starts the log of this process.
///
/// # Errors
///
/// See [`LogError`].
pub fn start(level: LogLevel, format: LogFormat) -> Result<(), LogError> {
    let level = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warning => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let is_terminal = std::io::stderr().is_terminal();
    let shape = match format {
        LogFormat::Pretty | LogFormat::Auto if is_terminal => Shape::Coloured,
        LogFormat::Pretty => Shape::Plain,
        LogFormat::Json | LogFormat::Auto => Shape::Json,
    };
    let dropped = match shape {
        Shape::Json => dropped_as_json,
        Shape::Coloured | Shape::Plain => dropped_for_people,
    };
    let output = Output::start(Box::new(std::io::stderr()), dropped)?;
    let _ = OUTPUT.set(output.clone());
    let lines = Lines { level, shape, clock: Clock::system(), output };
    tracing::subscriber::set_global_default(lines)?;
    std::panic::set_hook(Box::new(log_panic));
    Ok(())
}

/// Has what was logged so far written, if that takes no longer than `limit`; the last thing before
/// the process ends.
pub fn flush(limit: Duration) {
    if let Some(output) = OUTPUT.get() {
        output.flush(limit);
    }
}

/// How many lines did not get into the log since its start; none before it.
#[must_use]
pub fn lines_dropped() -> u64 {
    OUTPUT.get().map_or(0, Output::dropped)
}

fn dropped_for_people(count: u64) -> Vec<u8> {
    format!("⚠️ {count} lines are missing here: the log was not taken in time, or not at all\n")
        .into_bytes()
}

fn dropped_as_json(count: u64) -> Vec<u8> {
    let message = "⚠️ Lines are missing here: the log was not taken in time, or not at all";
    let timestamp = Clock::system().now();
    format!(
        "{{\"timestamp\":\"{timestamp}\",\"level\":\"WARN\",\"message\":\"{message}\",\
         \"lines\":{count},\"target\":\"discogsography_api::telemetry\"}}\n"
    )
    .into_bytes()
}

/// An error with all its causes in one line: `outer: inner: innermost`.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let inner = error.to_string();
        if !text.ends_with(&inner) {
            text = format!("{text}: {inner}");
        }
        cause = error.source();
    }
    text
}

/// Says where a panic happened; its message may hold anything, so it is left out.
fn log_panic(panic: &std::panic::PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!(place, "❌ A panic: this is a mistake in the service, please report it");
}
