//! Records with a life that several replicas share: read, decided on here, replaced only if nobody
//! else was faster.
//!
//! The flows under way (`state`) and the counters of the request limits (`limits`) are kept so.
//! Knows neither of them.

mod error;
mod redis;

use std::time::Duration;

use thiserror::Error;

pub use self::redis::RedisRecords;

/// A record as it is stored; `None` where there is none.
pub type Stored = Option<Vec<u8>>;

/// What is to be done with a record.
#[derive(Debug)]
pub enum Write {
    /// Leave it as it is.
    Nothing,
    /// Replace it; it expires when it would have.
    Replace(String),
    /// Replace it, and begin a new life of this length.
    Renew(String, Duration),
    /// Remove it.
    Delete,
}

/// Why a record could not be read or written.
#[derive(Debug, Error)]
#[error(transparent)]
pub struct RecordsError(#[from] pub Box<dyn std::error::Error + Send + Sync>);
