//! Bounds in time: a check that hangs is a finding, and keeps neither the others nor the process.

use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;

use super::report::{Check, Finding};

/// No check of a disk takes longer.
pub(super) const DISK: Duration = Duration::from_secs(5);

/// No check of a server takes longer: making a connection has the time that the service has for it.
pub(super) const SERVER: Duration = Duration::from_secs(20);

/// Waits for the findings of a check, or says that they did not come.
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
            format!("Looking at {name} took longer than {seconds} s and was given up"),
            "Look at what it stands on: a disk, a network or a server hangs",
        ))
    })
}

/// Waits for what a thread finds out about a disk, or says that it found nothing.
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
            let fix = "See on stderr whether it is a mistake in the program, and report it; else \
                        the machine has no room for another thread";
            nothing(Finding::error(check, format!("Looking at {name} broke off"), fix))
        }
        Err(too_long) => nothing(too_long),
    }
}

/// Runs what waits for a disk or a name server on a thread of its own, which the end of the
/// process does not wait for. `None` where the thread broke off, or the machine gives none.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (answer, answered) = oneshot::channel();
    let work = move || {
        // Nobody may be waiting any more.
        let _ = answer.send(work());
    };
    thread::Builder::new().name("doctor".to_owned()).spawn(work).ok()?;
    answered.await.ok()
}
