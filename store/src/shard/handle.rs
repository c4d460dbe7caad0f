//! What others hold of a shard: its queue, bounded by the bytes of what waits, and its view. A full queue makes the
//! offerer wait.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tributary_proto::{Answer, Entry, OfferError, ShardId};

use super::turns::payload_bytes;
use super::view::View;

/// Entries that wait for one shard hold at most this much; an entry that is larger waits alone.
const QUEUE_BYTES: usize = 16 << 20;
/// What an entry costs in the queue beside its payload.
const ENTRY_BYTES: usize = 256;
/// Requests that wait, at most.
pub(crate) const QUEUE: usize = 256;

#[derive(Clone)]
pub struct ShardHandle {
    shard: ShardId,
    requests: mpsc::Sender<Request>,
    room: Arc<Semaphore>,
    view: watch::Receiver<View>,
}

pub(crate) enum Request {
    Offer(Offer),
    Checkpoint(oneshot::Sender<Result<(), OfferError>>),
}

pub(crate) struct Offer {
    pub(crate) entry: Entry,
    pub(crate) answer: oneshot::Sender<Result<Answer, OfferError>>,
    pub(crate) _room: OwnedSemaphorePermit,
}

impl ShardHandle {
    pub(crate) fn new(
        shard: ShardId,
        view: watch::Receiver<View>,
    ) -> (Self, mpsc::Receiver<Request>) {
        let (requests, taken) = mpsc::channel(QUEUE);
        let room = Arc::new(Semaphore::new(QUEUE_BYTES));
        (ShardHandle { shard, requests, room, view }, taken)
    }

    /// Waits for room in the queue, then for the answer. Dropping the future takes nothing back.
    pub async fn offer(&self, entry: Entry) -> Result<Answer, OfferError> {
        let gone = || self.unavailable("the store has stopped");
        let bytes = ENTRY_BYTES + payload_bytes(&entry);
        let permits = bytes.min(QUEUE_BYTES) as u32;
        let _room = self.room.clone().acquire_many_owned(permits).await.map_err(|_| gone())?;
        let (answer, answered) = oneshot::channel();
        let offer = Request::Offer(Offer { entry, answer, _room });
        self.requests.send(offer).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }

    /// Writes what is in memory as rows, behind everything that was offered before.
    pub async fn checkpoint(&self) -> Result<(), OfferError> {
        let gone = || self.unavailable("the store has stopped");
        let (answer, answered) = oneshot::channel();
        self.requests.send(Request::Checkpoint(answer)).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }

    /// What stands now: everything answered before this call, at least.
    pub fn view(&self) -> View {
        self.view.borrow().clone()
    }

    fn unavailable(&self, reason: impl ToString) -> OfferError {
        OfferError::Unavailable { shard: self.shard, reason: reason.to_string() }
    }
}
