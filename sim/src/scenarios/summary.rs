//! How much happened in a run: a scenario in which nothing does would find nothing, so whoever runs
//! many seeds asks for a least of each.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

#[derive(Clone, Debug, Default)]
pub(crate) struct Summary {
    counts: Arc<Mutex<Counts>>,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    requests: usize,
    tries: usize,
    /// Requests by fate.
    acked: usize,
    refused: usize,
    unknown: usize,
    /// Nodes that went down, edges and the core.
    pub(crate) outages: usize,
    pub(crate) troubles: usize,
    pub(crate) clock_steps: usize,
    /// Records of journals.
    pub(crate) damaged: usize,
    /// Repeats to an edge that has just started.
    pub(crate) remembered: usize,
    /// Records that the journals have let go of.
    trimmed: u64,
    /// Records that the fingerprints' logs have.
    forgotten: u64,
}

impl Summary {
    pub(crate) fn count(&self, which: impl FnOnce(&mut Counts) -> &mut usize) {
        *which(&mut self.locked()) += 1;
    }

    /// `sent`: requests and tries. `fates`: acked, refused, unknown. `gone`: records of
    /// journals, and of fingerprints' logs.
    pub(crate) fn close(&self, sent: (usize, usize), fates: [usize; 3], gone: [u64; 2]) {
        let mut counts = self.locked();
        (counts.requests, counts.tries) = sent;
        [counts.acked, counts.refused, counts.unknown] = fates;
        [counts.trimmed, counts.forgotten] = gone;
    }

    fn locked(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().expect("nothing panics while it is held")
    }
}

impl Counts {
    fn named(&self) -> [(&'static str, u64); 12] {
        [
            ("requests", self.requests as u64),
            ("tries", self.tries as u64),
            ("acked", self.acked as u64),
            ("refused", self.refused as u64),
            ("unknown", self.unknown as u64),
            ("remembered", self.remembered as u64),
            ("outages", self.outages as u64),
            ("troubles", self.troubles as u64),
            ("steps", self.clock_steps as u64),
            ("damaged", self.damaged as u64),
            ("trimmed", self.trimmed),
            ("forgotten", self.forgotten),
        ]
    }
}

/// `12 requests, 30 tries, …`: who runs many seeds adds them up by name.
impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = self.locked().named().map(|(name, count)| format!("{count} {name}"));
        f.write_str(&named.join(", "))
    }
}
