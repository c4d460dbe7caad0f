//! An edge, on a node of its own, with a region of its own and a clock that is off.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use madsim::rand::{Rng, thread_rng};
use madsim::runtime::Handle;
use tokio::sync::watch;
use tributary_edge::{Clock, Edge, EdgeHandle, Fresh, Options};
use tributary_proto::{BootId, EdgeId, SourceId};
use tributary_spanmetrics::{Config, Labels};
use tributary_store::Home;

use super::outage::{Machine, StopSlot};
use crate::clock::SkewedClock;
use crate::disk::SimDisk;
use crate::oracle::{FUTURE_S, LATENESS_S, WINDOW_MS};
use crate::plant::Plant;
use crate::wire::Wire;

pub(crate) const GRACE: Duration = Duration::from_secs(3);
/// Small, so that segments are rolled and trimmed in every run.
const SEGMENT_BYTES: u64 = 16 << 10;

pub(crate) struct EdgeNode {
    pub(crate) machine: Machine,
    pub(crate) region: &'static str,
    pub(crate) clock: SkewedClock,
    slot: LifeSlot,
}

/// What clients of one life hold.
#[derive(Clone)]
pub(crate) struct Life {
    pub(crate) handle: EdgeHandle,
    pub(crate) source: SourceId,
    /// The first promise of this life is at most this.
    pub(crate) promised_at_boot_ms: i64,
}

type LifeSlot = Arc<Mutex<Option<Life>>>;

impl EdgeNode {
    pub(crate) fn start(region: &'static str, wire: Wire, plant: Option<Plant>) -> Self {
        let clock = SkewedClock { skew_ms: thread_rng().gen_range(-2_000..=2_000) };
        let id = EdgeId(thread_rng().r#gen());
        let (disk, slot, stop) = (SimDisk::new(plant), LifeSlot::default(), StopSlot::default());
        let life = (disk.clone(), slot.clone(), stop.clone(), Arc::new(wire));
        let world = Handle::current();
        let node = world.create_node().name(region).init(move || {
            let (disk, slot, stop, wire) = life.clone();
            live(disk.reopen(), slot, stop, wire, clock, region, id)
        });
        EdgeNode { machine: Machine { node: node.build(), disk, stop }, region, clock, slot }
    }

    /// `None` while it is down.
    pub(crate) fn life(&self) -> Option<Life> {
        self.slot.lock().expect("nothing panics while it is held").clone()
    }

    /// From now on nobody reaches it.
    pub(crate) fn unplug(&self) {
        *self.slot.lock().expect("nothing panics while it is held") = None;
    }
}

async fn live(
    disk: SimDisk,
    slot: LifeSlot,
    stop: StopSlot,
    wire: Arc<Wire>,
    clock: SkewedClock,
    region: &'static str,
    id: EdgeId,
) {
    // A life whose disk fails beneath it is over: it never gets further than the failure.
    let _home = Home::take(&disk).await.expect("the disk is sound");
    let config = Config {
        external: Labels::from_pairs([("region", region)]),
        lateness: Duration::from_secs(LATENESS_S),
        future: Duration::from_secs(FUTURE_S),
        ..Config::default()
    };
    let options =
        Options { config, grace: GRACE, segment_bytes: SEGMENT_BYTES, ..Options::default() };
    let fresh = Fresh { edge: id, boot: BootId(thread_rng().r#gen()), seed: thread_rng().r#gen() };
    let opened = Edge::open(options, fresh, Arc::new(disk), Arc::new(clock), wire).await;
    let (edge, handle) = opened.expect("the disk is sound");
    let (sender, stopped) = watch::channel(false);
    // The promise is made when the edge begins to run, which is now, give or take.
    let promised_at_boot_ms = (clock.now_ms() + 1_000) / WINDOW_MS * WINDOW_MS;
    let source = SourceId { edge: id, boot: fresh.boot };
    let life = Life { handle, source, promised_at_boot_ms };
    *slot.lock().expect("nothing panics while it is held") = Some(life);
    *stop.lock().expect("nothing panics while it is held") = Some(sender);
    edge.run(stopped).await;
}
