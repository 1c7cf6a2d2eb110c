//! A future that goes on as a task when whoever waits for it goes away.
//!
//! A statement that was sent is executed whatever happens to the request it was sent for. It has
//! to be counted until its answer comes, so somebody has to wait for that.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

/// Runs where it is awaited, which is cheaper than a task; only when it is dropped it becomes one.
pub(super) struct DetachOnDrop<'a, T: Send + 'static> {
    running: Option<Running<T>>,
    tasks: &'a TaskTracker,
}

type Running<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl<'a, T: Send + 'static> DetachOnDrop<'a, T> {
    /// What it becomes when it is dropped is counted among the `tasks`.
    pub(super) fn new(
        future: impl Future<Output = T> + Send + 'static,
        tasks: &'a TaskTracker,
    ) -> Self {
        Self { running: Some(Box::pin(future)), tasks }
    }
}

impl<T: Send + 'static> Future for DetachOnDrop<'_, T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let Some(running) = &mut self.running else {
            return Poll::Pending; // It has given its output already.
        };
        let poll = running.as_mut().poll(context);
        if poll.is_ready() {
            self.running = None;
        }
        poll
    }
}

impl<T: Send + 'static> Drop for DetachOnDrop<'_, T> {
    fn drop(&mut self) {
        // Where the runtime has ended, so have its connections.
        if let (Some(running), Ok(runtime)) = (self.running.take(), Handle::try_current()) {
            self.tasks.spawn_on(running, &runtime);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;
    use tokio_util::task::TaskTracker;

    use super::DetachOnDrop;

    #[tokio::test]
    async fn who_waits_gets_the_output() {
        assert_eq!(DetachOnDrop::new(async { 7 }, &TaskTracker::new()).await, 7);
    }

    #[tokio::test]
    async fn what_is_dropped_while_it_runs_goes_on_and_is_counted() {
        let tasks = TaskTracker::new();
        let (go, told) = oneshot::channel::<()>();
        let (done, was_done) = oneshot::channel();
        let running = async {
            told.await.unwrap();
            done.send(()).unwrap();
        };
        drop(DetachOnDrop::new(running, &tasks));
        assert_eq!(tasks.len(), 1);
        go.send(()).unwrap();
        was_done.await.unwrap();
        tasks.close();
        tasks.wait().await;
    }
}
