//! What is kept of a flow, and what each step makes of it: pure functions, the same for every
//! store.

use oauth1::Token;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{CLAIM_LEASE, ClaimId, PendingAuthorization, REFUSALS_ALLOWED, Release, STATE_LIFE};
use crate::clock::Timestamp;
use crate::expiring::Write;
use crate::model::{DiscogsToken, FlowEpoch, FlowOwner};

/// A record of another version is not ours.
const VERSION: u32 = 1;

/// Something that happens to a flow.
#[derive(Debug, Clone)]
pub enum Step {
    /// A finish begins.
    Claim {
        /// Who asks, as of now.
        owner: FlowOwner,
        /// The finish.
        claim: ClaimId,
    },
    /// A finish failed.
    Release {
        /// The finish.
        claim: ClaimId,
        /// Why.
        why: Release,
    },
    /// Discogs granted a token.
    Granted {
        /// The finish.
        claim: ClaimId,
        /// The flow with the token, as it should be kept even if the record has just expired.
        pending: PendingAuthorization,
    },
    /// A finish succeeded.
    Remove {
        /// The finish.
        claim: ClaimId,
    },
}

/// What came of a step.
#[derive(Debug)]
pub enum Outcome {
    /// The claim holds.
    Claimed(PendingAuthorization),
    /// Another finish has the state.
    Busy,
    /// Somebody else started the flow.
    NotYours,
    /// There is no such state, or it is not ours to read.
    Unknown,
    /// Release, granted and remove have nothing more to say.
    Done,
}

#[derive(Clone, Serialize, Deserialize)]
struct Record {
    version: u32,
    user_id: Uuid,
    /// `None` in the records of earlier versions; the first claim sets it.
    #[serde(default)]
    flow_epoch: Option<i64>,
    request_token_secret: String,
    refusals: u32,
    claim: Option<Claim>,
    granted: Option<Granted>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Claim {
    id: String,
    /// Microseconds since the Unix epoch, by the store's own clock.
    until: i64,
}

#[derive(Clone, Serialize, Deserialize)]
struct Granted {
    access_token: String,
    access_secret: String,
}

/// The text of a new record.
pub(super) fn encode(pending: &PendingAuthorization) -> String {
    Record::new(pending).encode()
}

/// Decides what a step makes of a record; `stored` is `None` where there is none.
pub(super) fn apply(
    state: &str,
    stored: Option<&[u8]>,
    now: Timestamp,
    step: &Step,
) -> (Write, Outcome) {
    let record = stored.and_then(Record::decode);
    match (step, record) {
        (Step::Claim { owner, claim }, Some(record)) => {
            apply_claim(state, record, now, *owner, claim)
        }
        (Step::Claim { .. }, None) => (Write::Nothing, Outcome::Unknown),
        (Step::Release { claim, why }, Some(record)) if record.is_held_by(claim) => {
            (apply_release(record, *why), Outcome::Done)
        }
        (Step::Granted { claim, pending }, record) => {
            (apply_granted(record, now, claim, pending), Outcome::Done)
        }
        (Step::Remove { claim }, Some(record)) if !record.is_held_by_another(claim, now) => {
            (Write::Delete, Outcome::Done)
        }
        (Step::Release { .. } | Step::Remove { .. }, _) => (Write::Nothing, Outcome::Done),
    }
}

fn apply_claim(
    state: &str,
    mut record: Record,
    now: Timestamp,
    owner: FlowOwner,
    claim: &ClaimId,
) -> (Write, Outcome) {
    let FlowOwner { user_id, epoch: FlowEpoch(epoch) } = owner;
    if record.user_id != user_id {
        return (Write::Nothing, Outcome::NotYours);
    }
    if *record.flow_epoch.get_or_insert(epoch) != epoch {
        return (Write::Delete, Outcome::Unknown);
    }
    if record.is_held_by_another(claim, now) {
        return (Write::Nothing, Outcome::Busy);
    }
    let until = now.plus(CLAIM_LEASE).as_microseconds();
    record.claim = Some(Claim { id: claim.0.clone(), until });
    let pending = record.pending(state, owner);
    (Write::Replace(record.encode()), Outcome::Claimed(pending))
}

fn apply_release(mut record: Record, why: Release) -> Write {
    record.claim = None;
    if why == Release::VerifierRefused {
        record.refusals = record.refusals.saturating_add(1);
    }
    if record.refusals >= REFUSALS_ALLOWED {
        Write::Delete
    } else {
        Write::Replace(record.encode())
    }
}

/// A granted token is kept whatever became of the record meanwhile; only the claim of another
/// finish, which may have come when ours ran out, stays as it is.
fn apply_granted(
    record: Option<Record>,
    now: Timestamp,
    claim: &ClaimId,
    pending: &PendingAuthorization,
) -> Write {
    let mut renewed = Record::new(pending);
    renewed.claim =
        Some(Claim { id: claim.0.clone(), until: now.plus(CLAIM_LEASE).as_microseconds() });
    if let Some(record) = record {
        renewed.refusals = record.refusals;
        if record.is_held_by_another(claim, now) {
            renewed.claim = record.claim;
        }
    }
    Write::Renew(renewed.encode(), STATE_LIFE)
}

impl Record {
    fn new(pending: &PendingAuthorization) -> Self {
        Self {
            version: VERSION,
            user_id: pending.owner.user_id,
            flow_epoch: Some(pending.owner.epoch.0),
            request_token_secret: pending.request_token.secret.expose_secret().to_owned(),
            refusals: 0,
            claim: None,
            granted: pending.granted.as_ref().map(|DiscogsToken(token)| Granted {
                access_token: token.token.clone(),
                access_secret: token.secret.expose_secret().to_owned(),
            }),
        }
    }

