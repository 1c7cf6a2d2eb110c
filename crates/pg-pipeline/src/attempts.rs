//! Opens a connection with several concurrent attempts, and uses the first that succeeds.
//!
//! Connecting may take longer than a query waits for a connection. If an attempt is slow, another
//! one starts beside it. So a server behind a slow network can be reached, and a server that recovers
//! is reached at once. This module records when a phase starts, but does not know what happens in it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::{Error, pause};

/// The time limit for all attempts together.
const TIMEOUT: Duration = Duration::from_secs(15);

/// How long an attempt runs before another one joins it.
const HEAD_START: Duration = Duration::from_secs(2);

/// The maximum number of concurrent attempts.
const MAX_ATTEMPTS: usize = 8;

/// The phases of an attempt to connect, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Resolving the host name.
    LookUp,
    /// Opening a TCP connection.
    Connecting,
    /// Performing the TLS handshake.
    Tls,
    /// Signing in.
    SignIn,
    /// Preparing the statements.
    Preparing,
}

/// The phase that an attempt has reached; clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Progress(Arc<AtomicU8>);

impl Progress {
    pub(crate) fn begin(&self, phase: Phase) {
        self.0.store(phase as u8, Ordering::Relaxed);
    }

    pub(crate) fn phase(&self) -> Phase {
        let reached = self.0.load(Ordering::Relaxed);
        let phases = [Phase::Connecting, Phase::Tls, Phase::SignIn, Phase::Preparing];
        phases.into_iter().find(|phase| *phase as u8 == reached).unwrap_or(Phase::LookUp)
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LookUp => "looking up the name",
            Self::Connecting => "connecting",
            Self::Tls => "the TLS handshake",
            Self::SignIn => "signing in",
            Self::Preparing => "preparing the statements",
        })
    }
}

/// Returns the first attempt that succeeds within [`TIMEOUT`].
///
/// A failed attempt does not stop the others; its error is returned only if none succeeds.
pub(crate) async fn race<T, F>(attempt: impl Fn(Progress) -> F) -> Result<T, Error>
where
    T: Send + 'static,
    F: Future<Output = Result<T, Error>> + Send + 'static,
{
    race_within(TIMEOUT, HEAD_START, attempt).await
}

