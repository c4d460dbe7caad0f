//! The table for all connections and both ports, with those who wait for somebody else's sync.
//!
//! Who registered a fingerprint holds a guard. It is completed behind the sync, or dismissed where there is
//! nothing to sync; dropped in any other way (refused, shed, its task panicked) it takes the registration
//! back, and those who wait are told to try again. So no fingerprint stays in flight without somebody who
//! carries it.
//!
//! The lock is held for a look-up or a push, never across an await, and nobody is woken under it.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use tributary_store::plants::{self, Plant};

use super::table::{Options, Seen, Table};
use super::{Fingerprint, Place, Remembered, Uptime};
use crate::{Refusal, TraceAnswer};

/// How many may wait for others at a time. A further one is told at once to try again.
const MAX_WAITERS: usize = 16 << 10;
/// What one that waits takes: its channel, its place in the list.
const WAITER_BYTES: usize = 256;

pub(crate) type Outcome = Result<TraceAnswer, Refusal>;

#[derive(Clone)]
pub(crate) struct Dedup {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug)]
pub(crate) enum Registration {
    /// The first of its kind: nobody else gets one until the guard is done with.
    New(Registered),
    /// Another one is on its way to the disk. What comes of it, or a retryable refusal.
    InFlight(oneshot::Receiver<Outcome>),
    Known(TraceAnswer),
}

/// A registered fingerprint; goes along with its request until that is on disk.
#[must_use = "dropped, it gives the registration up"]
pub(crate) struct Registered {
    dedup: Dedup,
    fingerprint: Fingerprint,
    is_open: bool,
}

struct Shared {
    table: Table,
    /// Only of fingerprints that somebody waits for.
    waiters: HashMap<Fingerprint, Vec<oneshot::Sender<Outcome>>>,
    waiting: usize,
}

impl Dedup {
    /// `key`: random, and unknown to those who send requests.
    pub(crate) fn new(options: Options, key: u64) -> Self {
        let table = Table::new(options, key);
        let shared = Shared { table, waiters: HashMap::new(), waiting: 0 };
        Dedup { shared: Arc::new(Mutex::new(shared)) }
    }

    /// Looks up and registers in one step.
    pub(crate) fn register(&self, fingerprint: Fingerprint, now: Uptime) -> Registration {
        let mut shared = self.lock();
        match shared.table.lookup_or_register(fingerprint, now) {
            Seen::New => {
                let dedup = self.clone();
                Registration::New(Registered { dedup, fingerprint, is_open: true })
            }
            Seen::InFlight => Registration::InFlight(shared.wait(fingerprint)),
            Seen::Known(answer) => Registration::Known(answer),
        }
    }

    /// About so many entries will follow. It only spares them time.
    pub(crate) fn expect(&self, entries: u64) {
        self.lock().table.expect(entries);
    }

    /// What an earlier start recorded, in the order in which it did.
    pub(crate) fn remember(&self, recorded: &[Remembered]) {
        if plants::is(Plant::FingerprintsForgotten) {
            return;
        }
        let mut shared = self.lock();
        recorded.iter().for_each(|entry| shared.table.remember(*entry));
    }

    /// The highest uptime that was heard of: after the replay, what the running time goes on from.
    pub(crate) fn latest(&self) -> Uptime {
        self.lock().table.latest()
    }

    /// What came before need not be kept elsewhere.
    pub(crate) fn oldest(&self) -> Uptime {
        self.lock().table.oldest()
    }

    /// Where the next that completes goes. Noted with a journal record, it says which are recorded before
    /// that.
    pub(crate) fn end(&self) -> Place {
        self.lock().table.end()
    }

    /// What is still remembered of these places. The caller takes so many at a time as it has room for.
    pub(crate) fn copied(&self, places: Range<Place>) -> Vec<Remembered> {
        self.lock().table.copied(places).collect()
    }

    pub(crate) fn len(&self) -> u64 {
        self.lock().table.len()
    }

    #[cfg(test)]
    pub(crate) fn in_flight(&self) -> usize {
        self.lock().table.in_flight()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.lock().table.bytes()
    }

    /// How many answers went before their window was over.
    pub(crate) fn evicted(&self) -> u64 {
        self.lock().table.evicted()
    }

    fn finish(&self, outcome: Outcome, change: impl FnOnce(&mut Table) -> Fingerprint) {
        let woken = {
            let mut shared = self.lock();
            let fingerprint = change(&mut shared.table);
            let woken = shared.waiters.remove(&fingerprint).unwrap_or_default();
            shared.waiting -= woken.len();
            woken
        };
        for waiter in woken {
            // One that hung up meanwhile needs no answer.
            let _ = waiter.send(outcome.clone());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        // A panic under the lock is a bug of the table's: one request must not take all others along.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Registered {
    /// The request is on disk, with this uptime and this answer.
    pub(crate) fn complete(mut self, uptime: Uptime, answer: TraceAnswer) {
        self.is_open = false;
        let fingerprint = self.fingerprint;
        self.dedup.finish(Ok(answer), |table| {
            table.complete(Remembered { fingerprint, uptime, answer });
            fingerprint
        });
    }

    /// The request has nothing to remember. Those who wait get its answer.
    pub(crate) fn dismiss(mut self, answer: TraceAnswer) {
        self.give_up(Ok(answer));
    }

    /// Nothing of the request counts. Those who wait get the refusal too if trying again may help;
    /// what is wrong with a request of this one's they find out by themselves.
    pub(crate) fn refuse(mut self, refusal: Refusal) {
        self.give_up(Err(if refusal.is_retryable() { refusal } else { Refusal::Unfinished }));
    }

    fn give_up(&mut self, outcome: Outcome) {
        self.is_open = false;
        let fingerprint = self.fingerprint;
        self.dedup.finish(outcome, |table| {
            table.give_up(fingerprint);
            fingerprint
        });
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        if self.is_open {
            self.give_up(Err(Refusal::Unfinished));
        }
    }
}

impl std::fmt::Debug for Registered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Registered").field(&self.fingerprint).finish()
    }
}

impl Shared {
    fn wait(&mut self, fingerprint: Fingerprint) -> oneshot::Receiver<Outcome> {
        let (waiter, outcome) = oneshot::channel();
        if self.waiting < MAX_WAITERS {
            self.waiting += 1;
            self.waiters.entry(fingerprint).or_default().push(waiter);
        } else {
            let waiting_bytes = self.waiting * WAITER_BYTES;
            let _ = waiter.send(Err(Refusal::Overload { waiting_bytes }));
        }
        outcome
    }
}

#[cfg(test)]
#[path = "shared_test.rs"]
mod tests;
