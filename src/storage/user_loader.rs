//! Users by their ids, many by one statement: those who are asked for while a read is under way
//! are read together by the next one (docs/decisions/0019-users-are-read-together.md).

use std::fmt;
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::StorageError;
use super::detach_on_drop::DetachOnDrop;
use crate::model::User;
use crate::panics;

/// The next read waits for the one under way to end, but not for longer.
const PATIENCE: Duration = Duration::from_millis(2);

/// Reads users from a store.
pub(super) struct UserLoader(Arc<Shared>);

struct Shared {
    read: Box<dyn Fn(Vec<Uuid>) -> Reading + Send + Sync>,
    waiting: Mutex<Waiting>,
    /// Reads that took so long that the next ones did not wait for them.
    left_alone: TaskTracker,
}

/// The users with some ids, in any order.
type Reading = Pin<Box<dyn Future<Output = Result<Vec<User>, StorageError>> + Send>>;

/// Those who are asked for and not read yet: as many as requests are under way, at most.
#[derive(Default)]
struct Waiting {
    users: Vec<Asked>,
    /// Whether a task reads them.
    is_read: bool,
}

struct Asked {
    id: Uuid,
    answer: oneshot::Sender<Result<Option<User>, StorageError>>,
}

impl UserLoader {
    /// `read` is given the ids of all who are to be read.
    pub(super) fn new<Read>(read: impl Fn(Vec<Uuid>) -> Read + Send + Sync + 'static) -> Self
    where
        Read: Future<Output = Result<Vec<User>, StorageError>> + Send + 'static,
    {
        let read = Box::new(move |ids| Box::pin(read(ids)) as Reading);
        let (waiting, left_alone) = Default::default();
        Self(Arc::new(Shared { read, waiting, left_alone }))
    }

    /// The user with this id, as of after it was asked for.
    pub(super) async fn user(&self, id: Uuid) -> Result<Option<User>, StorageError> {
        let (answer, answered) = oneshot::channel();
        if self.0.add(Asked { id, answer }) {
            tokio::spawn(Arc::clone(&self.0).read_all());
        }
        answered.await.unwrap_or_else(|ended| Err(StorageError::Unavailable(Arc::new(ended))))
    }
}

impl Shared {
    /// Whether nobody reads so far.
    fn add(&self, asked: Asked) -> bool {
        let mut waiting = self.lock();
        waiting.users.push(asked);
        !mem::replace(&mut waiting.is_read, true)
    }

    /// Reads until nobody waits any more.
    async fn read_all(self: Arc<Self>) {
        while let Some(asked) = self.take() {
            let read = DetachOnDrop::new(Arc::clone(&self).read(asked), &self.left_alone);
            // One that is not done by then goes on by itself.
            let _ = tokio::time::timeout(PATIENCE, read).await;
        }
    }

    fn take(&self) -> Option<Vec<Asked>> {
        let mut waiting = self.lock();
        waiting.is_read = !waiting.users.is_empty();
        waiting.is_read.then(|| mem::take(&mut waiting.users))
    }

    async fn read(self: Arc<Self>, asked: Vec<Asked>) {
        let reading = (self.read)(asked.iter().map(|asked| asked.id).collect());
        // A panic must not keep those waiting who are asked for later.
        let found = panics::catch_in(reading).await;
        let found = found.unwrap_or_else(|panic| Err(StorageError::Unavailable(Arc::new(panic))));
        for Asked { id, answer } in asked {
            let user = match &found {
                Ok(users) => Ok(users.iter().find(|user| user.id == id).cloned()),
                Err(error) => Err(error.clone()),
            };
            // Whoever asked may have gone.
            let _ = answer.send(user);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for UserLoader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserLoader").finish_non_exhaustive()
    }
}
