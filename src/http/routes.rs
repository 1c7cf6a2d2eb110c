//! What each route does: its handler, its types, its errors.

pub(super) mod accounts;
pub(super) mod admin;
pub(super) mod connection;
pub(super) mod health;
pub(super) mod metrics;
