//! The core: a store, on a node of its own.

use madsim::runtime::Handle;
use tokio::sync::watch;
use tributary_store::{Home, Options, Store, StoreHandle};

use super::SHARDS;
use super::outage::{Machine, StopSlot};
use crate::disk::SimDisk;
use crate::plant::Plant;
use crate::wire::CoreSlot;

pub(crate) struct CoreNode {
    pub(crate) machine: Machine,
    slot: CoreSlot,
}

impl CoreNode {
    pub(crate) fn start(plant: Option<Plant>) -> Self {
        let (disk, slot, stop) = (SimDisk::new(plant), CoreSlot::default(), StopSlot::default());
        let life = (disk.clone(), slot.clone(), stop.clone());
        let world = Handle::current();
        let node = world.create_node().name("core").init(move || {
            let (disk, slot, stop) = life.clone();
            live(disk.reopen(), slot, stop)
        });
        CoreNode { machine: Machine { node: node.build(), disk, stop }, slot }
    }

    pub(crate) fn slot(&self) -> &CoreSlot {
        &self.slot
    }

    /// `None` while it is down.
    pub(crate) fn store(&self) -> Option<StoreHandle> {
        self.slot.lock().expect("nothing panics while it is held").clone()
    }

    /// From now on nobody reaches it.
    pub(crate) fn unplug(&self) {
        *self.slot.lock().expect("nothing panics while it is held") = None;
    }
}

/// Of a shard.
const HEAD_BYTES: usize = 256;

async fn live(disk: SimDisk, slot: CoreSlot, stop: StopSlot) {
    // A life whose disk fails beneath it is over: it never gets further than the failure.
    let _home = Home::take(&disk).await.expect("the disk is sound");
    // A small head, so that a life has many checkpoints.
    let head_bytes = usize::from(SHARDS) * HEAD_BYTES;
    let options = Options { shards: SHARDS, head_bytes, ..Options::default() };
    let (store, handle) = Store::open(&disk, options).await.expect("the disk is sound");
    let (sender, stopped) = watch::channel(false);
    *slot.lock().expect("nothing panics while it is held") = Some(handle);
    *stop.lock().expect("nothing panics while it is held") = Some(sender);
    store.run(stopped).await;
}
