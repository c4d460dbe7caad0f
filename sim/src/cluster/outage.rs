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
    /// The power goes when the node's disk has made this many steps more under a path.
    Power { steps: u64, under: &'static str },
    /// The process is killed then; the machine's cache lives on.
    Process { steps: u64, under: &'static str },
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
    /// `rare`: a folder that is written rarely, and now and then is where it happens.
    pub(crate) fn random(rare: Option<&'static str>) -> Self {
        let mut rng = thread_rng();
        let rare = rare.filter(|_| rng.gen_ratio(1, 3));
        // Short ones meet a start, long ones whatever goes on.
        let is_short = rare.is_some() || rng.gen_ratio(1, 4);
        let steps = if is_short { rng.gen_range(1..12) } else { rng.gen_range(1..250) };
        let under = rare.unwrap_or_default();
        match rng.gen_range(0..5) {
            0 => Outage::Stop,
            1 => Outage::Process { steps, under },
            _ => Outage::Power { steps, under },
        }
    }
}

impl Machine {
    /// Brings the node down and leaves it there.
    pub(crate) async fn go_down(&self, outage: Outage) {
        match outage {
            Outage::Power { steps, under } => {
                self.reach(steps, under).await;
                self.lose_power();
            }
            Outage::Process { steps, under } => {
                self.reach(steps, under).await;
                self.kill();
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
                    self.kill();
                }
                self.disk.lose_process();
            }
        }
    }

    /// The power goes now.
    pub(crate) fn lose_power(&self) {
        self.kill();
        self.disk.lose_power();
    }

    fn kill(&self) {
        Handle::current().kill(self.node.id());
        // Nobody listens to it any more: the next life, which may take long to come up, has its own.
        self.stop.lock().expect("nothing panics while it is held").take();
    }

    pub(crate) fn come_up(&self) {
        self.disk.trap().unset();
        Handle::current().restart(self.node.id());
    }

    async fn reach(&self, steps: u64, under: &'static str) {
        // Without steps the time decides.
        let _ = timeout(PATIENCE, self.disk.trap().set(steps, under)).await;
        self.disk.trap().unset();
    }
}
