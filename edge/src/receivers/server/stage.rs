//! Where an HTTP/1 connection stands: it waits for a request, for the rest of a head, or for an answer.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use crate::receivers::options::Timeouts;

#[derive(Clone, Debug)]
pub(crate) struct Stage(Arc<Mutex<Since>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Since {
    Idle(Instant),
    Head(Instant),
    /// A request is under way, which has timeouts of its own.
    Request,
}

/// What took too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Late {
    Idle,
    Head,
}

impl Stage {
    /// Its first bytes have come.
    pub(crate) fn new(now: Instant) -> Self {
        Stage(Arc::new(Mutex::new(Since::Head(now))))
    }

    /// Bytes have come.
    pub(crate) fn read(&self) {
        let mut since = self.lock();
        if let Since::Idle(_) = *since {
            *since = Since::Head(Instant::now());
        }
    }

    pub(crate) fn begun(&self) {
        *self.lock() = Since::Request;
    }

    pub(crate) fn answered(&self) {
        *self.lock() = Since::Idle(Instant::now());
    }

    /// When it has waited for too long; never during a request.
    pub(crate) fn end(&self, timeouts: &Timeouts) -> Option<(Instant, Late)> {
        let (since, timeout, late) = match *self.lock() {
            Since::Idle(since) => (since, timeouts.idle, Late::Idle),
            Since::Head(since) => (since, timeouts.header, Late::Head),
            Since::Request => return None,
        };
        Some((since.checked_add(timeout)?, late))
    }

    fn lock(&self) -> MutexGuard<'_, Since> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
