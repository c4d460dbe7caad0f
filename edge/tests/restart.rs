//! An edge keeps its name: the id that was drawn first outlives every start and every crash.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tributary_edge::{Clock, Edge, EdgeError, Fresh, Options};
use tributary_proto::{BootId, EdgeId, SourceId};
use tributary_store::disk::Files;
use tributary_store::disk::memory::MemoryDisk;
use tributary_store::{Store, StoreHandle};

const ID_FILE: &str = "edge/edge-id";

struct StandingClock;

impl Clock for StandingClock {
    fn now_ns(&self) -> u64 {
        1_700_000_000_000_000_000
    }
}

fn fresh(edge: u8, boot: u8) -> Fresh {
    Fresh { edge: EdgeId([edge; 16]), boot: BootId([boot; 8]), seed: 7 }
}

/// Starts the edge, lets it live for a while, and answers in whose name it spoke.
async fn live(disk: &MemoryDisk, fresh: Fresh, store: &StoreHandle) -> BTreeSet<SourceId> {
    let files = Arc::new(disk.clone());
    let shards = Arc::new(store.clone());
    let opened =
        Edge::open(Options::default(), fresh, files, Arc::new(StandingClock), shards).await;
    let (edge, _handle) = opened.expect("an edge opens");
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(edge.run(stopped));
    tokio::time::sleep(Duration::from_secs(60)).await;
    stop.send_replace(true);
    running.await.expect("the edge ends in peace");
    let views = store.views();
    let live = views.iter().map(tributary_store::View::completeness);
    live.flat_map(|of| of.live.iter().map(|(source, _)| *source).collect::<Vec<_>>()).collect()
}

#[tokio::test(start_paused = true)]
async fn the_edges_id_is_drawn_once() {
    let store_disk = MemoryDisk::new();
    let (store, handle) = Store::open(&store_disk, Default::default()).await.expect("opens");
    let (_stop, stopped) = watch::channel(false);
    tokio::spawn(store.run(stopped));

    let disk = MemoryDisk::new();
    let named =
        |boot| BTreeSet::from([SourceId { edge: EdgeId([1; 16]), boot: BootId([boot; 8]) }]);
    assert_eq!(live(&disk, fresh(1, 1), &handle).await, named(1));
    let kept = disk.read(ID_FILE).await.expect("reads").expect("the id was kept");
    assert_eq!(kept, format!("{}\n", EdgeId([1; 16])));
    for boot in 2..5 {
        disk.crash(boot.into());
        let disk = disk.reopen();
        // The boot is the new one; the edge that was drawn with it is nobody's, and the last start's
        // source is closed.
        assert_eq!(live(&disk, fresh(9, boot), &handle).await, named(boot));
        assert_eq!(disk.read(ID_FILE).await.expect("reads"), Some(kept.clone()));
        disk.crash(0);
    }
}

#[tokio::test]
async fn an_id_that_cannot_be_read_is_not_drawn_anew() {
    let disk = MemoryDisk::new();
    disk.create_dir("edge").await.expect("made");
    disk.replace(ID_FILE, "7\n".into()).await.expect("written");
    let (_store, shards) = Store::open(&disk, Default::default()).await.expect("opens");
    let (files, clock) = (Arc::new(disk.clone()), Arc::new(StandingClock));
    let opened = Edge::open(Options::default(), fresh(1, 1), files, clock, Arc::new(shards)).await;
    let Err(refused @ EdgeError::Disk(_)) = opened.map(drop) else { panic!("it is refused") };
    let refused = refused.to_string();
    assert!(refused.contains("put the edge's own id back"), "{refused}");
    assert_eq!(disk.read(ID_FILE).await.expect("reads"), Some("7\n".into()));
}