async fn race_within<T, F>(
    limit: Duration,
    head_start: Duration,
    attempt: impl Fn(Progress) -> F,
) -> Result<T, Error>
where
    T: Send + 'static,
    F: Future<Output = Result<T, Error>> + Send + 'static,
{
    let until = Instant::now() + limit;
    let mut attempts = JoinSet::new();
    let oldest = Progress::default();
    let mut newest = oldest.clone();
    let mut task = attempts.spawn(attempt(newest.clone()));
    let mut failure: Option<Error> = None;
    loop {
        tokio::select! {
            biased;
            Some(ended) = attempts.join_next() => {
                // While other attempts run, one of them may still succeed.
                match ended.unwrap_or_else(|panic| Err(Error::Connection(panic.to_string()))) {
                    Err(error) if !attempts.is_empty() => failure = Some(error),
                    ended => return ended,
                }
            }
            () = pause(head_start) => {
                // No other attempt during the look-up: the system's resolver retries by itself.
                let is_past_look_up = newest.phase() > Phase::LookUp || task.is_finished();
                let is_hopeless = failure.as_ref().is_some_and(Error::is_lasting);
                if is_past_look_up && !is_hopeless && attempts.len() < MAX_ATTEMPTS {
                    newest = Progress::default();
                    task = attempts.spawn(attempt(newest.clone()));
                }
            }
            () = pause(until.saturating_duration_since(Instant::now())) => {
                let timeout = Error::ConnectTimeout { phase: oldest.phase(), limit };
                return Err(failure.unwrap_or(timeout));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::{MAX_ATTEMPTS, Phase, race_within};
    use crate::{Error, pause};

    const SOON: Duration = Duration::from_millis(1);
    const NEVER: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn a_stuck_attempt_is_joined_by_another() {
        let attempts = Arc::new(AtomicUsize::new(0));
        let made = race_within(NEVER, SOON, |progress| {
            let number = attempts.fetch_add(1, Ordering::Relaxed);
            async move {
                progress.begin(Phase::SignIn);
                if number < 2 {
                    std::future::pending::<()>().await;
                }
                Ok(number)
            }
        });
        assert_eq!(made.await.unwrap(), 2);
    }

    #[tokio::test]
    async fn a_slow_attempt_is_not_given_up() {
        let (answer, answered) = tokio::sync::watch::channel(false);
        let attempts = Arc::new(AtomicUsize::new(0));
        let made = race_within(NEVER, SOON, |progress| {
            let number = attempts.fetch_add(1, Ordering::Relaxed);
            let mut answered = answered.clone();
            let answer = answer.clone();
            async move {
                progress.begin(Phase::Connecting);
                if number == MAX_ATTEMPTS - 1 {
                    // The maximum number of attempts is running.
                    answer.send_replace(true);
                }
                if number > 0 {
                    std::future::pending::<()>().await;
                }
                answered
                    .wait_for(|answered| *answered)
                    .await
                    .map(|_| number)
                    .map_err(|_| Error::Closed)
            }
        });
        assert_eq!(made.await.unwrap(), 0);
        assert_eq!(attempts.load(Ordering::Relaxed), MAX_ATTEMPTS);
    }

    fn refused(code: &str) -> Error {
        Error::Server {
            code: code.to_owned(),
            message: "no".to_owned(),
            constraint: None,
            table: None,
        }
    }

    /// Races attempts of which all but the first fail with `code`; returns the result and the number of
    /// attempts. `first` reads that number as it grows.
    async fn beside_failures<F>(
        code: &'static str,
        first: impl Fn(Arc<AtomicUsize>) -> F,
    ) -> (Result<(), Error>, usize)
    where
        F: Future<Output = Result<(), Error>> + Send + 'static,
    {
        let attempts = Arc::new(AtomicUsize::new(0));
        let made = race_within(NEVER, SOON, |progress| {
            let number = attempts.fetch_add(1, Ordering::Relaxed);
            let first = (number == 0).then(|| first(Arc::clone(&attempts)));
            async move {
                progress.begin(Phase::SignIn);
                match first {
                    Some(first) => first.await,
                    None => Err(refused(code)),
                }
            }
        });
        (made.await, attempts.load(Ordering::Relaxed))
    }

    async fn until(attempts: &AtomicUsize, most: usize) {
        while attempts.load(Ordering::Relaxed) < most {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_failed_attempt_lets_the_others_finish() {
        let first = |attempts: Arc<AtomicUsize>| async move {
            until(&attempts, 4).await;
            Ok(())
        };
        let (made, _) = beside_failures("53300", first).await;
        made.unwrap();
    }

    #[tokio::test]
    async fn an_error_is_returned_once_no_attempt_is_left() {
        let first = |attempts: Arc<AtomicUsize>| async move {
            until(&attempts, 4).await;
            Err(refused("53300"))
        };
        let (made, _) = beside_failures("53300", first).await;
        assert_eq!(made.unwrap_err().to_string(), "PostgreSQL says 53300: no");
    }

    #[tokio::test]
    async fn no_attempt_is_added_after_a_lasting_refusal() {
        for code in ["28P01", "3D000", "42501"] {
            let first = |attempts: Arc<AtomicUsize>| async move {
                until(&attempts, 2).await;
                // Long enough for more attempts to start.
                pause(SOON * 20).await;
                Ok(())
            };
            let (made, attempts) = beside_failures(code, first).await;
            made.unwrap();
            assert_eq!(attempts, 2, "{code}");
        }
    }

    #[tokio::test]
    async fn the_phase_that_ran_out_of_time_is_named() {
        for (phase, words) in [
            (Phase::LookUp, "looking up the name"),
            (Phase::Connecting, "connecting"),
            (Phase::Tls, "the TLS handshake"),
            (Phase::SignIn, "signing in"),
            (Phase::Preparing, "preparing the statements"),
        ] {
            let made = race_within(SOON, NEVER, |progress| async move {
                progress.begin(phase);
                std::future::pending::<Result<(), Error>>().await
            });
            let error = made.await.unwrap_err().to_string();
            assert!(error.ends_with(&format!("{words} took too long")), "{error}");
        }
    }
}
