//! The signals that stop a command gracefully.

use std::fs;
use std::io;
use std::task::Poll;

use rustix::process::Signal as Number;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// By default, each of them would end the process in the middle of its work.
const STOP: [SignalKind; 7] = [
    SignalKind::terminate(),
    SignalKind::interrupt(),
    SignalKind::hangup(),
    SignalKind::quit(),
    SignalKind::alarm(),
    SignalKind::user_defined1(),
    SignalKind::user_defined2(),
];

/// Listens for all signals in [`STOP`].
pub(super) struct Signals(Vec<Signal>);

impl Signals {
    /// Starts to listen. If the process was started with SIGHUP ignored (`nohup`), it stays ignored.
    pub(super) fn listen() -> io::Result<Self> {
        // With SIGXFSZ handled, a write beyond `ulimit -f` fails like one to a full disk.
        drop(signal(SignalKind::from_raw(Number::XFSZ.as_raw()))?);
        let listened = |kind: &SignalKind| *kind != SignalKind::hangup() || !ignores_hangup();
        STOP.into_iter().filter(listened).map(signal).collect::<io::Result<_>>().map(Self)
    }

    /// Waits for the next signal.
    pub(super) async fn next(&mut self) {
        std::future::poll_fn(|context| {
            let mut signals = self.0.iter_mut();
            let has_come = signals.any(|signal| signal.poll_recv(context).is_ready());
            if has_come { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

/// Whether SIGHUP is ignored, according to `/proc`; `false` except on Linux.
fn ignores_hangup() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    let place = SignalKind::hangup().as_raw_value() - 1;
    ignored.is_some_and(|mask| mask >> place & 1 == 1)
}
