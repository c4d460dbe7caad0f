//! Tasks of one HTTP/1 connection, owned by it.

use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::receivers::fault::Fault;
use crate::receivers::service::guarded;

/// Spawned tasks are awaited by [`Tasks::ended`], and end with the last handle.
#[derive(Clone, Default)]
pub(crate) struct Tasks(Arc<Mutex<JoinSet<()>>>);

impl Tasks {
    /// Runs to its end, though nobody may wait for it any more.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        task: impl Future<Output = Result<T, Fault>> + Send + 'static,
    ) -> Result<T, Fault> {
        let (done, result) = oneshot::channel();
        let task = async move {
            let _ = done.send(guarded(task).await);
        };
        {
            let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            // A long connection has many: those that ended make room for the next.
            while tasks.try_join_next().is_some() {}
            tasks.spawn(task);
        }
        result.await.unwrap_or(Err(Fault::Panic))
    }

    pub(crate) async fn ended(self) {
        let mut tasks = mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        while tasks.join_next().await.is_some() {}
    }
}
