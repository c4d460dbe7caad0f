//! Who makes room when there is none for a newcomer: the connection that has been of no use for the longest.
//!
//! To hold a connection and send next to nothing costs a client little. If newcomers only waited for one of
//! those to end, some thousands of them would keep everybody out for as long as the timeouts are. So a newcomer
//! takes the place of one. An answer makes a place safe for [`ANSWERED`]; who comes has [`NEW`] to get one, which
//! is short, since newcomers wait for as long where all the others have just come too.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

const ANSWERED: Duration = Duration::from_secs(1);
const NEW: Duration = Duration::from_millis(100);

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
    /// Since the places began.
    safe_until_ms: AtomicU64,
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
            safe_until_ms: AtomicU64::new(self.ms_after(NEW)),
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
        let taken = self.lock();
        let staying = taken.by_number.values().filter(|one| !one.is_told.load(Relaxed));
        let Some(idlest) = staying.min_by_key(|one| one.safe_until_ms.load(Relaxed)) else {
            return false;
        };
        if self.ms_after(Duration::ZERO) < idlest.safe_until_ms.load(Relaxed) {
            return false;
        }
        idlest.is_told.store(true, Relaxed);
        idlest.told.notify_one();
        true
    }

    fn ms_after(&self, now: Duration) -> u64 {
        (self.began.elapsed() + now).as_millis() as u64
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        // What is done under the lock is one insertion or removal.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// A request was answered.
    pub(crate) fn used(&self) {
        self.standing.safe_until_ms.store(self.places.ms_after(ANSWERED), Relaxed);
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
        busy.used();
        tokio::time::advance(NEW).await;
        let late = places.take();
        assert!(places.make_room());
        assert!(is_told(&silent) && !is_told(&busy) && !is_told(&late));
        assert!(!places.make_room(), "the others are of use, or have just come");
        tokio::time::advance(NEW).await;
        assert!(places.make_room());
        assert!(is_told(&late) && !is_told(&busy));
        assert!(!places.make_room());
        tokio::time::advance(ANSWERED).await;
        assert!(places.make_room() && is_told(&busy));
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_gone_is_not_told_in_place_of_another() {
        let places = Places::new();
        let [gone, here] = [places.take(), places.take()];
        drop(gone);
        tokio::time::advance(NEW).await;
        assert!(places.make_room() && is_told(&here));
        drop(here);
        assert!(!places.make_room());
    }
}
