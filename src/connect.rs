//! Connecting a user's Discogs account: start, then finish with a PIN.
//!
//! Finishing is a state machine that can resume: it claims the flow, exchanges the verifier, keeps
//! the granted token in the flow's record, asks Discogs for the identity, and stores the connection.
//! After a failure the next attempt resumes from the record. This module must not depend on HTTP.

use std::sync::Arc;
use std::time::{Duration, Instant};

use oauth1::Consumer;
use thiserror::Error;
use tokio_util::task::TaskTracker;

use crate::discogs::{Discogs, DiscogsError};
use crate::expiring::ExpiringError;
use crate::flows::{ClaimId, Claimed, Flows, PendingAuthorization, Release, STATE_LENGTH};
use crate::model::{ConfigEntry, DiscogsIdentity, DiscogsToken, FlowOwner, Verifier};
use crate::random::Random;
use crate::storage::{Storage, StorageError};

/// How long one request may take, whatever Discogs does.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(18);

/// Starts and finishes flows; clones share their parts.
#[derive(Debug, Clone)]
pub struct Connect {
    /// The app's credentials, and the stored connections.
    pub storage: Arc<dyn Storage>,
    /// The pending flows.
    pub flows: Flows,
    /// The calls to Discogs.
    pub discogs: Discogs,
    /// Generates the ids of claims.
    pub random: Random,
    /// The sandbox's credentials, used instead of the stored ones.
    pub sandbox_consumer: Option<Consumer>,
    /// The `finish` tasks in progress, which a stopping service waits for.
    pub finishes: TaskTracker,
}

/// A flow that has begun.
#[derive(Clone)]
pub struct Started {
    /// The page where the user approves.
    pub authorize_url: String,
    /// The request token, which `verify` must send back.
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
    /// Another `verify` holds it.
    #[error("the state is being finished")]
    StateBusy,
    /// Another user started it.
    #[error("the state belongs to another user")]
    StateNotYours,
    /// The pending flows can't be read or written.
    #[error(transparent)]
    Flows(#[from] ExpiringError),
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Discogs failed or refused.
    #[error(transparent)]
    Discogs(#[from] DiscogsError),
}

/// A `verify` in progress while it holds its claim.
struct Finish<'a> {
    connect: &'a Connect,
    claim: ClaimId,
    pending: PendingAuthorization,
    consumer: Consumer,
    verifier: Verifier,
    until: Instant,
}

impl Connect {
    /// Requests a token from Discogs and keeps it as the state of a new flow.
    ///
    /// # Errors
    ///
    /// See [`ConnectError`]; Discogs is not called while flows can't be stored.
    pub async fn start(&self, owner: FlowOwner) -> Result<Started, ConnectError> {
        let until = Instant::now() + REQUEST_TIMEOUT;
        let start = self.start_until(owner, until);
        tokio::time::timeout_at(until.into(), start).await.unwrap_or_else(|_| {
            let what = "the start takes too long".to_owned();
            Err(DiscogsError::Unavailable { step: "start", what, source: None }.into())
        })
    }

    /// Finishes a flow, in a task that runs to completion even if the caller drops this.
    ///
    /// # Errors
    ///
    /// See [`ConnectError`]. The flow is kept for another attempt, except after the third wrong PIN or
    /// if the user's flows were ended meanwhile.
    pub async fn finish(
        &self,
        owner: FlowOwner,
        state: String,
        verifier: Verifier,
    ) -> Result<DiscogsIdentity, ConnectError> {
        let connect = self.clone();
        let until = Instant::now() + REQUEST_TIMEOUT;
        let task = async move { connect.claim_and_finish(owner, &state, verifier, until).await };
        let task = self.finishes.spawn(task);
        match tokio::time::timeout_at(until.into(), task).await {
            Ok(Ok(finished)) => finished,
            // Reported like every other panic.
            Ok(Err(ended)) if ended.is_panic() => std::panic::resume_unwind(ended.into_panic()),
            Ok(Err(_)) | Err(_) => {
                let what = "finishing takes too long; it continues in the background".to_owned();
                Err(DiscogsError::Unavailable { step: "finish", what, source: None }.into())
            }
        }
    }

    async fn start_until(&self, owner: FlowOwner, until: Instant) -> Result<Started, ConnectError> {
        let consumer = self.consumer().await?;
        self.flows.ping().await?;
        let request_token = self.discogs.request_token(&consumer, until).await?;
        let started = Started {
            authorize_url: self.discogs.authorize_url(&request_token.token),
            state: request_token.token.clone(),
        };
        let pending = PendingAuthorization { owner, request_token, granted: None };
        self.flows.put(&pending).await?;
        Ok(started)
    }

    async fn claim_and_finish(
        &self,
        owner: FlowOwner,
        state: &str,
        verifier: Verifier,
        until: Instant,
    ) -> Result<DiscogsIdentity, ConnectError> {
        let consumer = self.consumer().await?;
        if state.chars().count() > STATE_LENGTH {
            return Err(ConnectError::StateUnknown);
        }
        let claim = ClaimId(self.random.hex());
        let pending = match self.flows.claim(state, owner, &claim).await? {
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

    /// The app's credentials, read for every start and finish and never cached.
    async fn consumer(&self) -> Result<Consumer, ConnectError> {
        if let Some(consumer) = &self.sandbox_consumer {
            return Ok(consumer.clone());
        }
        let entries = self.storage.config().await?;
        ConfigEntry::consumer(&entries).ok_or(ConnectError::NotConfigured)
    }
}

impl Finish<'_> {
    /// Runs from the exchange, or from where an earlier finish stopped, to the stored connection.
    async fn run(&mut self) -> Result<DiscogsIdentity, ConnectError> {
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

    /// Exchanges the verifier and keeps the granted token before anything else can fail.
    async fn exchange(&mut self) -> Result<DiscogsToken, ConnectError> {
        let Connect { flows, discogs, .. } = self.connect;
        let request_token = &self.pending.request_token;
        let token =
            discogs.access_token(&self.consumer, request_token, &self.verifier, self.until).await?;
        self.pending.granted = Some(token.clone());
        if let Err(error) = flows.granted(&self.claim, &self.pending).await {
            // This task holds the token, so completing it serves the user best.
            let error = crate::telemetry::chain(&error);
            tracing::warn!(error, "⚠️ A granted Discogs token could not be saved with its flow");
        }
        Ok(token)
    }

    /// Removes the flow or releases the claim; if that fails, the lease still ends.
    async fn end(&self, error: Option<&ConnectError>) {
        let flows = &self.connect.flows;
        let state = &self.pending.request_token.token;
        let ended = match error {
            None
            | Some(ConnectError::Storage(StorageError::FlowEnded | StorageError::NoSuchUser)) => {
                flows.remove(state, &self.claim).await
            }
            Some(ConnectError::Discogs(DiscogsError::VerifierRejected { .. })) => {
                flows.release(state, &self.claim, Release::VerifierRefused).await
            }
            Some(_) => flows.release(state, &self.claim, Release::Failed).await,
        };
        if let Err(error) = ended {
            let error = crate::telemetry::chain(&error);
            tracing::warn!(error, "⚠️ A Discogs connection attempt stays locked for up to 25 s");
        }
    }
}
