//! Request limits: how often an address, an account or a user may ask.
//!
//! Counts live for minutes, in Redis for all replicas, else in this process. The addresses from which a
//! user has signed in successfully are kept in the storage, so that a stranger's wrong passwords lock
//! nobody out. All names are keyed hashes. Must not know HTTP.

mod batch;
mod bucket_keys;
mod budget;
mod limit;
mod local;
mod record;
mod shared;

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use uuid::Uuid;

use crate::clock::{Clock, Timestamp};
use crate::config::{Budget, Budgets, RateLimits, RedisConfig};
use crate::expiring::{RecordsError, RedisRecords};
use crate::metrics::Metrics;
use crate::model::{Client, KnownAddress, Network, Standing};
use crate::storage::{Storage, StorageError};
use bucket_keys::{Hasher, Names, Whom};
use budget::{Counted, Kind, Outcome, Rule, Step};
use local::Local;
use shared::Shared;

pub use limit::Limit;
pub use shared::PREFIX as REDIS_PREFIX;

/// What a provider gives one customer, of which the customer can take any address: one budget.
const OWN_PREFIX: u8 = 64;

/// What customers can get as well, with how many budgets such a network has.
const WIDE_PREFIXES: [(u8, u32); 2] = [(56, 4), (48, 16)];

/// The networks that share the queue of passwords.
const QUEUE_PREFIXES: (u8, u8) = (24, 48);

/// How long an address is known after a successful sign-in from it.
const KNOWN_FOR: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// A known address is written down again after this long.
const FRESH_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// Counts requests; nothing where limits are switched off.
#[derive(Debug)]
pub struct Limits(Option<Inner>);

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
    Local(Local),
    Shared(Shared),
}

/// What a client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A registration.
    Register(Client),
    /// A sign-in.
    SignIn(Client),
    /// The start of a connection to Discogs, by this user.
    Authorize(Uuid, Client),
    /// The finish of one, by this user.
    Verify(Uuid, Client),
}

/// A sign-in that has begun: what it took, and where it comes from.
#[derive(Debug)]
#[must_use]
pub struct SignIn {
    taken: Option<(Counted, Timestamp)>,
    standing: Standing,
    /// The address to record if this succeeds; `None` if it is known or can't be.
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
        let hasher = Hasher::new(secret);
        Ok(Self(Some(Inner { budgets, hasher, counts, storage, clock, metrics })))
    }

    /// Counts one more request, in every count that it belongs to or in none.
    ///
    /// # Errors
    ///
    /// [`LimitError::Reached`] where there were too many.
    pub async fn take(&self, action: Action) -> Result<(), LimitError> {
        let Some(inner) = &self.0 else {
            return Ok(());
        };
        let budgets = &inner.budgets;
        let counted = match action {
            Action::Register(client) => inner.of_client(Limit::Register, budgets.register, client),
            Action::SignIn(client) => inner.of_client(Limit::SignIn, budgets.sign_in, client),
            Action::Authorize(user, client) => {
                let own = inner.of_user(Limit::Authorize, budgets.authorize, user);
                let limit = Limit::AuthorizeAddress;
                let mut all = inner.of_client(limit, budgets.authorize_address, client);
                all.insert(0, own);
                all
            }
            Action::Verify(user, client) => {
                let own = inner.of_user(Limit::Verify, budgets.verify, user);
                let mut all = inner.of_client(Limit::VerifyAddress, budgets.verify_address, client);
                all.insert(0, own);
                all
            }
        };
        inner.take(&counted).await.map(drop)
    }

    /// Begins a sign-in to the account of an email, which may not exist: it counts as a failure
    /// until [`Limits::end_sign_in`] says otherwise, so that many at once don't slip through.
    ///
    /// # Errors
    ///
    /// [`LimitError::Reached`] where too many failed, unless the address is known to the account;
    /// [`LimitError::Storage`] where that can't be looked up.
    pub async fn begin_sign_in(&self, email: &str, client: Client) -> Result<SignIn, LimitError> {
        let stranger = SignIn { taken: None, standing: Standing::Stranger, new_address: None };
        let Some(inner) = &self.0 else {
            return Ok(stranger);
        };
        let account = inner.hasher.hash(Whom::Email(email));
        let mut new_address = None;
        if let Client::Device(device) = client {
            let network = Network::around(device, 32, OWN_PREFIX);
            let address = inner.hasher.hash(Whom::Network(network));
            let address = KnownAddress { account, address };
            let now = inner.clock.now();
            let seen = inner.storage.known_address(&address).await?;
            let is_within = |life| seen.is_some_and(|seen| seen.plus(life) > now);
            new_address = (!is_within(FRESH_FOR)).then_some(address);
            if is_within(KNOWN_FOR) {
                return Ok(SignIn { standing: Standing::Known, new_address, ..stranger });
            }
        }
        let limit = Limit::FailedSignIn;
        let name = bucket_keys::name(account, limit.as_str(), Names::Many);
        let rule = Rule { budget: inner.budgets.failed_sign_in, kind: Kind::Growing };
        let counted = Counted { name, limit, rule };
        let at = inner.take(std::slice::from_ref(&counted)).await?;
        Ok(SignIn { taken: Some((counted, at)), new_address, ..stranger })
    }

    /// Ends a sign-in.
    pub async fn end_sign_in(&self, sign_in: SignIn, end: SignInEnd) {
        let Some(inner) = &self.0 else {
            return;
        };
        if end == SignInEnd::Refused {
            return;
        }
        if let Some((counted, at)) = sign_in.taken {
            inner.counts.give_back(std::slice::from_ref(&counted), at);
        }
        if let (SignInEnd::Good, Some(address)) = (end, sign_in.new_address) {
            // Should it fail, the next good sign-in writes it.
            let _ = inner.storage.put_known_address(&address, KNOWN_FOR).await;
        }
    }

    /// The network whose passwords share a part of the queue; `None` where limits are off.
    #[must_use]
    pub fn queue_network(&self, client: Client) -> Option<Network> {
        let (v4, v6) = QUEUE_PREFIXES;
        self.0.as_ref().map(|_| Network::around(client.address(), v4, v6))
    }
}

