//! The record of a flow, and how each operation changes it.
//!
//! Pure functions, the same for every keeper.
//!
//! Replicas of the previous and the next version read the same records.

use oauth1::Token;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    CLAIM_LEASE, ClaimId, Claimed, PendingAuthorization, REFUSALS_ALLOWED, Release, STATE_LIFE,
};
use crate::clock::Timestamp;
use crate::expiring::Write;
use crate::model::{DiscogsToken, FlowEpoch, FlowOwner};

/// A record of another version counts as no record.
const VERSION: u32 = 1;

#[derive(Clone, Serialize, Deserialize)]
struct FlowRecord {
    version: u32,
    user_id: Uuid,
    /// `None` in records of earlier versions; the first claim sets it.
    #[serde(default)]
    flow_epoch: Option<i64>,
    request_token_secret: String,
    refusals: u32,
    claim: Option<Lease>,
    granted: Option<Granted>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Lease {
    id: String,
    /// Microseconds since the Unix epoch, by the keeper's clock.
    until: i64,
}

#[derive(Clone, Serialize, Deserialize)]
struct Granted {
    access_token: String,
    access_secret: String,
}

/// Returns the text of a new record.
pub(super) fn encode(pending: &PendingAuthorization) -> String {
    FlowRecord::new(pending).encode()
}

/// Handles the start of a finish by `owner`.
pub(super) fn claim(
    state: &str,
    stored: Option<&[u8]>,
    now: Timestamp,
    owner: FlowOwner,
    claim: &ClaimId,
) -> (Write, Claimed) {
    let Some(mut record) = stored.and_then(FlowRecord::decode) else {
        return (Write::Nothing, Claimed::Unknown);
    };
    let FlowOwner { user_id, epoch: FlowEpoch(epoch) } = owner;
    if record.user_id != user_id {
        return (Write::Nothing, Claimed::NotYours);
    }
    if *record.flow_epoch.get_or_insert(epoch) != epoch {
        return (Write::Delete, Claimed::Unknown);
    }
    if record.is_held_by_another(claim, now) {
        return (Write::Nothing, Claimed::Busy);
    }
    record.claim = Some(Lease::new(claim, now));
    let pending = record.pending(state, owner);
    (Write::Replace(record.encode()), Claimed::Yours(pending))
}

/// Handles a failed finish.
pub(super) fn release(stored: Option<&[u8]>, claim: &ClaimId, why: Release) -> Write {
    let record = stored.and_then(FlowRecord::decode).filter(|record| record.is_held_by(claim));
    let Some(mut record) = record else {
        return Write::Nothing;
    };
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

/// Stores the token that Discogs granted, even if the record has expired meanwhile.
///
/// If the claim has expired and another finish holds one, that claim stays.
pub(super) fn granted(
    stored: Option<&[u8]>,
    now: Timestamp,
    claim: &ClaimId,
    pending: &PendingAuthorization,
) -> Write {
    let mut renewed = FlowRecord::new(pending);
    renewed.claim = Some(Lease::new(claim, now));
    if let Some(record) = stored.and_then(FlowRecord::decode) {
        renewed.refusals = record.refusals;
        if record.is_held_by_another(claim, now) {
            renewed.claim = record.claim;
        }
    }
    Write::Renew(renewed.encode(), STATE_LIFE)
}

/// Handles a successful finish.
pub(super) fn remove(stored: Option<&[u8]>, now: Timestamp, claim: &ClaimId) -> Write {
    match stored.and_then(FlowRecord::decode) {
        Some(record) if !record.is_held_by_another(claim, now) => Write::Delete,
        Some(_) | None => Write::Nothing,
    }
}

impl Lease {
    fn new(ClaimId(id): &ClaimId, now: Timestamp) -> Self {
        Self { id: id.clone(), until: now.plus(CLAIM_LEASE).as_microseconds() }
    }
}

impl FlowRecord {
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

    /// Whether another finish holds a claim.
    ///
    /// A claim that ends later than a lease from now was made before the clock was set back, and no
    /// longer holds.
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
    use super::{ClaimId, Release, release};
    use crate::expiring::Write;

    #[test]
    fn refusals_do_not_wrap_around_to_zero() {
        let record = r#"{"version":1,"user_id":"00000000-0000-0000-0000-000000000000",
            "request_token_secret":"secret","refusals":4294967295,
            "claim":{"id":"claim","until":9223372036854775807},"granted":null}"#;
        let claim = ClaimId("claim".to_owned());
        let write = release(Some(record.as_bytes()), &claim, Release::VerifierRefused);
        assert_eq!(write, Write::Delete);
    }
}
