//! Catches panics that would end a queue's thread or a task that others wait for.
//!
//! The panic hook has logged the panic by the time these functions return.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

use thiserror::Error;

/// Work that ended by a panic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a panic")]
pub struct Panicked;

/// Runs `work` and catches a panic.
///
/// # Errors
///
/// If it panics. Whatever it was changing may be left half-changed.
pub fn catch<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| Panicked)
}

/// Runs a future to completion and catches a panic.
///
/// # Errors
///
/// As [`catch`].
pub async fn catch_in<F: Future>(future: F) -> Result<F::Output, Panicked> {
    let mut future = pin!(future);
    std::future::poll_fn(|context| match catch(|| future.as_mut().poll(context)) {
        Ok(poll) => poll.map(Ok),
        Err(panicked) => Poll::Ready(Err(panicked)),
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::{Panicked, catch, catch_in};

    #[test]
    fn work_gives_its_result_or_that_it_panicked() {
        assert_eq!(catch(|| 7), Ok(7));
        assert_eq!(catch(|| -> u8 { panic!("as ordered") }), Err(Panicked));
    }

    #[tokio::test]
    async fn a_future_gives_its_output_or_that_it_panicked() {
        let later = async |panics: bool| {
            tokio::task::yield_now().await;
            assert!(!panics, "as ordered");
            7
        };
        assert_eq!(catch_in(later(false)).await, Ok(7));
        assert_eq!(catch_in(later(true)).await, Err(Panicked));
    }
}
