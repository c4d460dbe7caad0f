//! What happened, in order: printed on request, and hashed always.

use std::fmt::Display;
use std::sync::{Arc, Mutex};

use tokio::time::Instant;
use xxhash_rust::xxh3::Xxh3;

#[derive(Clone)]
pub(crate) struct Trace {
    began: Instant,
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    hash: Xxh3,
    events: u64,
    print: bool,
}

impl Trace {
    pub(crate) fn new(print: bool) -> Self {
        let inner = Inner { hash: Xxh3::new(), events: 0, print };
        Trace { began: Instant::now(), inner: Arc::new(Mutex::new(inner)) }
    }

    /// Nothing of an address or of a hash map's order may be in an event.
    pub(crate) fn event(&self, event: impl Display) {
        let line = format!("{:>12.6} {event}", self.began.elapsed().as_secs_f64());
        let mut inner = self.inner.lock().expect("nothing panics while it is held");
        inner.hash.update(line.as_bytes());
        inner.events += 1;
        if inner.print {
            println!("{line}");
        }
    }

    /// Hash and number of the events so far.
    pub(crate) fn digest(&self) -> (u64, u64) {
        let inner = self.inner.lock().expect("nothing panics while it is held");
        (inner.hash.digest(), inner.events)
    }
}
