//! What a door reports.

use std::io;

/// Is notified of what happens at a door; `()` ignores all of it.
pub trait Observer: Send + Sync + 'static {
    /// A connection was accepted.
    fn opened(&self) {}

    /// A connection was closed.
    fn closed(&self) {}

    /// An idle or slow connection was asked to close, to make room for a new one.
    fn evicted(&self) {}

    /// A connection was accepted only to be answered 503, because all others are busy.
    fn turned_away(&self) {}

    /// Something happened that an operator should know of; each kind at most every 10 seconds.
    fn warn(&self, _warning: Warning<'_>) {}
}

impl Observer for () {}

/// What an operator should know of.
#[derive(Debug)]
pub enum Warning<'a> {
    /// The limit is reached and every connection is busy: new ones are turned away.
    AllBusy,
    /// The limit is reached: idle connections are closed to make room for new ones.
    Evicting,
    /// The operating system refused to hand over a connection.
    AcceptFailed(&'a io::Error),
    /// Requests took longer than the drain time and were cut off.
    CutOff,
}
