//! Who makes room when there is none for a newcomer: the connection that has been of no use for the longest.
//!
//! To hold a connection and send next to nothing costs a client little. If newcomers only waited for one of
//! those to end, some thousands of them would keep everybody out for as long as the timeouts are. So a newcomer
//! takes the place of one: of use is who was answered, and until then who has just come. Nobody is displaced
//! within [`SAFE`], so where all are of use newcomers wait.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// After an answer, or after it came, a connection keeps its place for as long.
const SAFE: Duration = Duration::from_secs(1);

pub(crate) struct Places {
    began: Instant,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    next: u64,
    by_number: HashMap<u64, Arc<Standing>>,
}

/// How a connection stands.
struct Standing {
    /// When it was of use last, since the places began.
    used_ms: AtomicU64,
    is_told: AtomicBool,
    told: Notify,
}

/// The place of one connection, given back when it is dropped.
pub(crate) struct Place {
    places: Arc<Places>,
    number: u64,
    standing: Arc<Standing>,
}

impl Places {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Places { began: Instant::now(), taken: Mutex::default() })
    }

    pub(crate) fn take(self: &Arc<Self>) -> Place {
        let standing = Arc::new(Standing {
            used_ms: AtomicU64::new(self.now_ms()),
            is_told: AtomicBool::new(false),
            told: Notify::new(),
        });
        let mut taken = self.lock();
        let number = taken.next;
        taken.next += 1;
        taken.by_number.insert(number, standing.clone());
        Place { places: self.clone(), number, standing }
    }

    /// Tells a connection to go; false where all are of use.
    pub(crate) fn make_room(&self) -> bool {
        let safe_ms = SAFE.as_millis() as u64;
        let taken = self.lock();
        let staying = taken.by_number.values().filter(|one| !one.is_told.load(Relaxed));
        let Some(idlest) = staying.min_by_key(|one| one.used_ms.load(Relaxed)) else {
            return false;
        };
        if self.now_ms() < idlest.used_ms.load(Relaxed) + safe_ms {
            return false;
        }
        idlest.is_told.store(true, Relaxed);
        idlest.told.notify_one();
        true
    }

    fn now_ms(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        // What is done under the lock is one insertion or removal.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// A request was answered.
    pub(crate) fn used(&self) {
        self.standing.used_ms.store(self.places.now_ms(), Relaxed);
    }

    /// Until it has to make room.
    pub(crate) fn told(&self) -> impl Future<Output = ()> + Send + use<> {
        let standing = self.standing.clone();
        async move { standing.told.notified().await }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.lock().by_number.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn is_told(place: &Place) -> bool {
        place.told().now_or_never().is_some()
    }

    #[tokio::test(start_paused = true)]
    async fn who_was_of_no_use_for_the_longest_goes_first() {
        let places = Places::new();
        let [busy, silent] = [places.take(), places.take()];
        tokio::time::advance(SAFE).await;
        let late = places.take();
        busy.used();
        assert!(places.make_room());
        assert!(is_told(&silent) && !is_told(&busy) && !is_told(&late));
        assert!(!places.make_room(), "the others are of use, or have just come");
        tokio::time::advance(SAFE).await;
        busy.used();
        assert!(places.make_room());
        assert!(is_told(&late) && !is_told(&busy));
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_gone_is_not_told_in_place_of_another() {
        let places = Places::new();
        let [gone, here] = [places.take(), places.take()];
        drop(gone);
        tokio::time::advance(SAFE).await;
        assert!(places.make_room() && is_told(&here));
        drop(here);
        assert!(!places.make_room());
    }
}
