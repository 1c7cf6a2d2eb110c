//! The account service of Discogsography.
//!
//! A map, in reading order:
//!
//! - [`model`]: users, connections, Discogs tokens, config keys; parsed, so valid.
//! - [`config`]: the only reader of the environment.
//! - [`storage`]: users and connections, in PostgreSQL or SQLite.
//! - [`expiring`]: short-lived records, in Redis, SQLite or memory; [`flows`] and [`rate_limits`] are
//!   pure functions over them.
//! - [`accounts`], [`discogs`], [`connect`]: what has steps of its own.
//! - [`metrics`]: what is counted, for `/metrics`.
//! - [`http`]: every route on one screen, and what turns a request into an answer.
//! - [`server`]: opens the stores, binds both ports, runs, drains.
//! - [`printable`]: what text from elsewhere goes through before it is printed.
//! - [`dial`]: TCP connections by name, whichever address answers.
//! - [`tls`]: whom all of them believe to be who they say.
//! - [`panics`] and [`threads`]: what a panic may end, and a process that gets no thread.
//! - [`doctor`]: looks at all that the service stands on, and changes nothing.
//! - [`cli`]: the commands.

pub mod accounts;
pub mod cli;
pub mod clock;
pub mod config;
pub mod connect;
pub mod dial;
pub mod discogs;
pub mod doctor;
pub mod expiring;
pub mod flows;
pub mod http;
pub mod metrics;
pub mod migrations;
pub mod model;
pub mod outage;
pub mod panics;
mod pem;
pub mod printable;
pub mod random;
pub mod rate_limits;
pub mod server;
pub mod sqlite;
pub mod storage;
pub mod surroundings;
pub mod telemetry;
pub mod threads;
pub mod tls;

#[cfg(test)]
#[path = "../fuzz/properties/corpus.rs"]
mod corpus;
