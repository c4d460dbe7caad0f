//! When the next request is due, and when no more are.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use tokio::sync::{Mutex, mpsc};
use tokio::time::Instant;

pub(super) struct Pace {
    end: Instant,
    most: u64,
    given: AtomicU64,
    timetable: Option<Mutex<mpsc::UnboundedReceiver<Instant>>>,
}

/// From when a request's time counts.
#[derive(Clone, Copy, Debug)]
pub(super) enum Due {
    At(Instant),
    /// As soon as it is stamped and packed.
    WhenReady,
}

impl Due {
    /// Said when it is ready.
    pub(super) fn since(self) -> Instant {
        match self {
            Due::At(due) => due,
            Due::WhenReady => Instant::now(),
        }
    }
}

impl Pace {
    pub(super) fn new(lasts: Duration, every: Option<Duration>, most: Option<u64>) -> Self {
        let start = Instant::now();
        let end = start + lasts;
        let timetable = every.map(|every| Mutex::new(timetable(start, end, every)));
        Pace { end, most: most.unwrap_or(u64::MAX), given: AtomicU64::new(0), timetable }
    }

    /// Waits until one is due; `None` when no more are. Who comes late finds it overdue: a receiver that
    /// stalls is not spared what it missed.
    pub(super) async fn next(&self) -> Option<Due> {
        let number = self.given.fetch_add(1, Ordering::Relaxed);
        if number >= self.most || Instant::now() >= self.end {
            return None;
        }
        match &self.timetable {
            None => Some(Due::WhenReady),
            Some(timetable) => timetable.lock().await.recv().await.map(Due::At),
        }
    }
}

/// Each time as it comes. The runtime's timers count whole milliseconds, most of what an ack takes, so a
/// thread keeps the time; it ends when nobody listens.
fn timetable(start: Instant, end: Instant, every: Duration) -> mpsc::UnboundedReceiver<Instant> {
    let (due_now, dues) = mpsc::unbounded_channel();
    thread::spawn(move || {
        for number in 0u64.. {
            let due = start + every.mul_f64(number as f64);
            if due >= end {
                return;
            }
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if due_now.send(due).is_err() {
                return;
            }
        }
    });
    dues
}
