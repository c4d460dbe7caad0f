//! Tasks that stop along the data path: those that take things in first, the store last.

use anyhow::{Result, anyhow};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Tasks that are stopped together and waited for.
pub(crate) struct Stage {
    stop: watch::Sender<bool>,
    tasks: JoinSet<&'static str>,
}

impl Stage {
    pub(crate) fn new() -> Self {
        Stage { stop: watch::channel(false).0, tasks: JoinSet::new() }
    }

    pub(crate) fn shutdown(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }

    /// Runs until the stage is stopped; ending earlier is a failure.
    pub(crate) fn spawn(
        &mut self,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        self.tasks.spawn(async move {
            task.await;
            name
        });
    }

    /// Waits until a task ends that nobody stopped.
    pub(crate) async fn failed(&mut self) -> anyhow::Error {
        match self.tasks.join_next().await {
            Some(Ok(name)) => anyhow!("{name} has ended by itself; see the log"),
            Some(Err(panic)) => anyhow!("a task has failed: {panic}"),
            // A stage without tasks cannot fail.
            None => std::future::pending().await,
        }
    }

    pub(crate) async fn stop(mut self) -> Result<()> {
        // Nobody listening means that every task has ended.
        let _ = self.stop.send(true);
        let mut stopped = Ok(());
        while let Some(ended) = self.tasks.join_next().await {
            if let Err(panic) = ended {
                stopped = Err(anyhow!("a task failed while it stopped: {panic}"));
            }
        }
        stopped
    }
}
