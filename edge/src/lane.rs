//! The way from an edge to one shard: offers entries in order, each until it is answered.
//!
//! What a source *touched* by damage offers may be other than it was (decision 0009), so there the shard's word
//! counts: what it has under a number already is done with, what it misses comes no more and is filled with
//! nothing, and the source ends at the last number that it has.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};
use tracing::{error, warn};
use tributary_proto::{Answer, Digest, Entry, OfferError, Seq, ShardId, Slice, SourceId};
use tributary_spanmetrics::Content;
use tributary_store::log::Index;
use xxhash_rust::xxh3::xxh3_128;

use crate::metrics::EdgeMetrics;
use crate::record::Touched;
use crate::shards::Shards;

/// Why an entry is under way, for who waits for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    Promise,
    Seal { seal: Index, touched: Touched },
    Close { source: SourceId, touched: Touched },
}

impl Cause {
    fn is_seal(self) -> bool {
        matches!(self, Cause::Seal { .. })
    }

    fn is_close(self) -> bool {
        matches!(self, Cause::Close { .. })
    }

    fn touched(self) -> Touched {
        match self {
            Cause::Promise => Touched::Not,
            Cause::Seal { touched, .. } | Cause::Close { touched, .. } => touched,
        }
    }
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

/// No source comes so far.
const NO_SEQ: Seq = Seq(u64::MAX);

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
            if !self.deliver(entry, cause).await && cause.is_seal() {
                continue;
            }
            if self.reports.send(Report { shard: self.shard, cause }).is_err() {
                break;
            }
        }
    }

    /// Whether the shard has taken the entry. A slice that it will never take is not reported: its
    /// seal stays in the journal, and this shard's completeness where it is, until somebody looks.
    async fn deliver(&self, mut entry: Entry, cause: Cause) -> bool {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.shards.offer(self.shard, entry.clone()).await {
                Ok(Answer::Applied | Answer::Duplicate) => {
                    if cause.is_seal() {
                        self.metrics.slices_answered.add(1);
                    }
                    return true;
                }
                // A close of a source that is closed, under another name.
                Ok(Answer::Closed) if cause.is_close() => return true,
                Ok(answer) if is_of_touched(&entry, answer, cause.touched()) => {
                    match self.answered_to_touched(&entry, answer).await {
                        Some(next) => entry = next,
                        None => return true,
                    }
                }
                Ok(answer @ (Answer::Forked | Answer::Closed)) => {
                    self.refused(&entry, &format!("{answer:?}"));
                    return false;
                }
                Err(reason @ OfferError::Malformed { .. }) => {
                    self.refused(&entry, &reason.to_string());
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

    /// What to offer next when the shard did not take what a touched source offered; `None`: nothing.
    async fn answered_to_touched(&self, entry: &Entry, answer: Answer) -> Option<Entry> {
        match (entry, answer) {
            (Entry::Slice(slice), Answer::Resend(from)) => {
                self.fill(slice, from).await;
                Some(entry.clone())
            }
            // The answer to this says how far the source is.
            (Entry::Close { source, .. }, Answer::Forked) => {
                Some(Entry::Close { source: *source, last: NO_SEQ })
            }
            (Entry::Close { source, .. }, Answer::Resend(from)) => {
                Some(Entry::Close { source: *source, last: Seq(from.0.saturating_sub(1)) })
            }
            (entry, answer) => {
                self.metrics.slices_known_otherwise.add(1);
                warn!(
                    shard = self.shard.0, source = %entry.source(), ?answer,
                    "the shard has this slice as it was before the journal was damaged"
                );
                None
            }
        }
    }

    /// Puts nothing in the place of the slices before this one, which are lost. One that gets no answer is
    /// asked for again.
    async fn fill(&self, slice: &Slice, from: Seq) {
        for seq in (from.0..slice.seq.0).map(Seq) {
            let payload = Bytes::from(Content::default().encode());
            let digest = Digest(xxh3_128(&payload));
            let empty = Slice { seq, digest, sealed_to_ms: i64::MIN, payload, ..slice.clone() };
            if !matches!(
                self.shards.offer(self.shard, Entry::Slice(empty)).await,
                Ok(Answer::Applied)
            ) {
                return;
            }
            self.metrics.slices_filled.add(1);
            warn!(shard = self.shard.0, source = %slice.source, %seq, "a slice is lost to damage");
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

/// Whether damage explains what a shard answers. A cut end does not explain that it misses something.
fn is_of_touched(entry: &Entry, answer: Answer, touched: Touched) -> bool {
    match (answer, touched) {
        (_, Touched::Not) => false,
        (_, Touched::Damaged) | (Answer::Forked | Answer::Closed, Touched::Cut) => true,
        (_, Touched::Cut) => matches!(entry, Entry::Close { last, .. } if *last == NO_SEQ),
    }
}

#[cfg(test)]
#[path = "lane_test.rs"]
mod tests;
