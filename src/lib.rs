//! The account service of Discogsography: registration, sign-in, access tokens, and the connection of
//! a user's Discogs account.
//!
//! # Map
//!
//! The service, in reading order:
//!
//! - [`model`]: users, connections, Discogs tokens, config keys; parsed, so always valid.
//! - [`http`]: every route on one screen, and what turns a request into a response.
//! - [`accounts`]: passwords, and the first admin.
//! - [`connect`]: the Discogs flow as a state machine that can be resumed.
//! - [`flows`]: how each step changes a pending flow's record.
//! - [`discogs`]: the calls to Discogs, with their limits.
//! - [`rate_limits`]: how many requests a client may make.
//! - [`storage`]: users and connections, in PostgreSQL or SQLite.
//! - [`keys`], [`keyring`]: the encryption of stored secrets.
//! - [`expiring`]: short-lived records, in Redis, SQLite or memory.
//! - [`revocations`]: which tokens a Python service alongside this one has revoked.
//! - [`server`]: binds the ports, opens the stores, runs, drains.
//!
//! The program around it:
//!
//! - [`cli`]: the commands, one function each.
//! - [`config`]: the only reader of the environment.
//! - [`doctor`]: inspects everything that the service depends on, and changes nothing.
//! - [`metrics`]: what is counted, for `GET /metrics`.
//! - [`telemetry`]: the log.
//!
//! What these share:
//!
//! - [`clock`], [`random`], [`surroundings`]: time and randomness as values, so that tests can
//!   choose them.
//! - [`sqlite`]: the file of the embedded store, through `crates/sqlite-file`.
//! - [`migrations`]: the schema's history, for both databases.
//! - [`tls`], `pem`: which certificates are trusted, and reading them from files.
//! - [`outage`]: retries operations that fail during a server outage, and reports the outage once.
//! - [`panics`]: keeping threads and tasks alive after a panic.
//! - [`threads`]: whether the operating system allows enough threads, and what to do if it doesn't.
//!
//! # Glossary
//!
//! - **access token**: the JWT that a user gets by signing in; every service of Discogsography
//!   accepts it.
//! - **claim**: the right to finish a flow, held by one request at a time. It expires when its
//!   lease runs out.
//! - **config key**: a row of `app_config`, such as the consumer key.
//! - **connection**: a user's link to Discogs, a row of `oauth_tokens`.
//! - **consumer**: the application that Discogs knows, with its consumer key and secret.
//! - **Discogs token**: the permanent credentials of a connection, a token and its secret.
//! - **finding**: one result of `doctor`: what is wrong, and how to fix it.
//! - **flow**: the steps from *Connect Discogs* to the verifier; pending for at most ten minutes.
//! - **lease**: the time after which a claim ends by itself, so that a crash blocks nothing.
//! - **priority class**: one of the two parts of the password queue, for known devices and for all
//!   others.
//! - **record store**: Redis, SQLite or memory, where short-lived records expire.
//! - **request token**: the temporary credentials of a flow, from Discogs.
//! - **state**: the random name of a flow, which its client sends back.
//! - **verifier**: the PIN that Discogs shows to a user who approves.

pub mod accounts;
pub mod cli;
pub mod clock;
pub mod config;
pub mod connect;
pub mod discogs;
pub mod doctor;
pub mod expiring;
pub mod flows;
pub mod http;
pub mod keyring;
pub mod keys;
pub mod metrics;
pub mod migrations;
pub mod model;
pub mod outage;
pub mod panics;
mod pem;
pub mod random;
pub mod rate_limits;
pub mod revocations;
pub mod server;
pub mod sqlite;
pub mod storage;
pub mod surroundings;
pub mod telemetry;
pub mod threads;
pub mod tls;

// The fuzz targets and these tests share the properties and the reader of their corpora. A property of
// a private type is included beside that type, since it can't be reached from `tests/`.
#[cfg(test)]
#[path = "../fuzz/properties/corpus.rs"]
mod corpus;
