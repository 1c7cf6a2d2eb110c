//! A running sandbox, as a test or a command holds it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::answer::Answer;
use crate::check::Received;
use crate::desk::{ApprovalError, Desk};
use crate::fault::Fault;
use crate::options::{Identity, Options};
use crate::routes;
use crate::script::{Barrier, Hold, RecordedCall, Script, Step};
use crate::server;

/// A sandbox that runs until it is dropped or stopped.
#[derive(Debug)]
pub struct Sandbox {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

/// What all connections share.
pub(crate) struct Shared {
    options: Options,
    desk: Mutex<Desk>,
    script: Mutex<Script>,
    counts: watch::Sender<Counts>,
}

/// How many calls each step has received.
#[derive(Debug, Default)]
struct Counts {
    request_token: u64,
    authorize: u64,
    access_token: u64,
    identity: u64,
}

impl Sandbox {
    /// Starts serving on this listener, in a task of the current tokio runtime.
    ///
    /// # Errors
    ///
    /// If the listener's address can't be read.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn start(listener: TcpListener, options: Options) -> std::io::Result<Self> {
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            desk: Mutex::new(Desk::new(&options)),
            script: Mutex::new(Script::default()),
            counts: watch::Sender::default(),
            options,
        });
        let server = tokio::spawn(server::serve(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, server })
    }

    /// Stops, and waits until the port is free and every connection is closed.
    pub async fn stop(mut self) {
        self.server.abort();
        // The result only reports that the task was cancelled.
        let _ = (&mut self.server).await;
    }

    /// The base URL of API and pages, for instance `http://127.0.0.1:8014`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Approves a request token as the default user; returns the verifier.
    ///
    /// # Errors
    ///
    /// If the request token is unknown, expired or already answered.
    pub fn approve(&self, request_token: &str) -> Result<String, ApprovalError> {
        self.approve_as(request_token, self.shared.options.digger.clone())
    }

    /// Approves a request token as any user; returns the verifier.
    ///
    /// # Errors
    ///
    /// If the request token is unknown, expired or already answered.
    pub fn approve_as(
        &self,
        request_token: &str,
        identity: Identity,
    ) -> Result<String, ApprovalError> {
        let options = &self.shared.options;
        let now = (options.clock)();
        let mut desk = lock(&self.shared.desk);
        desk.approve(request_token, identity, options.verifier_alphabet, now)
    }

    /// Denies a request token.
    ///
    /// # Errors
    ///
    /// If the request token is unknown, expired or already answered.
    pub fn deny(&self, request_token: &str) -> Result<(), ApprovalError> {
        let now = (self.shared.options.clock)();
        lock(&self.shared.desk).deny(request_token, now)
    }

    /// Revokes an access token, as a user can on Discogs; returns whether it existed.
    #[must_use]
    pub fn revoke(&self, access_token: &str) -> bool {
        lock(&self.shared.desk).revoke(access_token)
    }

    /// Applies a fault to the next call of this step; several faults are queued.
    pub fn order(&self, step: Step, fault: Fault) {
        lock(&self.shared.script).order(step, fault);
    }

    /// Applies a fault to every call of this step once the queue is empty.
    pub fn order_always(&self, step: Step, fault: Fault) {
        lock(&self.shared.script).order_always(step, fault);
    }

    /// Removes the requested faults of this step.
    pub fn clear(&self, step: Step) {
        lock(&self.shared.script).clear(step);
    }

    /// Holds the next call of this step, before anything is done, until it is released.
    ///
    /// Each hold is for one call, whose fault applies afterwards.
    #[must_use]
    pub fn hold(&self, step: Step) -> Hold {
        let (hold, barrier) = Hold::new();
        lock(&self.shared.script).hold(step, barrier);
        hold
    }

    /// The newest 1,000 calls of this step, oldest first.
    #[must_use]
    pub fn calls(&self, step: Step) -> Vec<RecordedCall> {
        lock(&self.shared.script).calls(step)
    }

    /// Waits until this step has been called this often since the start.
    pub async fn wait_for_calls(&self, step: Step, calls: u64) {
        let mut counts = self.shared.counts.subscribe();
        // The sender lives as long as `self`, so this ends only at that count.
        let _ = counts.wait_for(|counts| counts.of(step) >= calls).await;
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Shared {
    /// Records a call; returns its barrier and its fault.
    pub(crate) fn arrived(
        &self,
        step: Step,
        call: RecordedCall,
    ) -> (Option<Barrier>, Option<Fault>) {
        let mut script = lock(&self.script);
        script.record(step, call);
        let next = script.next(step);
        drop(script);
        self.counts.send_modify(|counts| *counts.of_mut(step) += 1);
        next
    }

    pub(crate) fn now(&self) -> Duration {
        (self.options.clock)()
    }

    /// Performs the step.
    pub(crate) fn answer(&self, step: Step, received: &Received) -> Answer {
        routes::answer(step, received, &self.options, &mut lock(&self.desk))
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Counts {
    fn of(&self, step: Step) -> u64 {
        match step {
            Step::RequestToken => self.request_token,
            Step::Authorize => self.authorize,
            Step::AccessToken => self.access_token,
            Step::Identity => self.identity,
        }
    }

    fn of_mut(&mut self, step: Step) -> &mut u64 {
        match step {
            Step::RequestToken => &mut self.request_token,
            Step::Authorize => &mut self.authorize,
            Step::AccessToken => &mut self.access_token,
            Step::Identity => &mut self.identity,
        }
    }
}

/// No code panics while holding one of these locks, and the data would still be consistent.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
