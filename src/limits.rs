//! Request limits: how often an address, an account or a user may ask.
//!
//! Counts live for minutes, in Redis for all replicas, else in this process. Which address a user
//! has signed in from well is kept in the storage, so that a stranger's wrong passwords keep nobody
//! out. Everybody is kept under a keyed hash. Must not know HTTP.

mod budget;
mod local;
mod names;
mod shared;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use uuid::Uuid;

use crate::clock::{Clock, Timestamp};
use crate::config::{Budgets, RateLimits, RedisConfig};
use crate::metrics::{Label as _, Limit, Metrics};
use crate::model::KnownAddress;
use crate::records::{RecordsError, RedisRecords};
use crate::storage::{Storage, StorageError};
use budget::{Kind, Outcome, Rule, Step};
use local::Local;
use names::{Names, Whom};
use shared::Shared;

pub use shared::PREFIX as REDIS_PREFIX;

/// An address from which an account was signed in to well is known for this long.
const KNOWN_FOR: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// A known address is written down again after this long.
const FRESH_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// Counts requests; nothing where limits are switched off.
#[derive(Debug)]
pub struct Limits(Option<Inner>);

struct Inner {
    budgets: Budgets,
    names: Names,
    counts: Counts,
    storage: Arc<dyn Storage>,
    clock: Clock,
    metrics: Arc<Metrics>,
}

#[derive(Debug)]
enum Counts {
    Local(Local),
    Shared(Shared),
}

/// What an address or a user asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A registration, by this address.
    Register(IpAddr),
    /// A sign-in, by this address.
    SignIn(IpAddr),
    /// The start of a connection to Discogs, by this user.
    Authorize(Uuid),
    /// The finish of one, by this user.
    Verify(Uuid),
}

/// A sign-in that has begun: what it took, and from where it comes.
#[derive(Debug)]
#[must_use]
pub struct SignIn {
    taken: Option<(String, Timestamp)>,
    /// The address to write down, should this go well; `None` where it is known.
    new_address: Option<KnownAddress>,
}

/// How a sign-in ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignInEnd {
    /// The user is in.
    Good,
    /// Wrong, whatever it was.
    Refused,
    /// The password was not checked, or it was right but not enough.
    NotTried,
}

/// Why a request may not go on.
#[derive(Debug, Error)]
pub enum LimitError {
    /// A budget is used up.
    #[error("too many requests; the next one may come in {} s", .0.as_secs())]
    Reached(Duration),
    /// It could not be looked up whether the address is known.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl Limits {
    /// Sets the limits up, shared through Redis where there is one.
    ///
    /// # Errors
    ///
    /// When Redis has an address that the library can't use.
    pub fn new(
        limits: RateLimits,
        secret: &[u8],
        redis: Option<&RedisConfig>,
        storage: Arc<dyn Storage>,
        clock: Clock,
        metrics: Arc<Metrics>,
    ) -> Result<Self, RecordsError> {
        let RateLimits::On(budgets) = limits else {
            return Ok(Self(None));
        };
        let local = Local::new(clock.clone());
        let counts = match redis {
            Some(redis) => {
                let records = RedisRecords::new(redis, shared::PREFIX)?;
                Counts::Shared(Shared::new(records, local, Arc::clone(&metrics)))
            }
            None => Counts::Local(local),
        };
        let names = Names::new(secret);
        Ok(Self(Some(Inner { budgets, names, counts, storage, clock, metrics })))
    }

    /// Counts one more request.
    ///
    /// # Errors
    ///
    /// [`LimitError::Reached`] where there were too many.
    pub async fn take(&self, action: Action) -> Result<(), LimitError> {
        let Some(inner) = &self.0 else {
            return Ok(());
        };
        let (limit, whom, budget) = match action {
            Action::Register(address) => {
                (Limit::Register, Whom::Address(address), inner.budgets.register)
            }
            Action::SignIn(address) => {
                (Limit::SignIn, Whom::Address(address), inner.budgets.sign_in)
            }
            Action::Authorize(user) => {
                (Limit::Authorize, Whom::User(user), inner.budgets.authorize)
            }
            Action::Verify(user) => (Limit::Verify, Whom::User(user), inner.budgets.verify),
        };
        let rule = Rule { budget, kind: Kind::Sliding };
        let name = names::name(inner.names.hash(whom), limit.as_str());
        match inner.counts.step(&name, rule, Step::Take).await {
            Outcome::Granted(_) => Ok(()),
            Outcome::Wait(wait) => Err(inner.reached(limit, wait)),
        }
    }

    /// Begins a sign-in to the account of an email, which may not exist: it counts as a failure
    /// until [`Limits::end_sign_in`] says otherwise, so that many at once don't slip through.
    ///
    /// # Errors
    ///
    /// [`LimitError::Reached`] where too many failed, unless the address is known to the account;
    /// [`LimitError::Storage`] where that can't be looked up.
    pub async fn begin_sign_in(&self, email: &str, from: IpAddr) -> Result<SignIn, LimitError> {
        let Some(inner) = &self.0 else {
            return Ok(SignIn { taken: None, new_address: None });
        };
        let address = KnownAddress {
            account: inner.names.hash(Whom::Email(email)),
            address: inner.names.hash(Whom::Address(from)),
        };
        let now = inner.clock.now();
        let seen = inner.storage.known_address(&address).await?;
        if seen.is_some_and(|seen| seen.plus(KNOWN_FOR) > now) {
            let is_fresh = seen.is_some_and(|seen| seen.plus(FRESH_FOR) > now);
            return Ok(SignIn { taken: None, new_address: (!is_fresh).then_some(address) });
        }
        let name = names::name(address.account, Limit::FailedSignIn.as_str());
        match inner.counts.step(&name, inner.failed_sign_in(), Step::Take).await {
            Outcome::Granted(at) => {
                Ok(SignIn { taken: Some((name, at)), new_address: Some(address) })
            }
            Outcome::Wait(wait) => Err(inner.reached(Limit::FailedSignIn, wait)),
        }
    }

    /// Ends a sign-in.
    pub async fn end_sign_in(&self, sign_in: SignIn, end: SignInEnd) {
        let Some(inner) = &self.0 else {
            return;
        };
        if end == SignInEnd::Refused {
            return;
        }
        if let Some((name, at)) = sign_in.taken {
            inner.counts.step(&name, inner.failed_sign_in(), Step::GiveBack(at)).await;
        }
        if let (SignInEnd::Good, Some(address)) = (end, sign_in.new_address) {
            // Should it fail, the next good sign-in writes it.
            let _ = inner.storage.put_known_address(&address, KNOWN_FOR).await;
        }
    }
}

impl Inner {
    fn failed_sign_in(&self) -> Rule {
        Rule { budget: self.budgets.failed_sign_in, kind: Kind::Growing }
    }

    fn reached(&self, limit: Limit, wait: Duration) -> LimitError {
        self.metrics.rate_limited.of(limit).add_one();
        LimitError::Reached(wait)
    }
}

impl Counts {
    async fn step(&self, name: &str, rule: Rule, step: Step) -> Outcome {
        match self {
            Self::Local(local) => local.step(name, rule, step),
            Self::Shared(shared) => shared.step(name, rule, step).await,
        }
    }
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner").field("budgets", &self.budgets).finish_non_exhaustive()
    }
}
