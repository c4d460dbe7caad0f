//! An edge, on a node of its own, with a region of its own, a clock that steps and a disk that fails.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use madsim::rand::{Rng, thread_rng};
use madsim::runtime::Handle;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tributary_edge::{Clock, Edge, EdgeHandle, Fresh, Options};
use tributary_proto::{BootId, EdgeId, SourceId};
use tributary_spanmetrics::{Config, Labels};
use tributary_store::Home;

use super::outage::{Machine, StopSlot};
use crate::clock::{self, SteppingClock};
use crate::disk::SimDisk;
use crate::invariants;
use crate::oracle::{FUTURE_S, LATENESS_S};
use crate::plant::Plant;
use crate::wire::Wire;

pub(crate) const GRACE: Duration = Duration::from_secs(3);
/// Small, so that segments are rolled and trimmed many times in every run.
pub(crate) const SEGMENT_BYTES: u64 = 4 << 10;
/// Small, so that a disk that stalls has requests turned away.
const QUEUE_BYTES: usize = 32 << 10;
/// Short, so that groups are retired while requests name them.
const GROUP_IDLE: Duration = Duration::from_secs(30);
/// How soon a process is started again whose disk failed it at its start.
const RESTART_PAUSE: Duration = Duration::from_millis(500);

pub(crate) struct EdgeNode {
    pub(crate) machine: Machine,
    pub(crate) region: &'static str,
    pub(crate) clock: SteppingClock,
    slot: LifeSlot,
}

/// What clients of one life hold.
#[derive(Clone)]
pub(crate) struct Life {
    pub(crate) handle: EdgeHandle,
    pub(crate) source: SourceId,
    /// In the world's time. Nothing was promised in its name before.
    pub(crate) began_ms: i64,
}

type LifeSlot = Arc<Mutex<Option<Life>>>;

/// What an edge is started with each time.
#[derive(Clone)]
struct Setting {
    disk: SimDisk,
    slot: LifeSlot,
    stop: StopSlot,
    wire: Arc<Wire>,
    clock: SteppingClock,
    region: &'static str,
    id: EdgeId,
    dedup_window: Duration,
}

impl EdgeNode {
    pub(crate) fn start(
        region: &'static str,
        dedup_window: Duration,
        wire: Wire,
        plant: Option<Plant>,
    ) -> Self {
        let clock = SteppingClock::new(thread_rng().gen_range(-2_000..=2_000));
        let setting = Setting {
            disk: SimDisk::new(plant),
            slot: LifeSlot::default(),
            stop: StopSlot::default(),
            wire: Arc::new(wire),
            clock: clock.clone(),
            region,
            id: EdgeId(thread_rng().r#gen()),
            dedup_window,
        };
        let (disk, slot, stop) = (setting.disk.clone(), setting.slot.clone(), setting.stop.clone());
        let world = Handle::current();
        let node = world.create_node().name(region).init(move || {
            let disk = setting.disk.reopen();
            Setting { disk, ..setting.clone() }.live()
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

impl Setting {
    async fn live(self) {
        loop {
            let began = Instant::now();
            match self.run().await {
                Ok(()) => break,
                // As a supervisor would, again and again until the disk is well.
                Err(_) if self.disk.was_troubled_since(began) => sleep(RESTART_PAUSE).await,
                Err(error) => {
                    let observed = &self.wire.observed;
                    break observed.report(invariants::cannot_start(self.region, &error));
                }
            }
        }
    }

    /// One process; fails only at its start.
    async fn run(&self) -> anyhow::Result<()> {
        let began_ms = clock::now_ms();
        let _home = Home::take(&self.disk).await?;
        self.disk.lie_at_start().await?;
        let config = Config {
            external: Labels::from_pairs([("region", self.region)]),
            lateness: Duration::from_secs(LATENESS_S),
            future: Duration::from_secs(FUTURE_S),
            ..Config::default()
        };
        let options = Options {
            config,
            grace: GRACE,
            segment_bytes: SEGMENT_BYTES,
            queue_bytes: QUEUE_BYTES,
            group_idle: GROUP_IDLE,
            dedup_window: self.dedup_window,
            ..Options::default()
        };
        let (boot, seed) = (BootId(thread_rng().r#gen()), thread_rng().r#gen());
        let fresh = Fresh { edge: self.id, boot, seed };
        let clock: Arc<dyn Clock> = Arc::new(self.clock.clone());
        let files = Arc::new(self.disk.clone());
        let (edge, handle) = Edge::open(options, fresh, files, clock, self.wire.clone()).await?;
        if handle.metrics().journal_records_damaged.get() > 0 {
            self.wire.observed.tell_damage();
        }
        let (sender, stopped) = watch::channel(false);
        let source = SourceId { edge: self.id, boot };
        let life = Life { handle, source, began_ms };
        *self.slot.lock().expect("nothing panics while it is held") = Some(life);
        *self.stop.lock().expect("nothing panics while it is held") = Some(sender);
        edge.run(stopped).await;
        Ok(())
    }
}
