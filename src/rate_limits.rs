//! Request limits: how many requests an address, an account or a user may make.
//!
//! Counts are kept for their window, failed sign-ins for up to a day, in Redis for all replicas or
//! otherwise in this process. The addresses from which a user has signed in are kept in the
//! storage, so that a stranger's wrong passwords do not lock the user out. Addresses, accounts and
//! users are stored only as keyed hashes. This module must not depend on HTTP.

mod batch;
mod bucket_keys;
mod grants;
mod limit;
mod local;
mod rule;
mod shared;

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use uuid::Uuid;

use crate::clock::{Clock, Timestamp};
use crate::config::{Budget, Budgets, RateLimits};
use crate::expiring::{Expiring, MemoryRecords};
use crate::metrics::Metrics;
use crate::model::{Client, KnownAddress, Network, Standing};
use crate::storage::{Storage, StorageError};
use bucket_keys::{Hasher, KeySpace, Subject};
use rule::{Bucket, Operation, Policy, Rule, Verdict};
use shared::SharedCounts;

pub use limit::Limit;

/// The prefix of each key in Redis.
pub const REDIS_PREFIX: &str = "discogs:limits:";

/// The IPv6 prefix length that a provider assigns to one customer, who can use every address in it.
const OWN_PREFIX: u8 = 64;

/// Larger IPv6 networks that a customer can obtain, each with its multiple of the budget.
const WIDE_PREFIXES: [(u8, u32); 2] = [(56, 4), (48, 16)];

/// Prefix lengths of the IPv4 and IPv6 networks that each get one share of the password queue.
const QUEUE_PREFIXES: (u8, u8) = (24, 48);

/// How long an address stays known after a successful sign-in from it.
const KNOWN_FOR: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// How long until a sign-in from a known address is recorded again.
const FRESH_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// Counts requests and refuses those over a limit; allows all if limits are off.
#[derive(Debug)]
pub struct RateLimiter(Option<Inner>);

struct Inner {
    budgets: Budgets,
    hasher: Hasher,
    counts: Counts,
    storage: Arc<dyn Storage>,
    clock: Clock,
    metrics: Arc<Metrics>,
}

#[derive(Debug)]
enum Counts {
    Local(MemoryRecords),
    Shared(SharedCounts),
}

/// A request that is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A registration.
    Register(Client),
    /// A sign-in.
    SignIn(Client),
    /// The start of a connection to Discogs, by this user.
    Authorize(Uuid, Client),
    /// Completing a connection to Discogs, by this user.
    Verify(Uuid, Client),
}

/// A sign-in whose password is being checked.
#[derive(Debug)]
#[must_use]
pub struct SignInAttempt {
    /// What was counted, and when; `None` if nothing was.
    counted: Option<(Bucket, Timestamp)>,
    standing: Standing,
    /// The address to record on success; `None` if it is known or can't become known.
    new_address: Option<KnownAddress>,
}

/// How a sign-in ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignInEnd {
    /// The user is signed in.
    Good,
    /// The email or password was wrong.
    Refused,
    /// The password was not checked, or was correct but not sufficient.
    Inconclusive,
}

/// Why a request was refused.
#[derive(Debug, Error)]
pub enum LimitError {
    /// A budget is used up.
    #[error("too many requests; the next one is allowed in {} s", .0.as_secs())]
    Reached(Duration),
    /// Known addresses can't be read.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl RateLimiter {
    /// Keeps counts in `shared` if that is given, otherwise in this process.
    #[must_use]
    pub fn new(
        limits: RateLimits,
        secret: &[u8],
        shared: Option<Arc<dyn Expiring>>,
        storage: Arc<dyn Storage>,
        clock: Clock,
        metrics: Arc<Metrics>,
    ) -> Self {
        let RateLimits::On(budgets) = limits else {
            return Self(None);
        };
        let local = MemoryRecords::new(clock.clone(), local::CAPACITY);
        let counts = match shared {
            Some(records) => {
                Counts::Shared(SharedCounts::new(records, local, Arc::clone(&metrics)))
            }
            None => Counts::Local(local),
        };
        let hasher = Hasher::new(secret);
        Self(Some(Inner { budgets, hasher, counts, storage, clock, metrics }))
    }

    /// Counts a request in all of its buckets, or in none.
    ///
    /// # Errors
    ///
    /// [`LimitError::Reached`] if a budget is used up.
    pub async fn take(&self, action: Action) -> Result<(), LimitError> {
        let Some(inner) = &self.0 else {
            return Ok(());
        };
        let budgets = &inner.budgets;
        let buckets = match action {
            Action::Register(client) => inner.of_client(Limit::Register, budgets.register, client),
            Action::SignIn(client) => inner.of_client(Limit::SignIn, budgets.sign_in, client),
            Action::Authorize(user, client) => [
                vec![inner.of_user(Limit::Authorize, budgets.authorize, user)],
                inner.of_client(Limit::AuthorizeAddress, budgets.authorize_address, client),
            ]
            .concat(),
            Action::Verify(user, client) => [
                vec![inner.of_user(Limit::Verify, budgets.verify, user)],
                inner.of_client(Limit::VerifyAddress, budgets.verify_address, client),
            ]
            .concat(),
        };
        inner.take(&buckets).await.map(drop)
    }

