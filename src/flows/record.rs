//! The record of a flow, and how each operation changes it.
//!
//! Pure functions, the same for every record store.
//!
//! Replicas of the previous and the next version read the same records. With [`RecordForm::Python`], so
//! does a newer Python service, which reads `secret` and `user_id`.

use oauth1::Token;
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    CLAIM_LEASE, ClaimId, Claimed, PendingAuthorization, REFUSALS_ALLOWED, RecordForm, Release,
    STATE_LIFE,
};
use crate::clock::Timestamp;
use crate::expiring::Change;
use crate::model::{DiscogsToken, FlowEpoch, FlowOwner};

/// A record of another version counts as no record.
const VERSION: u32 = 1;

#[derive(Clone, Serialize, Deserialize)]
struct FlowRecord {
    version: u32,
    /// `None` only if the Python service stored a secret alone; the first claim sets it.
    user_id: Option<Uuid>,
    /// `None` in records of earlier versions; the first claim sets it.
    #[serde(default)]
    flow_epoch: Option<i64>,
    request_token_secret: String,
    /// The same, if the Python service is to read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    refusals: u32,
    claim: Option<Lease>,
    granted: Option<Granted>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Lease {
    id: String,
    /// Microseconds since the Unix epoch, by the record store's clock.
    until: i64,
}

#[derive(Clone, Serialize, Deserialize)]
struct Granted {
    access_token: String,
    access_secret: String,
}

/// A record of the Python service.
#[derive(Deserialize)]
struct PythonRecord {
    secret: String,
    user_id: Uuid,
    /// Only our records have it.
    version: Option<IgnoredAny>,
}

/// Returns the text of a new record.
pub(super) fn encode(form: RecordForm, pending: &PendingAuthorization) -> String {
    FlowRecord::new(form, pending).encode()
}

/// Handles the claim of a `verify` request by `owner`.
pub(super) fn claim(
    form: RecordForm,
    state: &str,
    stored: Option<&[u8]>,
    now: Timestamp,
    owner: FlowOwner,
    claim: &ClaimId,
) -> (Change, Claimed) {
    let Some(mut record) = decode(form, stored) else {
        return (Change::Nothing, Claimed::Unknown);
    };
    let FlowOwner { user_id, epoch: FlowEpoch(epoch) } = owner;
    if *record.user_id.get_or_insert(user_id) != user_id {
        return (Change::Nothing, Claimed::NotYours);
    }
    if *record.flow_epoch.get_or_insert(epoch) != epoch {
        return (Change::Delete, Claimed::Unknown);
    }
    if record.is_held_by_another(claim, now) {
        return (Change::Nothing, Claimed::Busy);
    }
    record.claim = Some(Lease::new(claim, now));
    let pending = record.pending(state, owner);
    (Change::Replace(record.encode()), Claimed::Yours(pending))
}

/// Handles a failed finish.
pub(super) fn release(
    form: RecordForm,
    stored: Option<&[u8]>,
    claim: &ClaimId,
    why: Release,
) -> Change {
    let record = decode(form, stored).filter(|record| record.is_held_by(claim));
    let Some(mut record) = record else {
        return Change::Nothing;
    };
    record.claim = None;
    if why == Release::VerifierRefused {
        record.refusals = record.refusals.saturating_add(1);
    }
    if record.refusals >= REFUSALS_ALLOWED {
        Change::Delete
    } else {
        Change::Replace(record.encode())
    }
}

/// Stores the token that Discogs granted, even if the record has expired meanwhile.
///
/// If the claim has expired and another finish holds one, that claim stays.
pub(super) fn granted(
    form: RecordForm,
    stored: Option<&[u8]>,
    now: Timestamp,
    claim: &ClaimId,
    pending: &PendingAuthorization,
) -> Change {
    let mut renewed = FlowRecord::new(form, pending);
    renewed.claim = Some(Lease::new(claim, now));
    if let Some(record) = decode(form, stored) {
        renewed.refusals = record.refusals;
        if record.is_held_by_another(claim, now) {
            renewed.claim = record.claim;
        }
    }
    Change::Renew(renewed.encode(), STATE_LIFE)
}

/// Handles a successful finish.
pub(super) fn remove(
    form: RecordForm,
    stored: Option<&[u8]>,
    now: Timestamp,
    claim: &ClaimId,
) -> Change {
    match decode(form, stored) {
        Some(record) if !record.is_held_by_another(claim, now) => Change::Delete,
        Some(_) | None => Change::Nothing,
    }
}

fn decode(form: RecordForm, stored: Option<&[u8]>) -> Option<FlowRecord> {
    let stored = stored?;
    match form {
        RecordForm::Own => FlowRecord::decode(stored),
        RecordForm::Python => FlowRecord::decode(stored).or_else(|| FlowRecord::of_python(stored)),
    }
    .map(|record| record.written_as(form))
}

/// Whether a record may be a secret without its user, as an earlier version of the Python service stored it.
fn is_bare_secret(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic()) && !text.is_empty() && !text.starts_with('{')
}

impl Lease {
    fn new(ClaimId(id): &ClaimId, now: Timestamp) -> Self {
        Self { id: id.clone(), until: now.plus(CLAIM_LEASE).as_microseconds() }
    }
}

impl FlowRecord {
    fn new(form: RecordForm, pending: &PendingAuthorization) -> Self {
        let secret = pending.request_token.secret.expose_secret().to_owned();
        let record = Self {
            flow_epoch: Some(pending.owner.epoch.0),
            granted: pending.granted.as_ref().map(|DiscogsToken(token)| Granted {
                access_token: token.token.clone(),
                access_secret: token.secret.expose_secret().to_owned(),
            }),
            ..Self::with_secret(secret, Some(pending.owner.user_id))
        };
        record.written_as(form)
    }

    /// A flow of which nothing else is known.
    fn with_secret(secret: String, user_id: Option<Uuid>) -> Self {
        Self {
            version: VERSION,
            user_id,
            flow_epoch: None,
            request_token_secret: secret,
            secret: None,
            refusals: 0,
            claim: None,
            granted: None,
        }
    }

    fn decode(stored: &[u8]) -> Option<Self> {
        let record: Self = serde_json::from_slice(stored).ok()?;
        let is_known = record.version == VERSION && record.user_id.is_some();
        is_known.then_some(record)
    }

    fn of_python(stored: &[u8]) -> Option<Self> {
        let text = str::from_utf8(stored).ok()?;
        match serde_json::from_str(text) {
            Ok(PythonRecord { secret, user_id, version: None }) => {
                Some(Self::with_secret(secret, Some(user_id)))
            }
            Err(_) if is_bare_secret(text) => Some(Self::with_secret(text.to_owned(), None)),
            Ok(_) | Err(_) => None,
        }
    }

    fn written_as(mut self, form: RecordForm) -> Self {
        self.secret = match form {
            RecordForm::Own => None,
            RecordForm::Python => Some(self.request_token_secret.clone()),
        };
        self
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
    use super::{ClaimId, RecordForm, Release, release};
    use crate::expiring::Change;

    #[test]
    fn refusals_do_not_wrap_around_to_zero() {
        let record = r#"{"version":1,"user_id":"00000000-0000-0000-0000-000000000000",
            "request_token_secret":"secret","refusals":4294967295,
            "claim":{"id":"claim","until":9223372036854775807},"granted":null}"#;
        let claim = ClaimId("claim".to_owned());
        let change =
            release(RecordForm::Own, Some(record.as_bytes()), &claim, Release::VerifierRefused);
        assert_eq!(change, Change::Delete);
    }
}
