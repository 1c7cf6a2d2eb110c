//! Loads users by id in batches: those requested while a read is in progress are read together by the
//! next statement (docs/decisions/0019-users-are-read-together.md).

use std::fmt;
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pg_pipeline::DetachOnDrop;
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::StorageError;
use crate::model::User;
use crate::panics;

/// How long the next read waits for the one under way.
const PATIENCE: Duration = Duration::from_millis(2);

/// Reads users from a store.
pub(super) struct UserLoader(Arc<Inner>);

struct Inner {
    read: Box<dyn Fn(Vec<Uuid>) -> Reading + Send + Sync>,
    waiting: Mutex<Waiting>,
    /// Reads that took too long for the next ones to wait for them.
    detached: TaskTracker,
}

/// The users with some ids, in any order.
type Reading = Pin<Box<dyn Future<Output = Result<Vec<User>, StorageError>> + Send>>;

/// The users to read next; at most one for each request under way.
#[derive(Default)]
struct Waiting {
    users: Vec<Lookup>,
    /// Whether a task is reading.
    has_reader: bool,
}

struct Lookup {
    id: Uuid,
    answer: oneshot::Sender<Result<Option<User>, StorageError>>,
}

impl UserLoader {
    /// `read` returns the users with these ids, in any order.
    pub(super) fn new<Read>(read: impl Fn(Vec<Uuid>) -> Read + Send + Sync + 'static) -> Self
    where
        Read: Future<Output = Result<Vec<User>, StorageError>> + Send + 'static,
    {
        let read = Box::new(move |ids| Box::pin(read(ids)) as Reading);
        let (waiting, detached) = Default::default();
        Self(Arc::new(Inner { read, waiting, detached }))
    }

    /// The user with this id, read after this call.
    pub(super) async fn user(&self, id: Uuid) -> Result<Option<User>, StorageError> {
        let (answer, answered) = oneshot::channel();
        if self.0.add(Lookup { id, answer }) {
            tokio::spawn(Arc::clone(&self.0).read_all());
        }
        answered.await.unwrap_or_else(|ended| Err(StorageError::Unavailable(Arc::new(ended))))
    }
}

impl Inner {
    /// Returns whether the caller must start a reader.
    fn add(&self, lookup: Lookup) -> bool {
        let mut waiting = self.lock();
        waiting.users.push(lookup);
        !mem::replace(&mut waiting.has_reader, true)
    }

    /// Reads until no lookup waits.
    async fn read_all(self: Arc<Self>) {
        while let Some(lookups) = self.take() {
            let read = DetachOnDrop::new(Arc::clone(&self).read(lookups), &self.detached);
            // A slower one continues as a task.
            let _ = tokio::time::timeout(PATIENCE, read).await;
        }
    }

    fn take(&self) -> Option<Vec<Lookup>> {
        let mut waiting = self.lock();
        waiting.has_reader = !waiting.users.is_empty();
        waiting.has_reader.then(|| mem::take(&mut waiting.users))
    }

    async fn read(self: Arc<Self>, lookups: Vec<Lookup>) {
        let reading = (self.read)(lookups.iter().map(|lookup| lookup.id).collect());
        // A panic must not leave later lookups waiting.
        let found = panics::catch_in(reading).await;
        let found = found.unwrap_or_else(|panic| Err(StorageError::Unavailable(Arc::new(panic))));
        for Lookup { id, answer } in lookups {
            let user = match &found {
                Ok(users) => Ok(users.iter().find(|user| user.id == id).cloned()),
                Err(error) => Err(error.clone()),
            };
            // The caller may have given up.
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
