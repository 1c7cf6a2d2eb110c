//! What a caller learns about a pool's connections.

use crate::Error;

/// Learns what happens to a pool's connections and queries, for example to count it.
///
/// Methods are called on the tasks that serve queries, so they must return quickly.
pub trait Observer: Send + Sync + 'static {
    /// A connection is up and its statements are prepared.
    fn opened(&self) {}

    /// A connection could not be opened; the pool retries.
    fn not_opened(&self, _error: &Error) {}

    /// A connection that was up has ended, for whatever reason.
    fn closed(&self) {}

    /// A connection ended although the pool still needed it; `None` if the pool gave it up because
    /// a query got no answer or the server may not be used any longer.
    fn lost(&self, _error: Option<&Error>) {}

    /// A query failed after all retries.
    fn failed(&self, _error: &Error) {}
}

/// Ignores everything.
impl Observer for () {}
