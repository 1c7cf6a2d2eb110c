//! Connecting a user's Discogs account: start, then finish with a PIN.
//!
//! A finish is a state machine that can be taken up again: it claims the state, exchanges the
//! verifier, keeps the granted token in the state, asks who that is, and stores the connection.
//! Each step that fails leaves the record where the next try can go on. Must not know HTTP.

use std::sync::Arc;
use std::time::{Duration, Instant};

use oauth1::Consumer;
use thiserror::Error;
use tokio_util::task::TaskTracker;

use crate::discogs::{Discogs, DiscogsError};
use crate::flows::{
    ClaimId, Claimed, OAuthStates, PendingAuthorization, Release, STATE_LENGTH, StateError,
};
use crate::model::{ConfigEntry, DiscogsToken, FlowOwner, Identity, Verifier};
use crate::random::Random;
use crate::storage::{Storage, StorageError};

/// How long one request may take, whatever Discogs does.
const REQUEST_TIME: Duration = Duration::from_secs(18);

/// Starts and finishes flows; clones share everything.
#[derive(Debug, Clone)]
pub struct Connect {
    /// Where the app's credentials are read and the connections kept.
    pub storage: Arc<dyn Storage>,
    /// Where the flows under way are kept.
    pub states: Arc<dyn OAuthStates>,
    /// Whom we ask.
    pub discogs: Discogs,
    /// Draws the ids of claims.
    pub random: Random,
    /// The sandbox's credentials, which count instead of the stored ones.
    pub sandbox_consumer: Option<Consumer>,
    /// Finishes under way, which a service that stops waits for.
    pub finishes: TaskTracker,
}

/// A flow that has begun.
#[derive(Clone)]
pub struct Started {
    /// The page on which the person approves.
    pub authorize_url: String,
    /// What the finish must name: the request token.
    pub state: String,
}

/// Why a flow did not start or finish.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// The app's credentials are not set.
    #[error("the app's Discogs credentials are not set")]
    NotConfigured,
    /// Never seen, expired, used, or ended with the user's other flows.
    #[error("unknown state")]
    StateUnknown,
    /// Another finish has it.
    #[error("the state is being finished")]
    StateBusy,
    /// Somebody else started it.
    #[error("the state belongs to another user")]
    StateNotYours,
    /// The state store failed.
    #[error(transparent)]
    States(#[from] StateError),
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Discogs failed, or said no.
    #[error(transparent)]
    Discogs(#[from] DiscogsError),
}

/// A finish that holds its claim.
struct Finish<'a> {
    connect: &'a Connect,
    claim: ClaimId,
    pending: PendingAuthorization,
    consumer: Consumer,
    verifier: Verifier,
    until: Instant,
}

impl Connect {
    /// Asks Discogs for a request token and keeps it as the state of a new flow.
    ///
    /// # Errors
    ///
    /// See [`ConnectError`]; Discogs is not asked while the state store is away.
    pub async fn start(&self, owner: FlowOwner) -> Result<Started, ConnectError> {
        let until = Instant::now() + REQUEST_TIME;
        let start = self.start_until(owner, until);
        tokio::time::timeout_at(until.into(), start).await.unwrap_or_else(|_| {
            let what = "the start takes too long".to_owned();
            Err(DiscogsError::Unavailable { step: "start", what, source: None }.into())
        })
    }

    /// Finishes a flow: a task of its own that runs to its end even when nobody waits for it.
    ///
    /// # Errors
    ///
    /// See [`ConnectError`]. The state is kept for the next try, except after a third refused PIN and
    /// when the user's flows were ended meanwhile.
    pub async fn finish(
        &self,
        owner: FlowOwner,
        state: String,
        verifier: Verifier,
    ) -> Result<Identity, ConnectError> {
        let connect = self.clone();
        let until = Instant::now() + REQUEST_TIME;
        let task = async move { connect.claim_and_finish(owner, &state, verifier, until).await };
        let task = self.finishes.spawn(task);
        match tokio::time::timeout_at(until.into(), task).await {
            Ok(Ok(finished)) => finished,
            // It is told as every panic is.
            Ok(Err(ended)) if ended.is_panic() => std::panic::resume_unwind(ended.into_panic()),
            Ok(Err(_)) | Err(_) => {
                let what = "the finish takes too long; it goes on by itself".to_owned();
                Err(DiscogsError::Unavailable { step: "finish", what, source: None }.into())
            }
        }
    }

