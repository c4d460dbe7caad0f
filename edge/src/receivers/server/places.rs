//! Who makes room when there is none for a newcomer: the connection that has been of no use for the longest.
//!
//! To hold a connection and send next to nothing costs a client little. If newcomers only waited for one of
//! those to end, some thousands of them would keep everybody out for as long as the timeouts are. So a newcomer
//! takes the place of one. A request that has come whole makes a place safe until it is answered, and the answer
//! for [`ANSWERED`] more; who comes has [`NEW`] to get one, which is short, since newcomers wait for as long where
//! all the others have just come too.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
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
    /// Requests that came whole and are not answered yet.
    in_hand: AtomicU32,
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
            in_hand: AtomicU32::new(0),
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
        let now_ms = self.ms_after(Duration::ZERO);
        let idle = taken
            .by_number
            .values()
            .filter(|one| !one.is_told.load(Relaxed) && !one.is_safe(now_ms));
        let Some(idlest) = idle.min_by_key(|one| one.safe_until_ms.load(Relaxed)) else {
            return false;
        };
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

impl Standing {
    fn is_safe(&self, now_ms: u64) -> bool {
        self.in_hand.load(Relaxed) > 0 || now_ms < self.safe_until_ms.load(Relaxed)
    }
}

impl Place {
    /// For a request to hold the place by.
    pub(crate) fn hold(&self) -> Hold {
        Hold { standing: self.standing.clone(), is_taken: false }
    }

    /// It was of use since it was told to make room, or is about to be.
    pub(crate) fn is_safe(&self) -> bool {
        self.standing.is_safe(self.places.ms_after(Duration::ZERO))
    }

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

/// What one request can do for the place of its connection. Ends when it is dropped.
pub(crate) struct Hold {
    standing: Arc<Standing>,
    is_taken: bool,
}

impl Hold {
    /// The request has come whole.
    pub(crate) fn take(&mut self) {
        if !self.is_taken {
            self.is_taken = true;
            self.standing.in_hand.fetch_add(1, Relaxed);
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if self.is_taken {
            self.standing.in_hand.fetch_sub(1, Relaxed);
        }
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
    async fn who_has_a_request_that_came_whole_stays_until_it_is_answered() {
        let places = Places::new();
        let place = places.take();
        let [mut whole, coming] = [place.hold(), place.hold()];
        whole.take();
        tokio::time::advance(60 * ANSWERED).await;
        assert!(!places.make_room() && place.is_safe());
        drop(whole);
        assert!(!place.is_safe());
        assert!(places.make_room() && is_told(&place));
        drop(coming);
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
