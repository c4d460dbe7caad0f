use std::sync::{Mutex, OnceLock};

use tributary_proto::{BootId, EdgeId};
use tributary_store::disk::memory::MemoryDisk;
use tributary_store::{Options as StoreOptions, Store};

use super::*;
use crate::edge::{Edge, Fresh, Options};

/// Asked for the time by a request that was just registered, it sends the same once more.
#[derive(Default)]
struct Meanwhile {
    handle: OnceLock<EdgeHandle>,
    second: Mutex<Option<Begun>>,
}

impl Clock for Meanwhile {
    fn now_ns(&self) -> u64 {
        if let Some(handle) = self.handle.get() {
            let mut second = self.second.lock().unwrap();
            assert!(second.is_none(), "the second does not come as far as the clock");
            *second = Some(handle.begin(empty()));
        }
        1_700_000_000_000_000_000
    }
}

fn empty() -> TraceRequest {
    TraceRequest { tenant: Tenant::default(), encoding: Encoding::Protobuf, body: Bytes::new() }
}

#[tokio::test]
async fn two_empty_requests_at_once_both_succeed() {
    let disk = MemoryDisk::new();
    let one_shard = StoreOptions { shards: 1, ..StoreOptions::default() };
    let (_store, shards) = Store::open(&disk, one_shard).await.unwrap();
    let fresh = Fresh { edge: EdgeId([1; 16]), boot: BootId([2; 8]), seed: 7 };
    let clock = Arc::new(Meanwhile::default());
    let files = Arc::new(disk.clone());
    let opened =
        Edge::open(Options::default(), fresh, files, clock.clone(), Arc::new(shards)).await;
    let (_edge, handle) = opened.unwrap();
    assert!(clock.handle.set(handle.clone()).is_ok());

    assert_eq!(handle.ingest(empty()).await, Ok(TraceAnswer::default()));
    let second = clock.second.lock().unwrap().take().unwrap();
    assert!(matches!(second, Begun::Repeats(_)), "it waits for the first");
    assert_eq!(handle.answer(second).await, Ok(TraceAnswer::default()));
    assert_eq!(handle.metrics().refused_journal.get(), 0);
}
