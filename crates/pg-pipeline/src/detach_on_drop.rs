//! A future that is moved to a spawned task if its caller drops it, so it always runs to completion.
//!
//! The server executes a statement once it is sent, whether or not its caller still waits. The
//! statement is in flight until its answer arrives, so something has to wait for that.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

/// Runs in the caller's task, which is cheaper; is spawned as a task if it is dropped.
pub struct DetachOnDrop<'a, T: Send + 'static> {
    running: Option<Running<T>>,
    tasks: &'a TaskTracker,
}

type Running<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl<'a, T: Send + 'static> DetachOnDrop<'a, T> {
    /// Wraps a future; `tasks` tracks the task if it is spawned.
    pub fn new(future: impl Future<Output = T> + Send + 'static, tasks: &'a TaskTracker) -> Self {
        Self { running: Some(Box::pin(future)), tasks }
    }
}

impl<T: Send + 'static> Future for DetachOnDrop<'_, T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let Some(running) = &mut self.running else {
            return Poll::Pending; // The output was already returned.
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
        // Without a runtime, the connections have also ended.
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
    async fn a_caller_that_waits_gets_the_output() {
        assert_eq!(DetachOnDrop::new(async { 7 }, &TaskTracker::new()).await, 7);
    }

    #[tokio::test]
    async fn a_dropped_future_runs_to_completion_and_is_tracked() {
        let tasks = TaskTracker::new();
        let (go, signal) = oneshot::channel::<()>();
        let (done, completed) = oneshot::channel();
        let running = async {
            signal.await.unwrap();
            done.send(()).unwrap();
        };
        drop(DetachOnDrop::new(running, &tasks));
        assert_eq!(tasks.len(), 1);
        go.send(()).unwrap();
        completed.await.unwrap();
        tasks.close();
        tasks.wait().await;
    }
}
