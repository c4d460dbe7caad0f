//! How a node goes down and comes back: the same for edges and the core.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use madsim::rand::{Rng, thread_rng};
use madsim::runtime::{Handle, NodeHandle};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::disk::SimDisk;

#[derive(Clone, Copy, Debug)]
pub(crate) enum Outage {
    /// The power goes when the node's disk has made this many steps more.
    Power { steps: u64 },
    /// The process is killed then; the machine's cache lives on.
    Process { steps: u64 },
    /// It is asked to stop, and does.
    Stop,
}

/// One node with its disk, over several lives.
pub(crate) struct Machine {
    pub(crate) node: NodeHandle,
    pub(crate) disk: SimDisk,
    /// Of the present life.
    pub(crate) stop: StopSlot,
}

pub(crate) type StopSlot = Arc<Mutex<Option<watch::Sender<bool>>>>;

/// A disk that makes no steps is not waited for longer.
const PATIENCE: Duration = Duration::from_secs(15);

impl Outage {
    pub(crate) fn random() -> Self {
        let mut rng = thread_rng();
        // Short ones meet a start, long ones whatever goes on.
        let steps = if rng.gen_ratio(1, 4) { rng.gen_range(1..12) } else { rng.gen_range(1..250) };
        match rng.gen_range(0..5) {
            0 => Outage::Stop,
            1 => Outage::Process { steps },
            _ => Outage::Power { steps },
        }
    }
}

impl Machine {
    /// Brings the node down and leaves it there.
    pub(crate) async fn go_down(&self, outage: Outage) {
        match outage {
            Outage::Power { steps } => {
                self.reach(steps).await;
                self.lose_power();
            }
            Outage::Process { steps } => {
                self.reach(steps).await;
                Handle::current().kill(self.node.id());
                self.disk.lose_process();
            }
            Outage::Stop => {
                let stop = self.stop.lock().expect("nothing panics while it is held").take();
                if let Some(stop) = stop {
                    stop.send_replace(true);
                    while !Handle::current().is_exit(self.node.id()) {
                        sleep(Duration::from_millis(1)).await;
                    }
                } else {
                    // It has not come up yet.
                    Handle::current().kill(self.node.id());
                }
                self.disk.lose_process();
            }
        }
    }

    /// The power goes now.
    pub(crate) fn lose_power(&self) {
        Handle::current().kill(self.node.id());
        self.disk.lose_power();
    }

    pub(crate) fn come_up(&self) {
        self.disk.trap().unset();
        Handle::current().restart(self.node.id());
    }

    async fn reach(&self, steps: u64) {
        // Without steps the time decides.
        let _ = timeout(PATIENCE, self.disk.trap().set(steps)).await;
        self.disk.trap().unset();
    }
}
