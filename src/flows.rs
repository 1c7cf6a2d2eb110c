//! Pending flows: started with Discogs and not yet finished, each stored by its state.
//!
//! `record` computes the change to a flow's record, in pure functions; a record store
//! ([`Expiring`]) stores it. This module must not depend on HTTP, nor on the storage of users.

mod record;
mod reported;
mod sealed;

use std::sync::Arc;
use std::time::Duration;

use oauth1::Token;

use crate::expiring::{Expiring, ExpiringError};
use crate::model::{DiscogsToken, FlowOwner};

pub use reported::ReportedRecords;
pub use sealed::Sealed;

/// The prefix of each key in Redis, which other services know too.
pub const REDIS_PREFIX: &str = "discogs:oauth:state:";

/// How long a flow is valid from its start, and again after Discogs granted a token.
pub const STATE_LIFE: Duration = Duration::from_secs(600);

/// How long a claim holds: a lease, so that a `verify` that crashes does not block the flow.
pub const CLAIM_LEASE: Duration = Duration::from_secs(25);

/// How many wrong PINs end a flow.
pub const REFUSALS_ALLOWED: u32 = 3;

/// The maximum length, in characters, of a state; a longer one is unknown.
pub const STATE_LENGTH: usize = 512;

/// A flow as seen by the `verify` request that claimed it.
#[derive(Debug, Clone)]
pub struct PendingAuthorization {
    /// The user who started it.
    pub owner: FlowOwner,
    /// Discogs's temporary credentials; the token itself is the state.
    pub request_token: Token,
    /// The permanent credentials, if an earlier `verify` got them and then failed.
    pub granted: Option<DiscogsToken>,
}

/// Identifies one `verify` request: 32 random hex digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimId(pub String);

/// The result of claiming a state.
#[derive(Debug)]
pub enum Claimed {
    /// The claim holds until the lease ends.
    Yours(PendingAuthorization),
    /// Another `verify` holds it.
    Busy,
    /// Another user started it.
    NotYours,
    /// Never seen, expired, used, ended with the user's other flows, or not a flow's record.
    Unknown,
}

/// Why a claim is released.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// The `verify` failed and may be retried.
    Failed,
    /// Discogs refused the PIN: after [`REFUSALS_ALLOWED`] of these, the flow is removed.
    VerifierRefused,
}

/// Which services read and write the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordForm {
    /// Only this service.
    Own,
    /// Also a newer Python service: each finishes the flows that the other has started.
    Python,
}

/// The pending flows. Every operation carries the claim's id, so it is safe to repeat.
#[derive(Debug, Clone)]
pub struct Flows {
    records: Arc<dyn Expiring>,
    form: RecordForm,
}

impl Flows {
    /// Keeps flows in `records`.
    #[must_use]
    pub fn new(records: Arc<dyn Expiring>, form: RecordForm) -> Self {
        Self { records, form }
    }

    /// Checks that flows can be read and written now.
    ///
    /// # Errors
    ///
    /// If they can't.
    pub async fn ping(&self) -> Result<(), ExpiringError> {
        self.records.ping().await
    }

    /// Stores a new flow for [`STATE_LIFE`].
    ///
    /// # Errors
    ///
    /// If it could not be written.
    pub async fn put(&self, pending: &PendingAuthorization) -> Result<(), ExpiringError> {
        let state = &pending.request_token.token;
        self.records.put(state, &record::encode(self.form, pending), STATE_LIFE).await
    }

    /// Claims a state for [`CLAIM_LEASE`]; the state's own expiry does not change.
    ///
    /// `owner` is the user's current state: a flow started before the user's flows were ended is
    /// removed.
    ///
    /// # Errors
    ///
    /// If the record could not be read or written.
    pub async fn claim(
        &self,
        state: &str,
        owner: FlowOwner,
        claim: &ClaimId,
    ) -> Result<Claimed, ExpiringError> {
        let (form, key, claim) = (self.form, state.to_owned(), claim.clone());
        self.records
            .update(state, move |stored, now| record::claim(form, &key, stored, now, owner, &claim))
            .await
    }

    /// Releases a claim if it is still held.
    ///
    /// # Errors
    ///
    /// If the record could not be read or written.
    pub async fn release(
        &self,
        state: &str,
        claim: &ClaimId,
        why: Release,
    ) -> Result<(), ExpiringError> {
        let (form, claim) = (self.form, claim.clone());
        self.records
            .update(state, move |stored, _| (record::release(form, stored, &claim, why), ()))
            .await
    }

    /// Stores the token that Discogs granted, for another [`STATE_LIFE`].
    ///
    /// # Errors
    ///
    /// If the record could not be read or written.
    pub async fn granted(
        &self,
        claim: &ClaimId,
        pending: &PendingAuthorization,
    ) -> Result<(), ExpiringError> {
        let state = &pending.request_token.token;
        let (form, claim, pending) = (self.form, claim.clone(), pending.clone());
        self.records
            .update(state, move |stored, now| {
                (record::granted(form, stored, now, &claim, &pending), ())
            })
            .await
    }

    /// Removes a finished flow, unless another `verify` holds it.
    ///
    /// # Errors
    ///
    /// If the record could not be read or written.
    pub async fn remove(&self, state: &str, claim: &ClaimId) -> Result<(), ExpiringError> {
        let (form, claim) = (self.form, claim.clone());
        self.records
            .update(state, move |stored, now| (record::remove(form, stored, now, &claim), ()))
            .await
    }
}
