//! The way from an edge to one shard: offers entries in order, each until it is answered.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tracing::{error, warn};
use tributary_proto::{Answer, Entry, OfferError, ShardId, SourceId};
use tributary_store::log::Index;

use crate::metrics::EdgeMetrics;
use crate::shards::Shards;

/// Why an entry is under way, for who waits for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    Promise,
    Seal(Index),
    Close(SourceId),
}

/// An entry was answered for good.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Report {
    pub(crate) shard: ShardId,
    pub(crate) cause: Cause,
}

pub(crate) struct Lane {
    pub(crate) shard: ShardId,
    pub(crate) shards: Arc<dyn Shards>,
    pub(crate) metrics: Arc<EdgeMetrics>,
    /// Holds at most the slices of the unsettled seals, one promise and a close for each old source:
    /// the sequencer stops sealing at a limit.
    pub(crate) entries: mpsc::UnboundedReceiver<(Entry, Cause)>,
    /// One report for each entry taken.
    pub(crate) reports: mpsc::UnboundedSender<Report>,
}

const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

impl Lane {
    pub(crate) async fn run(mut self, mut shutdown: watch::Receiver<bool>) {
        let stopping = async move {
            // An error is a sender that is gone, which means the same.
            let _ = shutdown.wait_for(|stop| *stop).await;
        };
        tokio::select! {
            () = stopping => {}
            () = self.serve() => {}
        }
    }

    async fn serve(&mut self) {
        while let Some((entry, cause)) = self.entries.recv().await {
            if !self.deliver(&entry, cause).await && matches!(cause, Cause::Seal(_)) {
                continue;
            }
            if self.reports.send(Report { shard: self.shard, cause }).is_err() {
                break;
            }
        }
    }

    /// Whether the shard has taken the entry. A slice that it will never take is not reported: its
    /// seal stays in the journal, and this shard's completeness where it is, until somebody looks.
    async fn deliver(&self, entry: &Entry, cause: Cause) -> bool {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.shards.offer(self.shard, entry.clone()).await {
                Ok(Answer::Applied | Answer::Duplicate) => {
                    if matches!(cause, Cause::Seal(_)) {
                        self.metrics.slices_answered.add(1);
                    }
                    return true;
                }
                // A close of a source that is closed, under another name.
                Ok(Answer::Closed) if matches!(cause, Cause::Close(_)) => return true,
                Ok(answer @ (Answer::Forked | Answer::Closed)) => {
                    self.refused(entry, &format!("{answer:?}"));
                    return false;
                }
                Err(reason @ OfferError::Malformed { .. }) => {
                    self.refused(entry, &reason.to_string());
                    return false;
                }
                // Entries go in order, each once it was answered: a shard that misses one has lost
                // what it had made durable. Its replicas or its backup have to bring that back.
                Ok(Answer::Resend(from)) => {
                    error!(shard = self.shard.0, %from, source = %entry.source(), "the shard has lost slices that it had acknowledged; waiting for them to come back");
                }
                Err(reason @ OfferError::Unavailable { .. }) => {
                    warn!(shard = self.shard.0, %reason, "no answer; the entry is offered again");
                }
            }
            self.metrics.offers_retried.add(1);
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn refused(&self, entry: &Entry, reason: &str) {
        self.metrics.slices_refused.add(1);
        error!(
            shard = self.shard.0, source = %entry.source(), reason,
            "the shard will never take this entry: is this folder a copy of another edge's?"
        );
    }
}

#[cfg(test)]
#[path = "lane_test.rs"]
mod tests;
