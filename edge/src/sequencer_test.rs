use async_trait::async_trait;
use tributary_proto::{Answer, Entry, OfferError};
use tributary_store::disk::memory::MemoryDisk;

use super::*;

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

#[tokio::test]
async fn a_segment_that_begins_right_behind_the_start_stands_alone() {
    // What a start writes has filled the segment.
    let mut sequencer = open(1).await;
    assert!(sequencer.log.begins_segment());
    sequencer.enter_segment();
    assert_eq!(sequencer.to_restate, 2, "it says twice how everything stands");
    let mut sequencer = open(1 << 20).await;
    assert!(!sequencer.log.begins_segment());
    sequencer.enter_segment();
    assert_eq!(sequencer.to_restate, 1, "once more, in the segment of the start");
}
