//! Replicas apply the same entries in batches of their own; what they hold, watermarks included, is
//! the same.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::future::join_all;
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::spawn_local;
use tributary_edge::Shards;
use tributary_proto::{Answer, Digest, Entry, OfferError, ShardId};
use tributary_store::StoreHandle;

use crate::place::{NodeDisk, Place};
use crate::sent::{Sent, any_sent};
use crate::split::Split;
use crate::world::{World, paused};

type Offered = (ShardId, Entry);

/// Writes down what edges offer.
struct Recorder {
    store: StoreHandle,
    offered: Mutex<Vec<Offered>>,
}

#[async_trait]
impl Shards for Recorder {
    fn count(&self) -> u16 {
        self.store.shards()
    }

    async fn offer(&self, shard: ShardId, entry: Entry) -> Result<Answer, OfferError> {
        self.offered.lock().expect("not poisoned").push((shard, entry.clone()));
        self.store.offer(shard, entry).await
    }
}

/// What edges offered, with repeats: some entries come twice, the second time later.
fn offers(sent: &Sent, seed: u64) -> Vec<Offered> {
    let split = Split::new(seed, sent).without_restarts();
    let mut offered = paused(async {
        let folder = TempDir::new().expect("a folder");
        let disk = NodeDisk::new(&Place::Memory, &folder);
        let (store, handle) = disk.store().await;
        let (_stop, stopped) = watch::channel(false);
        spawn_local(store.run(stopped));
        let recorder = Arc::new(Recorder { store: handle.clone(), offered: Mutex::default() });
        let mut world = World::new(handle, recorder.clone(), &disk, split.edges).await;
        world.take(sent, &split, |span, _| span.clone()).await;
        world.settle(sent).await;
        std::mem::take(&mut *recorder.offered.lock().expect("not poisoned"))
    });
    let mut rng = StdRng::seed_from_u64(seed);
    for at in (0..offered.len()).rev().filter(|_| rng.gen_ratio(1, 8)).collect::<Vec<_>>() {
        let later = rng.gen_range(at..offered.len());
        offered.insert(later + 1, offered[at].clone());
    }
    offered
}

/// Offers to a fresh store, some at a time.
fn replica(place: &Place, offered: &[Offered], batches: u64) -> Vec<Digest> {
    paused(async {
        let folder = TempDir::new().expect("a folder");
        let disk = NodeDisk::new(place, &folder);
        let (store, handle) = disk.store().await;
        let (stop, stopped) = watch::channel(false);
        let running = spawn_local(store.run(stopped));
        let mut rng = StdRng::seed_from_u64(batches);
        // So few are polled in order within one turn of the executor, which keeps their order: beyond
        // it a promise could overtake a slice, and the replicas would not be fed the same.
        let longest = if rng.r#gen() { 1 } else { 24 };
        let mut rest = offered;
        while !rest.is_empty() {
            let (batch, behind) = rest.split_at(rng.gen_range(1..=longest).min(rest.len()));
            let offers = batch.iter().map(|(shard, entry)| handle.offer(*shard, entry.clone()));
            for answer in join_all(offers).await {
                answer.expect("every offer is answered");
            }
            rest = behind;
        }
        let mut digests = Vec::new();
        for view in handle.views() {
            digests.push(view.replica_digest().await.expect("the shard can be read"));
        }
        stop.send_replace(true);
        running.await.expect("the store ends in peace");
        digests
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn replicas_hold_the_same_however_entries_are_batched(
        sent in any_sent(),
        seeds in any::<[u64; 3]>(),
    ) {
        let offered = offers(&sent, seeds[0]);
        let [one, other] = [seeds[1], seeds[2]].map(|seed| replica(&Place::Memory, &offered, seed));
        prop_assert_eq!(one, other);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2, max_shrink_iters: 16, ..ProptestConfig::default() })]

    #[test]
    fn a_replica_in_memory_holds_what_one_on_rocksdb_holds(
        sent in any_sent(),
        seeds in any::<[u64; 3]>(),
    ) {
        let offered = offers(&sent, seeds[0]);
        let memory = replica(&Place::Memory, &offered, seeds[1]);
        prop_assert_eq!(memory, replica(&Place::Real, &offered, seeds[2]));
    }
}
