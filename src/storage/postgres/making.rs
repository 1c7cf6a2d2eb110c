//! Making a connection, which has more time than a request waits: it happens in the background.
//!
//! A try that is slow is not given up but joined by another, so a server behind a slow network is
//! reached, and one that comes back is reached at once. The first to succeed is used; one that fails
//! leaves the others to finish. Knows when each step begins, not how it is done.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::error::PostgresError;
use crate::clock;

/// How long making a connection may take.
pub(super) const MAKING: Duration = Duration::from_secs(15);

/// How long a try has before another joins it.
const BETWEEN_TRIES: Duration = Duration::from_secs(2);

/// The most tries at once.
const MOST_TRIES: usize = 8;

/// A step on the way to a connection, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    LookUp,
    Connecting,
    Tls,
    SignIn,
    Preparing,
}

/// Which step a try has reached; clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress(Arc<AtomicU8>);

impl Progress {
    pub(super) fn begin(&self, step: Step) {
        self.0.store(step as u8, Ordering::Relaxed);
    }

    pub(super) fn step(&self) -> Step {
        let reached = self.0.load(Ordering::Relaxed);
        let steps = [Step::Connecting, Step::Tls, Step::SignIn, Step::Preparing];
        steps.into_iter().find(|step| *step as u8 == reached).unwrap_or(Step::LookUp)
    }
}

