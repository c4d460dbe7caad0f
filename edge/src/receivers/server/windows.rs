//! What clients may send unasked: one budget for all connections (law 9).
//!
//! A window that was granted may be filled at any moment, so it counts in full until it is used up: a
//! connection's window cannot be taken back, only not be renewed. A connection that opens gets its share,
//! half the budget divided by the HTTP/2 connections that are open, and at most a quarter of what is
//! free, so that there is room for the next one. With its calls it comes down, or up, to the share of
//! that time. One that is idle cannot come down: while the budget is short it is asked to go.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::metrics::EdgeMetrics;
use crate::receivers::options::LEAST_WINDOW_BYTES as FLOOR_BYTES;

const MOST_BYTES: usize = 16 << 20;
const MOST_STREAM_BYTES: usize = 4 << 20;
const LEAST_FRAME_BYTES: usize = 16 << 10;
/// HTTP/2's least window of a connection, one less than the floor.
const LEAST_BYTES: usize = (1 << 16) - 1;

pub(crate) struct Windows {
    free: Arc<Semaphore>,
    budget_bytes: usize,
    /// HTTP/2 connections.
    open: AtomicUsize,
    short: watch::Sender<bool>,
    metrics: Arc<EdgeMetrics>,
}

impl Windows {
    /// A budget below the floor is the floor: else nobody could connect.
    pub(crate) fn new(budget_bytes: usize, metrics: Arc<EdgeMetrics>) -> Arc<Self> {
        let budget_bytes = budget_bytes.clamp(FLOOR_BYTES, Semaphore::MAX_PERMITS);
        let free = Arc::new(Semaphore::new(budget_bytes));
        let short = watch::Sender::new(false);
        Arc::new(Windows { free, budget_bytes, open: AtomicUsize::new(0), short, metrics })
    }

    /// Waits for room for one more connection.
    pub(crate) async fn admit(self: &Arc<Self>) -> Grant {
        // Those that can make room are to know before somebody waits for it.
        self.weigh(FLOOR_BYTES);
        let acquiring = self.free.clone().acquire_many_owned(FLOOR_BYTES as u32);
        let held = acquiring.await.expect("the budget is never closed");
        self.metrics.window_bytes.add(FLOOR_BYTES as u64);
        Grant {
            windows: self.clone(),
            held,
            target_bytes: FLOOR_BYTES,
            least_bytes: FLOOR_BYTES,
            is_open: false,
        }
    }

    fn share_bytes(&self) -> usize {
        let open = self.open.load(Ordering::Relaxed).max(1);
        (self.budget_bytes / (2 * open)).clamp(FLOOR_BYTES, MOST_BYTES)
    }

    /// `wanted` bytes are about to go.
    fn weigh(&self, wanted: usize) {
        let free = self.free.available_permits().saturating_sub(wanted);
        self.short.send_if_modified(|short| {
            let is_short = free < self.budget_bytes / if *short { 4 } else { 8 };
            std::mem::replace(short, is_short) != is_short
        });
    }
}

/// What one connection was granted; given back when it is dropped.
pub(crate) struct Grant {
    windows: Arc<Windows>,
    /// As much as the client may still send, and what it sent that is still held as it came.
    held: OwnedSemaphorePermit,
    /// What the window is renewed to.
    target_bytes: usize,
    /// The target does not come below: the floor, or one frame.
    least_bytes: usize,
    is_open: bool,
}

/// What HTTP/2 is told when a connection opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Opening {
    pub(crate) window: Window,
    /// Set for good: h2 reads a frame whole before it weighs it.
    pub(crate) frame: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) connection: u32,
    pub(crate) stream: u32,
}

impl Window {
    fn of(target_bytes: usize) -> Self {
        // The floor is one byte more than HTTP/2's own.
        let connection = if target_bytes <= FLOOR_BYTES { LEAST_BYTES } else { target_bytes };
        let stream = (target_bytes / 4).clamp(LEAST_BYTES, MOST_STREAM_BYTES);
        Window { connection: connection as u32, stream: stream as u32 }
    }
}

impl Grant {
    /// HTTP/1 has no windows, only a buffer.
    pub(crate) fn keep(&mut self, bytes: usize) {
        self.give_back(self.held.num_permits().saturating_sub(bytes));
    }

    /// An HTTP/2 connection begins.
    pub(crate) fn open(&mut self) -> Opening {
        self.is_open = true;
        self.windows.open.fetch_add(1, Ordering::Relaxed);
        let free = self.windows.free.available_permits() + self.held.num_permits();
        self.take(self.windows.share_bytes().min(free / 4));
        self.target_bytes = self.held.num_permits();
        let frame = (self.target_bytes / 16).max(LEAST_FRAME_BYTES);
        self.least_bytes = frame.max(FLOOR_BYTES);
        Opening { window: Window::of(self.target_bytes), frame: frame as u32 }
    }

    /// `released` bytes have come since the last time and are no longer held. Answers the window to tell
    /// HTTP/2 if it is another by half or double, since to tell it costs frames, or if it is less while the
    /// budget is short.
    pub(crate) fn adjust(&mut self, released: usize) -> Option<Window> {
        let held = self.held.num_permits();
        if held > self.target_bytes {
            self.give_back(released.min(held - self.target_bytes));
        }
        let share = self.windows.share_bytes().max(self.least_bytes);
        let is_short = *self.windows.short.borrow();
        if share <= self.target_bytes / 2 || (is_short && share < self.target_bytes) {
            self.target_bytes = share;
            return Some(Window::of(share));
        }
        if share >= 2 * self.target_bytes {
            let free = self.windows.free.available_permits();
            self.take(share.min(self.held.num_permits() + free / 4));
            let reached = share.min(self.held.num_permits());
            if reached >= 2 * self.target_bytes {
                self.target_bytes = reached;
                return Some(Window::of(reached));
            }
        }
        None
    }

    /// Others need what this one has beyond twice its share, and could only get it by its end.
    pub(crate) fn is_excessive(&self) -> bool {
        let fair = 2 * self.windows.share_bytes().max(self.least_bytes);
        *self.windows.short.borrow() && self.held.num_permits() > fair
    }

    pub(crate) fn short(&self) -> watch::Receiver<bool> {
        self.windows.short.subscribe()
    }

    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.held.num_permits()
    }

    /// Up to so much in all, if it is free.
    fn take(&mut self, wanted: usize) {
        let more = wanted.saturating_sub(self.held.num_permits()) as u32;
        if more == 0 {
            return;
        }
        if let Ok(permits) = self.windows.free.clone().try_acquire_many_owned(more) {
            self.held.merge(permits);
            self.windows.metrics.window_bytes.add(more.into());
            self.windows.weigh(0);
        }
    }

    fn give_back(&mut self, bytes: usize) {
        if let Some(permits) = self.held.split(bytes)
            && bytes > 0
        {
            drop(permits);
            self.windows.metrics.window_bytes.sub(bytes as u64);
            self.windows.weigh(0);
        }
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        if self.is_open {
            self.windows.open.fetch_sub(1, Ordering::Relaxed);
        }
        self.give_back(self.held.num_permits());
    }
}

#[cfg(test)]
#[path = "windows_test.rs"]
mod tests;
