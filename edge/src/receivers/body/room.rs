//! The room that all bodies share: a permit for each byte, and turns at what takes long.
//!
//! A large body takes milliseconds at a time to be inflated and read. Were many of them to take turns with
//! everything else that the threads have to do, each of the others would wait for all of them; so the large ones
//! take turns with each other, and half of the threads are free for who comes with little.

use std::num::NonZero;
use std::sync::Arc;
use std::thread::available_parallelism;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::ceiling::{Ceiling, LARGE_BYTES};
use crate::metrics::EdgeMetrics;
use crate::receivers::fault::Fault;

/// Large bodies leave one part in so many to small ones.
const RESERVED_PART: usize = 8;

#[derive(Clone)]
pub(crate) struct Room {
    free: Arc<Semaphore>,
    turns: Arc<Semaphore>,
    metrics: Arc<EdgeMetrics>,
    ceiling: Ceiling,
    /// Left to small bodies.
    reserve_bytes: usize,
}

/// A turn at something that takes long.
pub(crate) type Turn = OwnedSemaphorePermit;

impl Room {
    /// For requests of up to `request_bytes` each.
    pub(crate) fn new(
        bytes: usize,
        request_bytes: usize,
        metrics: Arc<EdgeMetrics>,
        ceiling: Ceiling,
    ) -> Self {
        let free = Arc::new(Semaphore::new(bytes.min(Semaphore::MAX_PERMITS)));
        // The largest request that may come has to find room.
        let reserve_bytes = (bytes / RESERVED_PART).min(bytes.saturating_sub(request_bytes));
        let threads = available_parallelism().map_or(1, NonZero::get);
        let turns = Arc::new(Semaphore::new(threads.div_ceil(2)));
        Room { free, turns, metrics, ceiling, reserve_bytes }
    }

    /// Held only while something is done, never while a client or the disk is waited for.
    pub(crate) async fn turn(&self) -> Turn {
        self.turns.clone().acquire_owned().await.expect("turns are never closed")
    }

    pub(crate) fn share(&self) -> Share {
        let paid = self.free.clone().try_acquire_many_owned(0).expect("the room is never closed");
        let (metrics, ceiling) = (self.metrics.clone(), self.ceiling.clone());
        Share { paid, metrics, ceiling, reserve_bytes: self.reserve_bytes }
    }

    #[cfg(test)]
    pub(crate) fn free_bytes(&self) -> usize {
        self.free.available_permits()
    }
}

/// What one body has of the room; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    paid: OwnedSemaphorePermit,
    metrics: Arc<EdgeMetrics>,
    ceiling: Ceiling,
    reserve_bytes: usize,
}

impl Share {
    pub(crate) fn bytes(&self) -> usize {
        self.paid.num_permits()
    }

    /// Comes before the bytes are held.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<(), Fault> {
        if !self.ceiling.allows(self.bytes(), bytes) {
            return Err(Fault::Busy);
        }
        let more = u32::try_from(bytes).map_err(|_| Fault::Busy)?;
        let room = self.paid.semaphore().clone();
        let is_large = self.bytes().saturating_add(bytes) > LARGE_BYTES;
        if is_large && room.available_permits() < self.reserve_bytes.saturating_add(bytes) {
            return Err(Fault::Busy);
        }
        self.paid.merge(room.try_acquire_many_owned(more).map_err(|_| Fault::Busy)?);
        self.metrics.held_bytes.add(bytes as u64);
        Ok(())
    }

    pub(crate) fn shrink(&mut self, bytes: usize) {
        if let Some(permit) = self.paid.split(bytes) {
            self.metrics.held_bytes.sub(permit.num_permits() as u64);
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.metrics.held_bytes.sub(self.bytes() as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_bodies_leave_a_part_of_the_room_to_small_ones() {
        let room = Room::new(8 * LARGE_BYTES, 7 * LARGE_BYTES, Arc::default(), Ceiling::default());
        let mut large = room.share();
        large.grow(6 * LARGE_BYTES).unwrap();
        let mut second = room.share();
        second.grow(LARGE_BYTES).unwrap();
        second.grow(1).unwrap_err();
        let mut small = room.share();
        small.grow(LARGE_BYTES / 2).unwrap();
        large.grow(1).unwrap_err();
        drop(second);
        large.grow(LARGE_BYTES / 4).unwrap();
    }

    #[test]
    fn the_largest_request_finds_room() {
        let room = Room::new(8 * LARGE_BYTES, 8 * LARGE_BYTES, Arc::default(), Ceiling::default());
        room.share().grow(8 * LARGE_BYTES).unwrap();
    }
}
