//! What a caller learns about a pool's connections.

use crate::Error;

/// Is notified about a pool's connections and queries, for example to count them.
///
/// Methods are called on the tasks that serve queries, so they must return quickly.
pub trait Observer: Send + Sync + 'static {
    /// A connection is up and its statements are prepared.
    fn opened(&self) {}

    /// A connection could not be opened; the pool retries.
    fn not_opened(&self, _error: &Error) {}

    /// An open connection has ended, for any reason.
    fn closed(&self) {}

    /// A connection ended although the pool still needed it.
    ///
    /// `None` if the pool gave it up because a query got no answer or the server may no longer be
    /// used.
    fn lost(&self, _error: Option<&Error>) {}

    /// A query failed after all retries.
    fn failed(&self, _error: &Error) {}
}

/// Ignores everything.
impl Observer for () {}
