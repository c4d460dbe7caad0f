use async_trait::async_trait;
use tributary_proto::{Answer, BootId, EdgeId, OfferError};
use tributary_store::disk::memory::MemoryDisk;

use super::*;
use crate::edge::{Edge, Fresh};
use crate::shards::Shards;

struct Standing;

impl Clock for Standing {
    fn now_ns(&self) -> u64 {
        1_700_000_000_000_000_000
    }
}

struct Willing;

#[async_trait]
impl Shards for Willing {
    fn count(&self) -> u16 {
        1
    }

    async fn offer(&self, _: ShardId, _: Entry) -> Result<Answer, OfferError> {
        Ok(Answer::Applied)
    }
}

async fn open(segment_bytes: u64) -> Sequencer {
    let options = Options { segment_bytes, ..Options::default() };
    let fresh = Fresh { edge: EdgeId([1; 16]), boot: BootId([1; 8]), seed: 7 };
    let files = Arc::new(MemoryDisk::new());
    let opened = Edge::open(options, fresh, files, Arc::new(Standing), Arc::new(Willing)).await;
    opened.expect("an edge opens").0.sequencer
}

/// How often it is to be said how everything stands, before anything is let go of.
async fn said(sequencer: &mut Sequencer) -> u64 {
    let before = sequencer.metrics.journal_syncs.get();
    sequencer.enter_segment();
    sequencer.restate().await.expect("a sound disk");
    sequencer.metrics.journal_syncs.get() - before
}

#[tokio::test]
async fn a_segment_that_begins_right_behind_the_start_stands_alone() {
    let mut sequencer = open(1 << 20).await;
    assert!(!sequencer.log.begins_segment());
    assert_eq!(said(&mut sequencer).await, 1, "once more, in the segment of the start");
    // A standing takes some forty bytes, what a start writes some more: that has filled its segment.
    let mut sequencer = open(100).await;
    assert!(sequencer.log.begins_segment());
    assert_eq!(said(&mut sequencer).await, 2, "twice, in a segment of its own");
}