impl SignIn {
    /// Whether it comes from an address that is known to the account.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.standing
    }
}

impl Inner {
    fn of_user(&self, limit: Limit, budget: Budget, user: Uuid) -> Counted {
        let name =
            bucket_keys::name(self.hasher.hash(Whom::User(user)), limit.as_str(), Names::Few);
        Counted { name, limit, rule: Rule { budget, kind: Kind::Sliding } }
    }

    /// The count of a client's address, and for IPv6 those of the networks around it.
    fn of_client(&self, limit: Limit, budget: Budget, client: Client) -> Vec<Counted> {
        let counted = |network, kind: &str, rule| {
            let hash = self.hasher.hash(Whom::Network(network));
            Counted { name: bucket_keys::name(hash, kind, Names::Few), limit, rule }
        };
        let (address, kind) = (client.address(), limit.as_str());
        let own = Network::around(address, 32, OWN_PREFIX);
        let mut all = vec![counted(own, kind, Rule { budget, kind: Kind::Sliding })];
        if own.address().is_ipv6() {
            all.extend(WIDE_PREFIXES.map(|(prefix, budgets)| {
                let budget = Budget { most: budget.most.saturating_mul(budgets), ..budget };
                let rule = Rule { budget, kind: Kind::Coarse };
                counted(Network::around(address, 32, prefix), &format!("{kind}_{prefix}"), rule)
            }));
        }
        all
    }

    async fn take(&self, counted: &[Counted]) -> Result<Timestamp, LimitError> {
        match self.counts.take(counted).await {
            Outcome::Granted(at) => Ok(at),
            Outcome::Refused(limit, wait) => {
                self.metrics.rate_limited.get_or_create(&limit).inc();
                Err(LimitError::Reached(wait))
            }
        }
    }
}

impl Counts {
    async fn take(&self, counted: &[Counted]) -> Outcome {
        match self {
            Self::Local(local) => local.step(counted, Step::Take),
            Self::Shared(shared) => shared.take(counted).await,
        }
    }

    fn give_back(&self, counted: &[Counted], at: Timestamp) {
        match self {
            Self::Local(local) => {
                local.step(counted, Step::GiveBack(at));
            }
            Self::Shared(shared) => shared.give_back(counted, at),
        }
    }
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner").field("budgets", &self.budgets).finish_non_exhaustive()
    }
}
