//! Time limits: a check that hangs becomes a finding and does not delay the others.

use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;

use super::report::{Check, Finding};

/// The limit of a check that reads a disk.
pub(super) const DISK: Duration = Duration::from_secs(5);

/// The limit of a check of a server; enough for the service's connect timeout.
pub(super) const SERVER: Duration = Duration::from_secs(20);

/// Runs a check, or turns its timeout into a finding.
pub(super) async fn in_time<T>(
    limit: Duration,
    check: impl Future<Output = T>,
    too_long: impl FnOnce(Finding) -> T,
    what: (Check, &str),
) -> T {
    tokio::time::timeout(limit, check).await.unwrap_or_else(|_| {
        let (check, name) = what;
        let seconds = limit.as_secs();
        too_long(Finding::error(
            check,
            format!("The check of {name} timed out after {seconds} s"),
            "Find out what hangs: a disk, the network or a server",
        ))
    })
}

/// Runs a check of a disk on a thread, or turns its failure into a finding.
pub(super) async fn on_disk<T: Send + 'static>(
    check: impl FnOnce() -> T + Send + 'static,
    nothing: impl Fn(Finding) -> T,
    what: (Check, &str),
) -> T {
    let found = in_time(DISK, async { Ok(blocking(check).await) }, Err, what).await;
    match found {
        Ok(Some(found)) => found,
        Ok(None) => {
            let (check, name) = what;
            let fix = "If stderr shows a panic, report it as a bug; otherwise the machine can't start \
                        another thread";
            nothing(Finding::error(check, format!("The check of {name} failed to run"), fix))
        }
        Err(too_long) => nothing(too_long),
    }
}

/// Runs blocking work on its own thread, which does not delay the process's exit.
///
/// `None` if the thread panicked or could not be started.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (answer, answered) = oneshot::channel();
    let work = move || {
        // After a timeout, the receiver no longer exists.
        let _ = answer.send(work());
    };
    thread::Builder::new().name("doctor".to_owned()).spawn(work).ok()?;
    answered.await.ok()
}