    fn decode(stored: &[u8]) -> Option<Self> {
        let record: Self = serde_json::from_slice(stored).ok()?;
        if record.version == VERSION { Some(record) } else { None }
    }

    fn encode(&self) -> String {
        serde_json::json!(self).to_string()
    }

    fn pending(&self, state: &str, owner: FlowOwner) -> PendingAuthorization {
        let token = |token: &str, secret: &str| Token {
            token: token.to_owned(),
            secret: SecretString::from(secret),
        };
        PendingAuthorization {
            owner,
            request_token: token(state, &self.request_token_secret),
            granted: self
                .granted
                .as_ref()
                .map(|granted| DiscogsToken(token(&granted.access_token, &granted.access_secret))),
        }
    }

    fn is_held_by(&self, claim: &ClaimId) -> bool {
        self.claim.as_ref().is_some_and(|held| held.id == claim.0)
    }

    /// A claim whose end lies further ahead than a lease is long was made before the clock jumped
    /// back; it must not hold the state for ever.
    fn is_held_by_another(&self, claim: &ClaimId, now: Timestamp) -> bool {
        let now_or_later = now.as_microseconds()..=now.plus(CLAIM_LEASE).as_microseconds();
        self.claim.as_ref().is_some_and(|held| {
            held.id != claim.0
                && held.until != now.as_microseconds()
                && now_or_later.contains(&held.until)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{ClaimId, Release, Step, apply};
    use crate::clock::Timestamp;
    use crate::expiring::Write;

    #[test]
    fn refusals_of_a_record_made_by_hand_do_not_start_again_from_zero() {
        let record = r#"{"version":1,"user_id":"00000000-0000-0000-0000-000000000000",
            "request_token_secret":"secret","refusals":4294967295,
            "claim":{"id":"claim","until":9223372036854775807},"granted":null}"#;
        let step =
            Step::Release { claim: ClaimId("claim".to_owned()), why: Release::VerifierRefused };
        let now = Timestamp::from_microseconds(1_790_000_000_000_000);
        let (write, _) = apply("state", Some(record.as_bytes()), now, &step);
        assert!(matches!(write, Write::Delete), "{write:?}");
    }
}
