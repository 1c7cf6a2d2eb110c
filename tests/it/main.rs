//! The tests of the whole service: real servers, real HTTP, the sandbox for Discogs.
//!
//! A test that needs PostgreSQL and Redis is ignored unless `scripts/test` runs it; those on the
//! embedded store run anywhere.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that panics has failed, as it should"
)]

mod accounts;
mod admin;
mod administration;
mod at_rest;
mod canary;
mod cli;
mod configuration;
mod connect;
#[path = "../../fuzz/properties/corpus.rs"]
mod corpus;
mod doctor;
mod edge;
mod expiring_contract;
mod file;
mod first_admin;
mod flows_contract;
mod foreign;
mod fuzz;
mod harness;
mod hashing;
mod input;
mod keys;
mod limits;
mod logging;
mod matrix;
mod metrics;
mod odd_rows;
mod outages;
mod pooler;
mod postgres;
mod proxy;
mod readme;
mod replicas;
mod revocations;
mod rotation;
mod schedules;
mod storage_contract;
mod takeover;
mod tidy;
mod tls;
mod tokens;
