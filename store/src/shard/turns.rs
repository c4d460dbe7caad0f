//! Whose turn it is to apply.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tributary_proto::Entry;

/// What the shards of a store apply at one time, by the bytes of the payloads. A seal comes to all of them at
/// once, and a large one would take ten times its size of memory, and every thread from whoever else has work
/// for it, if all went to work on it together.
#[derive(Clone, Debug)]
pub struct Turns {
    free: Arc<Semaphore>,
    most_bytes: usize,
}

impl Turns {
    pub fn new(most_bytes: usize) -> Self {
        Turns { free: Arc::new(Semaphore::new(most_bytes)), most_bytes }
    }

    pub(crate) async fn take(&self, entries: &[Entry]) -> OwnedSemaphorePermit {
        self.take_bytes(entries.iter().map(payload_bytes).sum()).await
    }

    pub(crate) async fn take_bytes(&self, bytes: usize) -> OwnedSemaphorePermit {
        let permits = bytes.min(self.most_bytes) as u32;
        self.free.clone().acquire_many_owned(permits).await.expect("turns are never closed")
    }
}

pub(crate) fn payload_bytes(entry: &Entry) -> usize {
    if let Entry::Slice(slice) = entry { slice.payload.len() } else { 0 }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures::FutureExt;
    use tributary_proto::{BootId, Digest, EdgeId, Seq, ShardId, Slice, SourceId};

    use super::*;

    fn slice(bytes: usize) -> Entry {
        Entry::Slice(Slice {
            source: SourceId { edge: EdgeId([1; 16]), boot: BootId([1; 8]) },
            shard: ShardId(0),
            seq: Seq(1),
            digest: Digest(0),
            sealed_to_ms: 0,
            payload: Bytes::from(vec![0; bytes]),
        })
    }

    #[test]
    fn large_commits_take_turns_and_small_ones_go_beside_them() {
        let turns = Turns::new(1 << 20);
        let take = |bytes| turns.take(&[slice(bytes)]).now_or_never();
        let half = take(turns.most_bytes / 2).expect("nothing is applied");
        let small = take(1000).expect("there is room beside it");
        assert!(take(turns.most_bytes / 2).is_none());
        drop((half, small));
        let larger_than_all = take(2 * turns.most_bytes).expect("it goes alone");
        assert!(take(1).is_none() && take(0).is_some());
        drop(larger_than_all);
    }
}
