//! What writers hold.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::staging::RECORD_BYTES;
use super::{CellId, Index, Op, Result, StreamError, StreamId, StreamReader};

/// What an operation costs in the queue beside its bytes and records.
const OP_BYTES: usize = 256;

#[derive(Clone)]
pub struct StreamsHandle {
    pub(super) requests: mpsc::UnboundedSender<Request>,
    /// In bytes; each request holds its part, so the channel is bounded by it.
    pub(super) room: Arc<Semaphore>,
    pub(super) queue_bytes: usize,
    pub(super) reader: StreamReader,
}

pub(super) struct Request {
    pub(super) op: Op,
    /// Nobody waits for what is lazy.
    pub(super) answer: Option<oneshot::Sender<Result<()>>>,
    /// What is lazy gives it back once it is taken from the queue: it may lie there until somebody waits, and whoever
    /// needs all of the room to do so would wait for it.
    pub(super) _room: Option<OwnedSemaphorePermit>,
}

impl Request {
    pub(super) fn bytes(&self) -> usize {
        op_bytes(&self.op)
    }
}

fn op_bytes(op: &Op) -> usize {
    OP_BYTES + RECORD_BYTES * op.records() + op.payload_bytes()
}

/// Of an operation that has its place in the order.
#[must_use = "an operation is not durable before it is acked"]
pub struct Ack(oneshot::Receiver<Result<()>>);

impl Ack {
    /// Waits until the operation is durable, or refused. Dropping the future takes nothing back.
    pub async fn synced(self) -> Result<()> {
        self.0.await.map_err(|_| StreamError::Stopped)?
    }
}

impl StreamsHandle {
    pub fn reader(&self) -> &StreamReader {
        &self.reader
    }

    /// Waits for room in the queue and puts the operation there: behind all that were put there before. Several of one
    /// stream may be on their way; when one of them fails, the appends behind it do not fit and fail as well, unless
    /// the stream has no record yet: it may begin anywhere, so whoever begins one waits for its first.
    pub async fn enqueue(&self, op: Op) -> Result<Ack> {
        let (answer, answered) = oneshot::channel();
        self.send(op, Some(answer)).await?;
        Ok(Ack(answered))
    }

    pub async fn append(&self, stream: StreamId, first: Index, records: Vec<Bytes>) -> Result<()> {
        self.durably(Op::Append { stream, first, records }).await
    }

    pub async fn cut(&self, stream: StreamId, from: Index) -> Result<()> {
        self.durably(Op::Cut { stream, from }).await
    }

    pub async fn purge(&self, stream: StreamId, before: Index) -> Result<()> {
        self.durably(Op::Purge { stream, before }).await
    }

    /// It is written with the next batch that somebody waits for, or when the log needs room; so it costs no sync. A
    /// crash before may bring back what was purged.
    pub async fn purge_lazily(&self, stream: StreamId, before: Index) -> Result<()> {
        self.send(Op::Purge { stream, before }, None).await
    }

    pub async fn restart(&self, stream: StreamId, next: Index) -> Result<()> {
        self.durably(Op::Restart { stream, next }).await
    }

    pub async fn put_cell(&self, stream: StreamId, cell: CellId, value: Bytes) -> Result<()> {
        self.durably(Op::PutCell { stream, cell, value }).await
    }

    pub async fn drop_stream(&self, stream: StreamId) -> Result<()> {
        self.durably(Op::Drop { stream }).await
    }

    pub async fn accept_damage(&self) -> Result<()> {
        self.durably(Op::AcceptDamage).await
    }

    async fn durably(&self, op: Op) -> Result<()> {
        self.enqueue(op).await?.synced().await
    }

    async fn send(&self, op: Op, answer: Option<oneshot::Sender<Result<()>>>) -> Result<()> {
        // What is larger than the queue goes alone.
        let permits = op_bytes(&op).min(self.queue_bytes) as u32;
        let room = Arc::clone(&self.room).acquire_many_owned(permits).await;
        let _room = Some(room.map_err(|_| StreamError::Stopped)?);
        let request = Request { op, answer, _room };
        self.requests.send(request).map_err(|_| StreamError::Stopped)
    }
}