    /// Begins a sign-in to an account, which need not exist.
    ///
    /// It counts as failed until [`RateLimiter::end_sign_in`], so that concurrent attempts can't
    /// exceed the limit.
    ///
    /// # Errors
    ///
    /// [`LimitError::Reached`] after too many failures, unless the address is known for this
    /// account; [`LimitError::Storage`] if known addresses can't be read.
    pub async fn begin_sign_in(
        &self,
        email: &str,
        client: Client,
    ) -> Result<SignInAttempt, LimitError> {
        let stranger =
            SignInAttempt { counted: None, standing: Standing::Stranger, new_address: None };
        let Some(inner) = &self.0 else {
            return Ok(stranger);
        };
        let account = inner.hasher.hash(Subject::Email(email));
        let mut new_address = None;
        if let Client::Device(device) = client {
            let network = Network::around(device, 32, OWN_PREFIX);
            let address = inner.hasher.hash(Subject::Network(network));
            let address = KnownAddress { account, address };
            let now = inner.clock.now();
            let seen = inner.storage.known_address(&address).await?;
            let is_within = |life| seen.is_some_and(|seen| seen.plus(life) > now);
            new_address = (!is_within(FRESH_FOR)).then_some(address);
            if is_within(KNOWN_FOR) {
                return Ok(SignInAttempt { standing: Standing::Known, new_address, ..stranger });
            }
        }
        let limit = Limit::FailedSignIn;
        let key = bucket_keys::key(account, limit.as_str(), KeySpace::Large);
        let rule = Rule { budget: inner.budgets.failed_sign_in, policy: Policy::Growing };
        let bucket = Bucket { key, limit, rule };
        let at = inner.take(std::slice::from_ref(&bucket)).await?;
        Ok(SignInAttempt { counted: Some((bucket, at)), new_address, ..stranger })
    }

    /// Ends a sign-in. Unless the password was wrong, its provisional failure is taken back.
    pub async fn end_sign_in(&self, attempt: SignInAttempt, end: SignInEnd) {
        let Some(inner) = &self.0 else {
            return;
        };
        if end == SignInEnd::Refused {
            return;
        }
        if let Some((bucket, at)) = attempt.counted {
            inner.counts.give_back(std::slice::from_ref(&bucket), at);
        }
        if let (SignInEnd::Good, Some(address)) = (end, attempt.new_address) {
            // If this fails, the next successful sign-in records the address.
            let _ = inner.storage.put_known_address(&address, KNOWN_FOR).await;
        }
    }

    /// Returns the client's network, which gets one share of the password queue.
    ///
    /// `None` if limits are off.
    #[must_use]
    pub fn queue_network(&self, client: Client) -> Option<Network> {
        let (v4, v6) = QUEUE_PREFIXES;
        self.0.as_ref().map(|_| Network::around(client.address(), v4, v6))
    }
}

impl SignInAttempt {
    /// Returns whether the address is known for this account.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.standing
    }
}

impl Inner {
    fn of_user(&self, limit: Limit, budget: Budget, user: Uuid) -> Bucket {
        let hash = self.hasher.hash(Subject::User(user));
        let key = bucket_keys::key(hash, limit.as_str(), KeySpace::Small);
        Bucket { key, limit, rule: Rule { budget, policy: Policy::Sliding } }
    }

    /// Returns the bucket of a client's address, and for IPv6 those of the networks around it.
    fn of_client(&self, limit: Limit, budget: Budget, client: Client) -> Vec<Bucket> {
        let bucket = |network, kind: &str, rule| {
            let hash = self.hasher.hash(Subject::Network(network));
            Bucket { key: bucket_keys::key(hash, kind, KeySpace::Small), limit, rule }
        };
        let (address, kind) = (client.address(), limit.as_str());
        let own = Network::around(address, 32, OWN_PREFIX);
        let mut all = vec![bucket(own, kind, Rule { budget, policy: Policy::Sliding })];
        if own.address().is_ipv6() {
            all.extend(WIDE_PREFIXES.map(|(prefix, budgets)| {
                let budget = Budget { most: budget.most.saturating_mul(budgets), ..budget };
                let rule = Rule { budget, policy: Policy::Coarse };
                bucket(Network::around(address, 32, prefix), &format!("{kind}_{prefix}"), rule)
            }));
        }
        all
    }

    async fn take(&self, buckets: &[Bucket]) -> Result<Timestamp, LimitError> {
        match self.counts.take(buckets).await {
            Verdict::Granted(at) => Ok(at),
            Verdict::Refused(limit, wait) => {
                self.metrics.rate_limited.get_or_create(&limit).inc();
                Err(LimitError::Reached(wait))
            }
        }
    }
}

impl Counts {
    async fn take(&self, buckets: &[Bucket]) -> Verdict {
        match self {
            Self::Local(records) => local::charge(records, buckets, Operation::Take),
            Self::Shared(shared) => shared.take(buckets).await,
        }
    }

    fn give_back(&self, buckets: &[Bucket], at: Timestamp) {
        match self {
            Self::Local(records) => {
                local::charge(records, buckets, Operation::GiveBack(at));
            }
            Self::Shared(shared) => shared.give_back(buckets, at),
        }
    }
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner").field("budgets", &self.budgets).finish_non_exhaustive()
    }
}
