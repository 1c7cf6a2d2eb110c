//! The routes: for each its handler, its types and its errors.

pub(super) mod accounts;
pub(super) mod admin;
pub(super) mod connection;
pub(super) mod health;
pub(super) mod metrics;
