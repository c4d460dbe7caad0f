//! The volume with its power supply: what the threads that serve the kernel share with whoever pulls
//! the plug.
//!
//! ```text
//!  on ──hold, or a trap──▶ held ──release──▶ off ──restore──▶ on
//! ```
//!
//! While held, whoever would change or sync anything waits, so the process that wrote is killed at that
//! very step and never hears of an error; afterwards its last calls answer EIO to nobody.

use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::sync::Notify;

use super::faults::Faults;
use super::names::Ino;
use super::volume::Volume;

#[derive(Debug)]
pub(crate) struct Power {
    state: Mutex<State>,
    changed: Condvar,
    sprung: Notify,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) volume: Volume,
    pub(super) faults: Faults,
    pub(super) rng: StdRng,
    pub(super) seen: Seen,
    supply: Supply,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Supply {
    On,
    Held,
    Off,
}

/// What the disk was asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) writes: u64,
    pub(crate) syncs: u64,
    pub(crate) folder_syncs: u64,
    pub(crate) failed_syncs: u64,
    pub(crate) refused_writes: u64,
    pub(crate) cuts: u64,
    /// Cuts at a step of the disk.
    pub(crate) sprung: u64,
}

/// The power is off.
pub(super) struct Dark;

impl Power {
    pub(crate) fn new(seed: u64) -> Self {
        let rng = StdRng::seed_from_u64(seed);
        let (volume, faults, seen) = (Volume::default(), Faults::default(), Seen::default());
        let state = State { volume, faults, rng, seen, supply: Supply::On };
        Power { state: Mutex::new(state), changed: Condvar::new(), sprung: Notify::new() }
    }

    /// For looking: works in the dark too.
    pub(super) fn look(&self) -> MutexGuard<'_, State> {
        // A thread that panicked was serving one call; the volume has no half-done state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For changing: waits while the power is held. `path` is what the step is about.
    pub(super) fn step(
        &self,
        path: impl Fn(&Volume) -> PathBuf,
    ) -> Result<MutexGuard<'_, State>, Dark> {
        let mut state = self.look();
        if state.supply == Supply::On && state.faults.trap.is_some() {
            let path = path(&state.volume);
            if state.faults.springs(&path) {
                state.supply = Supply::Held;
                state.seen.sprung += 1;
                self.sprung.notify_one();
            }
        }
        while state.supply == Supply::Held {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.supply == Supply::On { Ok(state) } else { Err(Dark) }
    }

    /// Until a trap springs.
    pub(crate) async fn sprung(&self) {
        // A note of an earlier one may still lie there.
        while self.look().supply != Supply::Held {
            self.sprung.notified().await;
        }
    }

    pub(crate) fn faults(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.look().faults);
    }

    pub(crate) fn seen(&self) -> Seen {
        self.look().seen
    }

    /// From here on nothing changes.
    pub(crate) fn hold(&self) {
        self.look().supply = Supply::Held;
    }

    /// Lets go of those that wait, with an error: whoever asked is dead.
    pub(crate) fn release(&self) {
        self.look().supply = Supply::Off;
        self.changed.notify_all();
    }

    /// Loses what was not synced.
    pub(crate) fn cut(&self, seed: u64) {
        let mut state = self.look();
        state.seen.cuts += 1;
        let State { volume, faults, .. } = &mut *state;
        volume.cut(|path| faults.tearing(path), &mut StdRng::seed_from_u64(seed));
    }

    pub(crate) fn restore(&self) {
        let mut state = self.look();
        state.supply = Supply::On;
        state.faults.trap = None;
    }

    /// Writes everything that is there below `to`, for a look at it afterwards.
    pub(crate) fn copy_out(&self, to: &Path) -> std::io::Result<()> {
        for (path, bytes) in self.look().volume.tree() {
            match bytes {
                None => std::fs::create_dir_all(to.join(path))?,
                Some(bytes) => std::fs::write(to.join(path), bytes)?,
            }
        }
        Ok(())
    }
}

impl State {
    /// A file's sync, after its latency.
    pub(super) fn sync(&mut self, ino: Ino) -> Result<(), SyncFailed> {
        let State { volume, faults, rng, seen, .. } = self;
        seen.syncs += 1;
        let path = volume.path(ino);
        let Ok(body) = volume.body_mut(ino) else { return Ok(()) };
        if faults.take_sync_failure(&path) {
            seen.failed_syncs += 1;
            body.fail_sync(rng);
            return Err(SyncFailed);
        }
        if !faults.ignores_sync(&path) {
            body.sync();
        }
        Ok(())
    }

    pub(super) fn sync_folder(&mut self, ino: Ino) {
        self.seen.folder_syncs += 1;
        if !self.faults.ignore_folder_sync {
            self.volume.sync_folder(ino);
        }
    }
}

/// EIO.
pub(super) struct SyncFailed;
