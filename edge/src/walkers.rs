//! The walkers of an edge: as many as requests are walked at once.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tributary_spanmetrics::{Config, Groups, Walker};

pub(crate) struct Walkers {
    config: Arc<Config>,
    groups: Arc<Groups>,
    seed: u64,
    /// The last used first: its memory is warm.
    idle: Mutex<Vec<Walker>>,
}

impl Walkers {
    pub(crate) fn new(config: Arc<Config>, groups: Arc<Groups>, seed: u64) -> Self {
        Walkers { config, groups, seed, idle: Mutex::new(Vec::new()) }
    }

    pub(crate) fn take(&self) -> Lent<'_> {
        let idle = self.lock().pop();
        let walker = idle
            .unwrap_or_else(|| Walker::new(self.config.clone(), self.groups.clone(), self.seed));
        Lent { walkers: self, walker: Some(walker) }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Walker>> {
        // A push or a pop is whole or has not happened.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A walker for one request.
pub(crate) struct Lent<'a> {
    walkers: &'a Walkers,
    walker: Option<Walker>,
}

impl Deref for Lent<'_> {
    type Target = Walker;

    fn deref(&self) -> &Walker {
        self.walker.as_ref().expect("given back only at the end")
    }
}

impl DerefMut for Lent<'_> {
    fn deref_mut(&mut self) -> &mut Walker {
        self.walker.as_mut().expect("given back only at the end")
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        // One that panicked half way may remember anything.
        if !std::thread::panicking()
            && let Some(walker) = self.walker.take()
        {
            self.walkers.lock().push(walker);
        }
    }
}
