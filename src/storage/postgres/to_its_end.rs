//! A future that goes on as a task when whoever waits for it goes away.
//!
//! A statement that was sent is executed whatever happens to the request it was sent for. It has
//! to be counted until its answer comes, so somebody has to wait for that.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;

/// Runs where it is awaited, which is cheaper than a task; only when it is dropped it becomes one.
pub(super) struct ToItsEnd<T: Send + 'static>(Option<Running<T>>);

type Running<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl<T: Send + 'static> ToItsEnd<T> {
    pub(super) fn new(future: impl Future<Output = T> + Send + 'static) -> Self {
        Self(Some(Box::pin(future)))
    }
}

impl<T: Send + 'static> Future for ToItsEnd<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let Some(running) = &mut self.0 else {
            return Poll::Pending; // It has given its output already.
        };
        let poll = running.as_mut().poll(context);
        if poll.is_ready() {
            self.0 = None;
        }
        poll
    }
}

impl<T: Send + 'static> Drop for ToItsEnd<T> {
    fn drop(&mut self) {
        // Where the runtime has ended, so have its connections.
        if let (Some(running), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(running);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::ToItsEnd;

    #[tokio::test]
    async fn who_waits_gets_the_output() {
        assert_eq!(ToItsEnd::new(async { 7 }).await, 7);
    }

    #[tokio::test]
    async fn what_is_dropped_while_it_runs_goes_on() {
        let (go, told) = oneshot::channel::<()>();
        let (done, was_done) = oneshot::channel();
        let running = ToItsEnd::new(async {
            told.await.unwrap();
            done.send(()).unwrap();
        });
        drop(running);
        go.send(()).unwrap();
        was_done.await.unwrap();
    }
}
