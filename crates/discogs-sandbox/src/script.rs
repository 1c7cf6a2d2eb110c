//! The faults and holds that a test has requested, and the calls that were made.
//!
//! All calls are counted, but only the newest of each step are kept.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use thiserror::Error;
use tokio::sync::oneshot;

use crate::fault::Fault;

/// How many calls of a step are kept.
const MAX_CALLS: usize = 1_000;

/// The four paths of an OAuth flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// `/oauth/request_token`.
    RequestToken,
    /// `/oauth/authorize`, the page and its form.
    Authorize,
    /// `/oauth/access_token`.
    AccessToken,
    /// `/oauth/identity`.
    Identity,
}

/// A call as it arrived, however it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedCall {
    /// The HTTP method.
    pub method: String,
    /// The `User-Agent` header; `None` if it is missing or not ASCII.
    pub user_agent: Option<String>,
    /// The query without its `?`; `None` if there is none.
    pub query: Option<String>,
    /// The parameters of the `Authorization` header; empty if it is invalid.
    pub oauth: BTreeMap<String, String>,
    /// The names of all headers, in lower case.
    pub header_names: BTreeSet<String>,
    /// The `Content-Type` header.
    pub content_type: Option<String>,
    /// The length of the body in bytes.
    pub body_length: usize,
}

/// The sandbox stopped while the caller waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the sandbox has stopped")]
pub struct Stopped;

/// Holds one call until this is released or dropped.
#[derive(Debug)]
pub struct Hold {
    reached: oneshot::Receiver<()>,
    release: oneshot::Sender<()>,
}

/// The call's end of a [`Hold`].
#[derive(Debug)]
pub(crate) struct Barrier {
    reached: oneshot::Sender<()>,
    release: oneshot::Receiver<()>,
}

/// The requested faults and the calls of all steps.
#[derive(Debug, Default)]
pub(crate) struct Script {
    steps: HashMap<Step, Orders>,
}

#[derive(Debug, Default)]
struct Orders {
    next: VecDeque<Fault>,
    always: Option<Fault>,
    barriers: VecDeque<Barrier>,
    calls: VecDeque<RecordedCall>,
}

impl Hold {
    pub(crate) fn new() -> (Self, Barrier) {
        let (reached_sender, reached) = oneshot::channel();
        let (release, release_receiver) = oneshot::channel();
        let barrier = Barrier { reached: reached_sender, release: release_receiver };
        (Self { reached, release }, barrier)
    }

    /// Waits until the call has arrived; may be called once.
    ///
    /// # Errors
    ///
    /// If the sandbox stops before that.
    pub async fn reached(&mut self) -> Result<(), Stopped> {
        (&mut self.reached).await.map_err(|_| Stopped)
    }

    /// Lets the call continue.
    pub fn release(self) {
        // If the call was given up, there is no receiver and nothing to release.
        let _ = self.release.send(());
    }
}

impl Barrier {
    /// Reports the call's arrival and waits for its release.
    pub(crate) async fn pass(self) {
        // A dropped hold counts as released.
        let _ = self.reached.send(());
        let _ = self.release.await;
    }
}

impl Script {
    fn at(&mut self, step: Step) -> &mut Orders {
        self.steps.entry(step).or_default()
    }

    pub(crate) fn order(&mut self, step: Step, fault: Fault) {
        self.at(step).next.push_back(fault);
    }

    pub(crate) fn order_always(&mut self, step: Step, fault: Fault) {
        self.at(step).always = Some(fault);
    }

    pub(crate) fn clear(&mut self, step: Step) {
        let orders = self.at(step);
        orders.next.clear();
        orders.always = None;
    }

    pub(crate) fn hold(&mut self, step: Step, barrier: Barrier) {
        self.at(step).barriers.push_back(barrier);
    }

    pub(crate) fn record(&mut self, step: Step, call: RecordedCall) {
        let calls = &mut self.at(step).calls;
        if calls.len() == MAX_CALLS {
            calls.pop_front();
        }
        calls.push_back(call);
    }

    pub(crate) fn calls(&self, step: Step) -> Vec<RecordedCall> {
        let orders = self.steps.get(&step);
        orders.map_or_else(Vec::new, |orders| orders.calls.iter().cloned().collect())
    }

    /// The barrier and the fault of a call that has just arrived.
    pub(crate) fn next(&mut self, step: Step) -> (Option<Barrier>, Option<Fault>) {
        let orders = self.at(step);
        let fault = orders.next.pop_front().or_else(|| orders.always.clone());
        (orders.barriers.pop_front(), fault)
    }
}