impl fmt::Display for Step {
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

/// Makes a connection within [`MAKING`].
pub(super) async fn make<T, F>(attempt: impl Fn(Progress) -> F) -> Result<T, PostgresError>
where
    T: Send + 'static,
    F: Future<Output = Result<T, PostgresError>> + Send + 'static,
{
    within(MAKING, BETWEEN_TRIES, attempt).await
}

async fn within<T, F>(
    limit: Duration,
    between: Duration,
    attempt: impl Fn(Progress) -> F,
) -> Result<T, PostgresError>
where
    T: Send + 'static,
    F: Future<Output = Result<T, PostgresError>> + Send + 'static,
{
    let until = Instant::now() + limit;
    let mut attempts = JoinSet::new();
    let oldest = Progress::default();
    let mut newest = oldest.clone();
    let mut task = attempts.spawn(attempt(newest.clone()));
    let mut failure: Option<PostgresError> = None;
    loop {
        tokio::select! {
            biased;
            Some(tried) = attempts.join_next() => {
                // While others are left, one of them may be about to succeed.
                match tried.unwrap_or_else(|panic| Err(PostgresError::Connection(panic.to_string()))) {
                    Err(error) if !attempts.is_empty() => failure = Some(error),
                    tried => return tried,
                }
            }
            () = clock::pause(between) => {
                // A name server that is slow is asked again by the system itself.
                let is_past_look_up = newest.step() > Step::LookUp || task.is_finished();
                let is_hopeless = failure.as_ref().is_some_and(PostgresError::is_lasting);
                if is_past_look_up && !is_hopeless && attempts.len() < MOST_TRIES {
                    newest = Progress::default();
                    task = attempts.spawn(attempt(newest.clone()));
                }
            }
            () = clock::pause(until.saturating_duration_since(Instant::now())) => {
                return Err(failure.unwrap_or(PostgresError::NotMade { step: oldest.step(), limit }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::super::error::PostgresError;
    use super::{MOST_TRIES, Step, within};
    use crate::clock;

    const SOON: Duration = Duration::from_millis(1);
    const NEVER: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn a_try_that_is_stuck_is_joined_by_another() {
        let tries = Arc::new(AtomicUsize::new(0));
        let made = within(NEVER, SOON, |progress| {
            let number = tries.fetch_add(1, Ordering::Relaxed);
            async move {
                progress.begin(Step::SignIn);
                if number < 2 {
                    std::future::pending::<()>().await;
                }
                Ok(number)
            }
        });
        assert_eq!(made.await.unwrap(), 2);
    }

    #[tokio::test]
    async fn a_try_that_is_slow_is_not_given_up() {
        let (answer, answered) = tokio::sync::watch::channel(false);
        let tries = Arc::new(AtomicUsize::new(0));
        let made = within(NEVER, SOON, |progress| {
            let number = tries.fetch_add(1, Ordering::Relaxed);
            let mut answered = answered.clone();
            let answer = answer.clone();
            async move {
                progress.begin(Step::Connecting);
                if number == MOST_TRIES - 1 {
                    // By now there are as many as there may be.
                    answer.send_replace(true);
                }
                if number > 0 {
                    std::future::pending::<()>().await;
                }
                answered
                    .wait_for(|answered| *answered)
                    .await
                    .map(|_| number)
                    .map_err(|_| PostgresError::Closed)
            }
        });
        assert_eq!(made.await.unwrap(), 0);
        assert_eq!(tries.load(Ordering::Relaxed), MOST_TRIES);
    }

    fn refused(code: &str) -> PostgresError {
        PostgresError::Server {
            code: code.to_owned(),
            message: "no".to_owned(),
            constraint: None,
            table: None,
        }
    }

    /// Makes a connection while every try but the first fails with `code`: what came of it, and how many
    /// tries there were. `first` is given their number as it grows.
    async fn beside_failures<F>(
        code: &'static str,
        first: impl Fn(Arc<AtomicUsize>) -> F,
    ) -> (Result<(), PostgresError>, usize)
    where
        F: Future<Output = Result<(), PostgresError>> + Send + 'static,
    {
        let tries = Arc::new(AtomicUsize::new(0));
        let made = within(NEVER, SOON, |progress| {
            let number = tries.fetch_add(1, Ordering::Relaxed);
            let first = (number == 0).then(|| first(Arc::clone(&tries)));
            async move {
                progress.begin(Step::SignIn);
                match first {
                    Some(first) => first.await,
                    None => Err(refused(code)),
                }
            }
        });
        (made.await, tries.load(Ordering::Relaxed))
    }

    async fn until(tries: &AtomicUsize, most: usize) {
        while tries.load(Ordering::Relaxed) < most {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_try_that_fails_leaves_the_others_to_finish() {
        let first = |tries: Arc<AtomicUsize>| async move {
            until(&tries, 4).await;
            Ok(())
        };
        let (made, _) = beside_failures("53300", first).await;
        made.unwrap();
    }

    #[tokio::test]
    async fn an_error_is_returned_once_no_try_is_left() {
        let first = |tries: Arc<AtomicUsize>| async move {
            until(&tries, 4).await;
            Err(refused("53300"))
        };
        let (made, _) = beside_failures("53300", first).await;
        assert_eq!(made.unwrap_err().to_string(), "PostgreSQL says 53300: no");
    }

    #[tokio::test]
    async fn no_try_is_added_after_a_refusal_that_lasts() {
        for code in ["28P01", "3D000", "42501"] {
            let first = |tries: Arc<AtomicUsize>| async move {
                until(&tries, 2).await;
                // Time enough for more of them, which don't come.
                clock::pause(SOON * 20).await;
                Ok(())
            };
            let (made, tries) = beside_failures(code, first).await;
            made.unwrap();
            assert_eq!(tries, 2, "{code}");
        }
    }

    #[tokio::test]
    async fn the_step_that_ran_out_of_time_is_named() {
        for (step, words) in [
            (Step::LookUp, "looking up the name"),
            (Step::Connecting, "connecting"),
            (Step::Tls, "the TLS handshake"),
            (Step::SignIn, "signing in"),
            (Step::Preparing, "preparing the statements"),
        ] {
            let made = within(SOON, NEVER, |progress| async move {
                progress.begin(step);
                std::future::pending::<Result<(), PostgresError>>().await
            });
            let error = made.await.unwrap_err().to_string();
            assert!(error.ends_with(&format!("{words} took too long")), "{error}");
        }
    }
}
