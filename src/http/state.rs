//! What every handler can reach.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use discogsography_token::Keys;
use ipnet::IpNet;
use url::Url;

use super::error::ApiError;
use super::request::client::ForwardingWarnings;
use super::routes::health::{Health, Stage};
use crate::accounts::password::Passwords;
use crate::clock::Clock;
use crate::config::{CorsOrigins, WebPage};
use crate::connect::Connect;
use crate::metrics::Metrics;
use crate::random::Random;
use crate::rate_limits::RateLimiter;
use crate::revocations::Revocations;
use crate::storage::Storage;

/// What every handler can reach.
#[derive(Debug, Clone)]
pub struct AppState(Arc<App>);

/// The parts of the service that handlers call.
#[derive(Debug)]
pub struct App {
    /// Users and their connections; handlers call `AppState::storage` to get it.
    pub storage: Arc<dyn Storage>,
    /// The Discogs flow.
    pub connect: Connect,
    /// Hashing and checking passwords.
    pub passwords: Passwords,
    /// Signs and checks access tokens.
    pub keys: Keys,
    /// The tokens that a Python service has revoked; `None` without `PYTHON_COMPAT`.
    pub revocations: Option<Arc<Revocations>>,
    /// How long an access token is valid.
    pub access_token_life: Duration,
    /// The time of day.
    pub clock: Clock,
    /// Generates ids.
    pub random: Random,
    /// What the service counts and measures.
    pub metrics: Arc<Metrics>,
    /// The checks behind the health routes.
    pub health: Health,
    /// The origins whose web pages may call the API.
    pub cors_origins: CorsOrigins,
    /// Whether the account page is served.
    pub web_page: WebPage,
    /// The front end to which the account page links.
    pub app_base_url: Option<Url>,
    /// The request limits.
    pub limits: RateLimiter,
    /// The peers whose forwarding headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// The warnings about forwarding headers that were already logged.
    pub forwarding_warnings: ForwardingWarnings,
}

impl App {
    /// Whether a stand-in for Discogs is used, so that no connection is real.
    #[must_use]
    pub fn is_sandbox(&self) -> bool {
        self.connect.sandbox_consumer.is_some()
    }
}

impl AppState {
    /// Shares the parts among the handlers.
    #[must_use]
    pub fn new(app: App) -> Self {
        Self(Arc::new(app))
    }

    /// Returns the storage.
    ///
    /// # Errors
    ///
    /// While it is being prepared.
    pub(crate) fn storage(&self) -> Result<&dyn Storage, ApiError> {
        match self.health.lifecycle().stage() {
            Stage::Starting => {
                Err(ApiError::DatabaseUnavailable("the service is starting".to_owned()))
            }
            Stage::Ready | Stage::Draining => Ok(&*self.storage),
        }
    }
}

impl Deref for AppState {
    type Target = App;

    fn deref(&self) -> &App {
        &self.0
    }
}
