//! The tasks of one HTTP/2 connection's streams, owned by the connection.

use std::future::Future;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use hyper::rt::Executor;
use tokio::task::JoinSet;

/// Spawned tasks are awaited by [`Streams::ended`], and end with the last handle.
#[derive(Clone, Default)]
pub(crate) struct Streams(Arc<Mutex<JoinSet<()>>>);

impl Streams {
    pub(crate) async fn ended(self) {
        let mut tasks = mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        while let Some(ended) = tasks.join_next().await {
            super::server::note_panic(ended);
        }
    }
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A long connection has many streams: those that ended make room for the next.
        while let Some(ended) = tasks.try_join_next() {
            super::server::note_panic(ended);
        }
        tasks.spawn(stream);
    }
}
