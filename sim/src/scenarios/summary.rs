//! How much happened in a run: a scenario in which nothing does would find nothing.

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

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = *self.locked();
        let Counts { requests, tries, acked, refused, unknown, .. } = counts;
        let Counts { troubles, clock_steps, damaged, remembered, trimmed, forgotten, .. } = counts;
        write!(
            f,
            "{requests} requests in {tries} tries: {acked} acked, {refused} refused, {unknown} unknown, \
             {remembered} remembered; {troubles} troubles, {clock_steps} steps, {damaged} damaged, \
             {trimmed} trimmed, {forgotten} forgotten"
        )
    }
}
