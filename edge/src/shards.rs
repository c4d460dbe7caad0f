//! The seam between an edge and the core: all that one knows of the other. The link takes it over.

use async_trait::async_trait;
use tributary_proto::{Answer, Entry, OfferError, ShardId};
use tributary_store::StoreHandle;

#[async_trait]
pub trait Shards: Send + Sync + 'static {
    fn count(&self) -> u16;

    /// Offers an entry to a shard. Without an answer nothing is known of the entry.
    async fn offer(&self, shard: ShardId, entry: Entry) -> Result<Answer, OfferError>;
}

/// In one process.
#[async_trait]
impl Shards for StoreHandle {
    fn count(&self) -> u16 {
        self.shards()
    }

    async fn offer(&self, shard: ShardId, entry: Entry) -> Result<Answer, OfferError> {
        StoreHandle::offer(self, shard, entry).await
    }
}
