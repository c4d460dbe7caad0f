//! Stops a node at a chosen step of its disk.
//!
//! The moments between a write and its sync are few milliseconds in many seconds: a crash at a random
//! time hardly meets them, one at a random step does. Steps may be counted in one folder alone, so that
//! what is written there rarely is met too. A step that was chosen never returns, and whoever set the trap
//! is told to come and crash the node.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

#[derive(Clone, Default)]
pub(crate) struct Trap {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    /// Zero: not set.
    steps_left: AtomicU64,
    /// Only steps on paths that start like this count.
    under: Mutex<&'static str>,
    sprung: AtomicBool,
    told: Notify,
}

impl Trap {
    /// Waits until the node has reached the `steps`-th step under a path from now, from one, where it stays.
    pub(crate) async fn set(&self, steps: u64, under: &'static str) {
        *self.inner.under.lock().expect("nothing panics while it is held") = under;
        self.inner.sprung.store(false, Ordering::Relaxed);
        self.inner.steps_left.store(steps, Ordering::Relaxed);
        // A word of an earlier trap, which nobody waited for, may still be there.
        while !self.inner.sprung.load(Ordering::Relaxed) {
            self.inner.told.notified().await;
        }
    }

    pub(crate) fn unset(&self) {
        self.inner.steps_left.store(0, Ordering::Relaxed);
    }

    pub(super) async fn step(&self, path: &str) {
        let under = *self.inner.under.lock().expect("nothing panics while it is held");
        if !path.starts_with(under) {
            return;
        }
        let left = self.inner.steps_left.load(Ordering::Relaxed);
        if left > 0 {
            self.inner.steps_left.store(left - 1, Ordering::Relaxed);
            if left == 1 {
                self.inner.sprung.store(true, Ordering::Relaxed);
                self.inner.told.notify_one();
                std::future::pending::<()>().await;
            }
        }
    }
}
