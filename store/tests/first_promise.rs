//! What a shard answers to a source's first promise outlives a crash: the promises of others must not
//! stand without a source that was told it is known.

use tokio::sync::watch;
use tributary_proto::{Answer, BootId, EdgeId, Entry, Seq, ShardId, SourceId};
use tributary_store::disk::memory::MemoryDisk;
use tributary_store::{Options, Store};

const SHARD: ShardId = ShardId(0);

fn source(edge: u8) -> SourceId {
    SourceId { edge: EdgeId([edge; 16]), boot: BootId([1; 8]) }
}

fn sealed(edge: u8, sealed_to_ms: i64) -> Entry {
    Entry::Sealed { source: source(edge), after: Seq(0), sealed_to_ms }
}

#[tokio::test]
async fn a_source_that_was_answered_holds_completeness_after_a_crash() {
    for seed in 0..20 {
        let disk = MemoryDisk::new();
        let (store, handle) =
            Store::open(&disk, Options { shards: 1, ..Options::default() }).await.expect("opens");
        let (_stop, stopped) = watch::channel(false);
        let running = tokio::spawn(store.run(stopped));
        assert_eq!(handle.offer(SHARD, sealed(1, 10_000)).await, Ok(Answer::Applied));
        disk.crash(seed);
        running.abort();

        let disk = disk.reopen();
        let (store, handle) =
            Store::open(&disk, Options { shards: 1, ..Options::default() }).await.expect("opens");
        let (_stop, stopped) = watch::channel(false);
        tokio::spawn(store.run(stopped));
        assert_eq!(handle.offer(SHARD, sealed(2, 90_000)).await, Ok(Answer::Applied));
        let completeness = handle.views()[0].completeness();
        assert_eq!(completeness.complete_to_ms, Some(10_000), "seed {seed}");
    }
}
