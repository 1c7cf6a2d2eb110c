//! Reads requests for the handlers.

pub(super) mod body;
pub(super) mod client;
pub(super) mod context;
pub(super) mod extract;
mod forwarded;
pub(super) mod host;
pub(super) mod input;
