//! The OAuth state: flows that have been started at Discogs and are not finished yet.
//!
//! One trait, in Redis or in the SQLite file. What a step does to a record is decided in one
//! place, `record`, so both stores do the same; a store only has to replace a record atomically.
//! `tests/it/state_contract.rs` holds them to it. Must not know HTTP, nor the storage of users.

mod record;
mod redis;
mod sqlite;

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use oauth1::Token;
use thiserror::Error;

use crate::model::{DiscogsToken, FlowOwner};

pub use self::redis::{PREFIX as REDIS_PREFIX, RedisStates};
pub use record::{Outcome, Step};
pub use sqlite::SqliteStates;

/// How long a flow may take from its start, and again from the moment Discogs granted a token.
pub const STATE_LIFE: Duration = Duration::from_secs(600);

/// How long a finish may hold a state: a lease, so that one that dies loses nothing.
pub const CLAIM_LEASE: Duration = Duration::from_secs(25);

/// The tries that a person has to give the right PIN.
pub const REFUSALS_ALLOWED: u32 = 3;

/// The most characters of a state; a longer one is an unknown one.
pub const STATE_LENGTH: usize = 512;

/// A flow under way, as the finish that claimed it sees it.
#[derive(Debug, Clone)]
pub struct PendingAuthorization {
    /// Who started it.
    pub owner: FlowOwner,
    /// Discogs's temporary credentials; the token itself is the state.
    pub request_token: Token,
    /// The permanent ones, where an earlier finish got them and could not go on.
    pub granted: Option<DiscogsToken>,
}

/// Names one finish: 32 random hex digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimId(pub String);

/// What came of claiming a state.
#[derive(Debug)]
pub enum Claimed {
    /// It is ours until the lease ends.
    Yours(PendingAuthorization),
    /// Another finish has it.
    Busy,
    /// Somebody else started it.
    NotYours,
    /// Never seen, expired, used, ended with the user's other flows, or a record that is not ours.
    Unknown,
}

/// Why a claim is given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// The finish failed, and may be tried again as before.
    Failed,
    /// Discogs refused the PIN: the third time deletes the state.
    VerifierRefused,
}

/// Flows under way, by state. Every step is safe to repeat: it carries the claim's own id.
#[async_trait]
pub trait OAuthStates: Debug + Send + Sync {
    /// Succeeds while the store answers and takes writes.
    async fn ping(&self) -> Result<(), StateError>;

    /// Keeps a new flow for [`STATE_LIFE`].
    async fn put(&self, pending: &PendingAuthorization) -> Result<(), StateError>;

    /// Does one step with a state, atomically.
    async fn step(&self, state: &str, step: Step) -> Result<Outcome, StateError>;

    /// Claims a state for [`CLAIM_LEASE`]; its life stays as it is. `owner` is the user as of now: a
    /// state from before the user's flows were ended is removed.
    async fn claim(
        &self,
        state: &str,
        owner: FlowOwner,
        claim: &ClaimId,
    ) -> Result<Claimed, StateError> {
        let step = Step::Claim { owner, claim: claim.clone() };
        Ok(match self.step(state, step).await? {
            Outcome::Claimed(pending) => Claimed::Yours(pending),
            Outcome::Busy => Claimed::Busy,
            Outcome::NotYours => Claimed::NotYours,
            Outcome::Unknown | Outcome::Done => Claimed::Unknown,
        })
    }

    /// Gives a claim back, if it is still held.
    async fn release(&self, state: &str, claim: &ClaimId, why: Release) -> Result<(), StateError> {
        self.step(state, Step::Release { claim: claim.clone(), why }).await.map(drop)
    }

    /// Keeps the token that Discogs granted; the life of the state starts again.
    async fn granted(
        &self,
        claim: &ClaimId,
        pending: &PendingAuthorization,
    ) -> Result<(), StateError> {
        let state = &pending.request_token.token;
        let step = Step::Granted { claim: claim.clone(), pending: pending.clone() };
        self.step(state, step).await.map(drop)
    }

    /// Removes a state that has served its purpose, unless another finish holds it.
    async fn remove(&self, state: &str, claim: &ClaimId) -> Result<(), StateError> {
        self.step(state, Step::Remove { claim: claim.clone() }).await.map(drop)
    }
}

/// Why a step was not done.
#[derive(Debug, Error)]
pub enum StateError {
    /// The store can't be reached, does not answer in time, or takes no writes.
    #[error("the OAuth state store is unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// So much is under way that this was not even tried.
    #[error("the OAuth state store has too much to do")]
    Overloaded,
}
