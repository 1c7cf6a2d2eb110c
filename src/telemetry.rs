//! The log on stderr: one JSON object a line, or text for people on a terminal.
//!
//! The service's own events are logged at the configured level and above. Events of other crates
//! are logged at warning level and above, whatever the configured level: their details may contain
//! secrets.

mod format;
mod sink;

use std::io::IsTerminal as _;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use thiserror::Error;
use tracing::dispatcher::SetGlobalDefaultError;
use tracing::level_filters::LevelFilter;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::clock::Clock;
use crate::config::{LogFormat, LogLevel};
use format::{Lines, Shape};
use sink::{Losses, Sink};

/// The crates whose events follow the configured level.
const OWN_CRATES: [&str; 2] = ["discogsography_api", "discogs_sandbox"];

/// How many lines may wait to be written; further lines are dropped.
const MOST_WAITING: usize = 4096;

/// The log of this process, once it is started.
static LOG: OnceLock<Log> = OnceLock::new();

struct Log {
    losses: Arc<Losses>,
    /// Writes the waiting lines when it is dropped.
    guard: Mutex<Option<WorkerGuard>>,
}

/// The marks that begin messages; `tests/it/logging.rs` checks every message.
pub const MARKS: [&str; 9] = ["🚀", "💾", "🔴", "🏥", "🔐", "🔧", "📊", "⚠️", "❌"];

/// Why the log did not start.
#[derive(Debug, Error)]
pub enum LogError {
    /// A process has one log.
    #[error("the log has been started already")]
    Started(#[from] SetGlobalDefaultError),
}

/// Starts the log of this process.
///
/// # Errors
///
/// See [`LogError`].
pub fn start(level: LogLevel, format: LogFormat) -> Result<(), LogError> {
    let is_terminal = std::io::stderr().is_terminal();
    let shape = match format {
        LogFormat::Pretty | LogFormat::Auto if is_terminal => Shape::Coloured,
        LogFormat::Pretty => Shape::Plain,
        LogFormat::Json | LogFormat::Auto => Shape::Json,
    };
    let report = match shape {
        Shape::Json => report_as_json,
        Shape::Coloured | Shape::Plain => report_as_text,
    };
    let losses = Arc::<Losses>::default();
    let sink = Sink::new(std::io::stderr(), Arc::clone(&losses), report);
    let appender = NonBlockingBuilder::default().buffered_lines_limit(MOST_WAITING);
    let (appender, guard) = appender.thread_name("log").finish(sink);
    let _ = losses.not_queued.set(appender.error_counter());
    let lines = fmt::layer()
        .event_format(Lines { shape, clock: Clock::system() })
        .log_internal_errors(false)
        .with_writer(appender);
    let subscriber = tracing_subscriber::registry().with(filter(level)).with(lines);
    tracing::subscriber::set_global_default(subscriber)?;
    let _ = LOG.set(Log { losses, guard: Mutex::new(Some(guard)) });
    std::panic::set_hook(Box::new(log_panic));
    Ok(())
}

/// Writes the lines that are waiting and ends the log, just before the process exits.
///
/// Waits about a second at most: the reader of the log may be stuck.
pub fn flush() {
    if let Some(log) = LOG.get() {
        drop(log.guard.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

/// Returns how many lines were lost since the log was started.
#[must_use]
pub fn lines_dropped() -> u64 {
    LOG.get().map_or(0, |log| log.losses.total())
}

fn filter(level: LogLevel) -> Targets {
    let level = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warning => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let own = OWN_CRATES.map(|own| (own, level));
    Targets::new().with_default(level.min(LevelFilter::WARN)).with_targets(own)
}

fn report_as_text(missing: u64) -> String {
    format!("⚠️ {missing} lines are missing here: the queue was full, or writing failed\n")
}

fn report_as_json(missing: u64) -> String {
    let message = "⚠️ Lines are missing here: the queue was full, or writing failed";
    let timestamp = Clock::system().now();
    format!(
        "{{\"timestamp\":\"{timestamp}\",\"level\":\"WARN\",\"message\":\"{message}\",\
         \"lines\":{missing},\"target\":\"discogsography_api::telemetry\"}}\n"
    )
}

/// Returns an error with all its causes on one line: `outer: inner: innermost`.
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

/// Logs where a panic happened, without its message, which may contain anything.
fn log_panic(panic: &std::panic::PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!(place, "❌ Panic: this is a bug in the service, please report it");
}
