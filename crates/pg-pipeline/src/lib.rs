//! A few shared connections to PostgreSQL, each with many statements in flight.
//!
//! A [`Pool`] keeps its connections up, chooses one for each [`Query`], and limits how many queries
//! may wait, and for how long. [`Server`] connects with a time limit, over TLS if [`Settings`] ask
//! for it. The README says when to use this instead of a pool that lends connections.
//!
//! Knows no tables, configuration, log or metrics: statements come from the caller, and an
//! [`Observer`] learns what happens to connections.

mod attempts;
mod connection;
mod detach_on_drop;
pub mod dial;
mod error;
mod observer;
mod pool;
mod query;
mod server;
mod settings;
mod stream;
mod tls;

use std::time::Duration;

pub use attempts::Phase;
pub use detach_on_drop::DetachOnDrop;
pub use error::Error;
pub use observer::Observer;
pub use pool::{Pool, PoolSize};
pub use query::{Prepared, Query, Sql};
pub use server::{Driver, NewConnection, Server};
pub use settings::{Settings, StatementNames};
pub use tls::Tls;
pub use tokio_postgres::config::ChannelBinding;

#[expect(clippy::disallowed_methods, reason = "time itself is what is waited for")]
async fn pause(duration: Duration) {
    tokio::time::sleep(duration).await;
}
