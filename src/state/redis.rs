//! The OAuth state in Redis, for replicas that share it.

use async_trait::async_trait;

use super::record;
use super::{OAuthStates, Outcome, PendingAuthorization, STATE_LIFE, StateError, Step};
use crate::config::RedisConfig;
use crate::records::{RecordsError, RedisRecords};

/// Before each state; other services know it, too.
const PREFIX: &str = "discogs:oauth:state:";

/// [`OAuthStates`] in Redis.
#[derive(Debug)]
pub struct RedisStates(RedisRecords);

impl RedisStates {
    /// Names the server; the first step connects.
    ///
    /// # Errors
    ///
    /// When the URL is one that the library can't use.
    pub fn new(config: &RedisConfig) -> Result<Self, StateError> {
        Ok(Self(RedisRecords::new(config, PREFIX)?))
    }
}

#[async_trait]
impl OAuthStates for RedisStates {
    async fn ping(&self) -> Result<(), StateError> {
        Ok(self.0.ping().await?)
    }

    async fn put(&self, pending: &PendingAuthorization) -> Result<(), StateError> {
        let state = &pending.request_token.token;
        Ok(self.0.put(state, &record::encode(pending), STATE_LIFE).await?)
    }

    async fn step(&self, state: &str, step: Step) -> Result<Outcome, StateError> {
        let decide = |stored: Option<&[u8]>, now| record::apply(state, stored, now, &step);
        Ok(self.0.update(state, decide).await?)
    }
}

impl From<RecordsError> for StateError {
    fn from(error: RecordsError) -> Self {
        Self::Unavailable(error.0)
    }
}