    async fn start_until(&self, owner: FlowOwner, until: Instant) -> Result<Started, ConnectError> {
        let consumer = self.consumer().await?;
        self.states.ping().await?;
        let request_token = self.discogs.request_token(&consumer, until).await?;
        let started = Started {
            authorize_url: self.discogs.authorize_url(&request_token.token),
            state: request_token.token.clone(),
        };
        let pending = PendingAuthorization { owner, request_token, granted: None };
        self.states.put(&pending).await?;
        Ok(started)
    }

    async fn claim_and_finish(
        &self,
        owner: FlowOwner,
        state: &str,
        verifier: Verifier,
        until: Instant,
    ) -> Result<Identity, ConnectError> {
        let consumer = self.consumer().await?;
        if state.chars().count() > STATE_LENGTH {
            return Err(ConnectError::StateUnknown);
        }
        let claim = ClaimId(self.random.hex());
        let pending = match self.states.claim(state, owner, &claim).await? {
            Claimed::Yours(pending) => pending,
            Claimed::Busy => return Err(ConnectError::StateBusy),
            Claimed::NotYours => return Err(ConnectError::StateNotYours),
            Claimed::Unknown => return Err(ConnectError::StateUnknown),
        };
        let mut finish = Finish { connect: self, claim, pending, consumer, verifier, until };
        let finished = finish.run().await;
        finish.end(finished.as_ref().err()).await;
        finished
    }

    /// The app's credentials, read at every start and finish and never cached.
    async fn consumer(&self) -> Result<Consumer, ConnectError> {
        if let Some(consumer) = &self.sandbox_consumer {
            return Ok(consumer.clone());
        }
        let entries = self.storage.config().await?;
        ConfigEntry::consumer(&entries).ok_or(ConnectError::NotConfigured)
    }
}

impl Finish<'_> {
    /// From the exchange, or from where an earlier finish had to stop, to the stored connection.
    async fn run(&mut self) -> Result<Identity, ConnectError> {
        let Connect { storage, discogs, .. } = self.connect;
        let token = match self.pending.granted.clone() {
            Some(token) => token,
            None => self.exchange().await?,
        };
        let identity = discogs.identity(&self.consumer, &token, self.until).await?;
        let owner = self.pending.owner;
        storage.put_connection(owner, &token, &identity).await?;
        Ok(identity)
    }

    /// Exchanges the verifier, and keeps the granted token before anything else can fail.
    async fn exchange(&mut self) -> Result<DiscogsToken, ConnectError> {
        let Connect { states, discogs, .. } = self.connect;
        let request_token = &self.pending.request_token;
        let token =
            discogs.access_token(&self.consumer, request_token, &self.verifier, self.until).await?;
        self.pending.granted = Some(token.clone());
        if let Err(error) = states.granted(&self.claim, &self.pending).await {
            // The token is in our hands: going on is the best that can be done for the person.
            let error = crate::telemetry::chain(&error);
            tracing::warn!(error, "⚠️ A granted Discogs token could not be kept in the state");
        }
        Ok(token)
    }

    /// Removes the state, or gives the claim back; what can't be done now ends with the lease.
    async fn end(&self, error: Option<&ConnectError>) {
        let states = &self.connect.states;
        let state = &self.pending.request_token.token;
        let ended = match error {
            None
            | Some(ConnectError::Storage(StorageError::FlowEnded | StorageError::NoSuchUser)) => {
                states.remove(state, &self.claim).await
            }
            Some(ConnectError::Discogs(DiscogsError::VerifierRejected { .. })) => {
                states.release(state, &self.claim, Release::VerifierRefused).await
            }
            Some(_) => states.release(state, &self.claim, Release::Failed).await,
        };
        if let Err(error) = ended {
            let error = crate::telemetry::chain(&error);
            tracing::warn!(error, "⚠️ A claim on an OAuth state ends only with its lease");
        }
    }
}
