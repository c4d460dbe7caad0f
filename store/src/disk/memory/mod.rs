//! The disk's memory twin: one node's disk inside a test or the simulator.
//!
//! A [`MemoryDisk`] is a handle to a state that outlives its node. It keeps synced and unsynced apart,
//! bytes (`contents`), names (`tree`) and rows (`tables`) alike, and has two ways to die:
//!
//! - [`MemoryDisk::crash`]: the power goes. Unsynced bytes and names are dropped, torn or kept.
//! - [`MemoryDisk::kill`]: the process goes and the machine stays. Bytes and names stand as they were,
//!   no more durable than before; rows that were not flushed go, for they were the process's memory.
//!
//! Both fence the incarnation: whatever was opened before answers an error from then on, so that a
//! task that outlives its node can neither write nor hold a lock. [`MemoryDisk::reopen`] gives the
//! handle that the node's next life uses.
//!
//! No threads, no clock, and chance only from the seed of a crash. Each operation gives way before
//! it acts and again before it answers, so that others, or a crash, may come in between.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use async_trait::async_trait;
use tokio::task::yield_now;

use super::{Disk, DiskError, ErrorKind, Families, Result};
use dice::Dice;
use faults::Faults;
use tables::Tables;
use tree::Tree;

mod contents;
mod dice;
mod families;
mod faults;
mod files;
mod tables;
mod tree;

pub use faults::{Fault, Operation};

#[derive(Clone)]
pub struct MemoryDisk {
    state: Arc<Mutex<State>>,
    incarnation: u64,
}

#[derive(Default)]
struct State {
    incarnation: u64,
    tree: Tree,
    tables: Vec<Weak<Mutex<Tables>>>,
    locks: BTreeSet<String>,
    faults: Faults,
    capacity: Option<u64>,
}

impl MemoryDisk {
    #[allow(clippy::new_without_default, reason = "a new disk is a deed, not a default")]
    pub fn new() -> Self {
        MemoryDisk { state: Arc::default(), incarnation: 0 }
    }

    /// The power goes, and this incarnation with it. The seed decides what unsynced things are left.
    pub fn crash(&self, seed: u64) {
        let mut state = locked(&self.state);
        let mut dice = Dice::new(seed);
        state.tree.crash(&mut dice);
        state.end_incarnation(&mut dice);
    }

    /// The process dies, and this incarnation with it; the machine lives on.
    pub fn kill(&self, seed: u64) {
        locked(&self.state).end_incarnation(&mut Dice::new(seed));
    }

    /// The handle of the present incarnation, for the node's next life.
    #[must_use]
    pub fn reopen(&self) -> Self {
        let incarnation = locked(&self.state).incarnation;
        MemoryDisk { state: Arc::clone(&self.state), incarnation }
    }

    pub fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// Tells the disk to refuse something. What it was told holds through crashes.
    pub fn fail(&self, fault: Fault) {
        locked(&self.state).faults.tell(fault);
    }

    pub fn clear_faults(&self) {
        locked(&self.state).faults.clear();
    }

    /// How many bytes have room; `Some(0)` is a full disk. An append that finds too little room
    /// writes what fits and fails.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        locked(&self.state).capacity = bytes;
    }

    pub fn used_bytes(&self) -> u64 {
        locked(&self.state).tree.used()
    }

    /// One operation: give way, act under the lock if this incarnation still lives, give way.
    fn act<'a, T: Send + 'a>(
        &'a self,
        on: Operation,
        path: &'a str,
        act: impl FnOnce(&mut State) -> Result<T> + Send + 'a,
    ) -> impl Future<Output = Result<T>> + Send + 'a {
        self.act_or_fail(on, path, |state, refused| match refused {
            Some(error) => Err(error),
            None => act(state),
        })
    }

    /// As `act`, for operations that leave a mark even when they are refused.
    async fn act_or_fail<T>(
        &self,
        on: Operation,
        path: &str,
        act: impl FnOnce(&mut State, Option<DiskError>) -> Result<T> + Send,
    ) -> Result<T> {
        yield_now().await;
        let answer = {
            let mut state = locked(&self.state);
            if state.incarnation != self.incarnation {
                return Err(gone(path));
            }
            let refused = state.faults.strike(on, path).map(|kind| refusal(kind, on, path));
            act(&mut state, refused)
        };
        yield_now().await;
        answer
    }

    /// Acts only if this incarnation lives; for guards that are dropped.
    fn release(&self, act: impl FnOnce(&mut State)) {
        let mut state = locked(&self.state);
        if state.incarnation == self.incarnation {
            act(&mut state);
        }
    }
}

impl State {
    fn end_incarnation(&mut self, dice: &mut Dice) {
        self.tables.retain(|tables| match tables.upgrade() {
            Some(tables) => {
                locked(&tables).crash(dice);
                true
            }
            None => false,
        });
        self.locks.clear();
        self.incarnation += 1;
    }

    /// How many more bytes have room.
    fn room(&self) -> u64 {
        self.capacity.map_or(u64::MAX, |capacity| capacity.saturating_sub(self.tree.used()))
    }
}

#[async_trait]
impl Disk for MemoryDisk {
    async fn families(
        &self,
        dir: &str,
        names: &'static [&'static str],
    ) -> Result<Arc<dyn Families>> {
        Ok(Arc::new(families::MemoryFamilies::open(self, dir, names).await?))
    }
}

/// Every change under a lock is whole before anything can panic, so a poisoned lock is as good.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn gone(path: &str) -> DiskError {
    DiskError::new(ErrorKind::Io, path, "use", "the disk's earlier incarnation is gone")
}

fn refusal(kind: ErrorKind, on: Operation, path: &str) -> DiskError {
    let doing = match on {
        Operation::Open => "open",
        Operation::Read => "read",
        Operation::Append => "append",
        Operation::Sync => "sync",
        Operation::Truncate => "truncate",
        Operation::Name => "change name",
        Operation::SyncDir => "sync folder",
        Operation::Replace => "replace",
        Operation::Write => "write batch",
        Operation::Flush => "flush",
    };
    let reason = match kind {
        ErrorKind::Full => "no space left on device (told to)",
        _ => "input/output error (told to)",
    };
    DiskError::new(kind, path, doing, reason)
}
