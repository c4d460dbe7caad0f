//! The task that owns the log: all that wait become one batch and one sync.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{Instant, sleep_until};
use tracing::warn;

use super::handle::Request;
use super::{Options, Recovered, Result, StreamError, Streams, StreamsHandle};
use crate::disk::Files;

/// Operations that one batch takes at most.
const BATCH_OPS: usize = 4096;
/// A batch ends with the operation that brings it to so many bytes, or to a segment's.
const BATCH_BYTES: usize = 8 << 20;
/// So many lazy operations are worth a sync of their own.
const LAZY_OPS: usize = 1024;
/// After a copy that failed, while nobody writes.
const PAUSE: Duration = Duration::from_secs(1);

pub struct StreamsService {
    streams: Streams,
    requests: mpsc::UnboundedReceiver<Request>,
    room: Arc<Semaphore>,
    batch_bytes: usize,
    /// Taken from the queue and not written yet, in order.
    waiting: Vec<Request>,
    /// No copy before.
    copy_next: Instant,
}

impl StreamsService {
    pub async fn open(
        files: Arc<dyn Files>,
        dir: impl Into<String>,
        options: Options,
    ) -> Result<(StreamsService, StreamsHandle, Recovered)> {
        // Permits are counted in 32 bits.
        if u32::try_from(options.queue_bytes).is_err() || options.queue_bytes == 0 {
            return Err(StreamError::Unfit { what: "queue_bytes is not between 1 and 4294967295" });
        }
        let (streams, recovered) = Streams::open(files, dir, options).await?;
        let (sender, requests) = mpsc::unbounded_channel();
        let (room, queue_bytes) =
            (Arc::new(Semaphore::new(options.queue_bytes)), options.queue_bytes);
        let handle = StreamsHandle {
            requests: sender,
            room: Arc::clone(&room),
            queue_bytes,
            reader: streams.reader(),
        };
        let segment_bytes = usize::try_from(options.segment_bytes).unwrap_or(usize::MAX);
        let service = StreamsService {
            streams,
            requests,
            room,
            batch_bytes: BATCH_BYTES.min(segment_bytes),
            waiting: Vec::new(),
            copy_next: Instant::now(),
        };
        Ok((service, handle, recovered))
    }

    /// Runs until every handle is gone or `shutdown` says so; what was taken into the queue is written then.
    pub async fn run(mut self, mut shutdown: watch::Receiver<bool>) {
        loop {
            let copies = self.streams.is_copying_due();
            tokio::select! {
                // Who waits comes before copies: each batch takes some along.
                biased;
                // The guard that `wait_for` answers must not live on into the other arms.
                () = async { drop(shutdown.wait_for(|stop| *stop).await) } => break,
                taken = self.requests.recv_many(&mut self.waiting, BATCH_OPS) => if taken == 0 { break },
                () = sleep_until(self.copy_next), if copies => self.copy().await,
            }
            let lazy = self.waiting.iter_mut().filter(|request| request.answer.is_none());
            lazy.for_each(|request| request._room = None);
            if self.is_due() {
                self.write_all().await;
            }
        }
        self.room.close();
        self.requests.close();
        while self.requests.recv_many(&mut self.waiting, BATCH_OPS).await > 0 {}
        self.write_all().await;
        if let Err(error) = self.streams.tidy().await {
            warn!(%error, "what nobody needs of the log stays until it is written again");
        }
    }

    /// Whether somebody waits, or what nobody waits for is to be written all the same.
    fn is_due(&self) -> bool {
        let is_waited_for = self.waiting.iter().any(|request| request.answer.is_some());
        let needs_room = !self.waiting.is_empty() && self.streams.needs_room();
        is_waited_for || needs_room || self.waiting.len() >= LAZY_OPS
    }

    async fn write_all(&mut self) {
        let mut lazy = Vec::new();
        while !self.waiting.is_empty() {
            let batch = self.next_batch();
            lazy.extend(self.write(batch).await);
        }
        self.waiting = lazy;
    }

    fn next_batch(&mut self) -> Vec<Request> {
        let mut bytes = 0;
        let last = self.waiting.iter().position(|request| {
            bytes += request.bytes();
            bytes >= self.batch_bytes
        });
        let later = last.map(|at| self.waiting.split_off(at + 1)).unwrap_or_default();
        std::mem::replace(&mut self.waiting, later)
    }

    /// Answers all of the batch. What is lazy and failed is left: nobody else would try it again.
    async fn write(&mut self, batch: Vec<Request>) -> Vec<Request> {
        let (ops, waiters): (Vec<_>, Vec<_>) =
            batch.into_iter().map(|request| (request.op, (request.answer, request._room))).unzip();
        let written = self.streams.write(&ops).await;
        let has_failed = written.is_err();
        let answers = written.unwrap_or_else(|error| {
            warn!(%error, ops = ops.len(), "a batch of streams failed");
            vec![Err(error); ops.len()]
        });
        let mut lazy = Vec::new();
        for ((op, (waiter, _room)), answer) in ops.into_iter().zip(waiters).zip(answers) {
            match waiter {
                // The caller may have hung up.
                Some(waiter) => drop(waiter.send(answer)),
                None if has_failed || answer.is_err_and(|error| error.is_retryable()) => {
                    lazy.push(Request { op, answer: None, _room: None });
                }
                None => {}
            }
        }
        lazy
    }

    async fn copy(&mut self) {
        if let Err(error) = self.streams.copy().await {
            warn!(%error, "what lags could not be copied; it is tried again");
            self.copy_next = Instant::now() + PAUSE;
        }
    }
}
