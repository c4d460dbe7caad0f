//! Spans that were read and are not counted yet.
//!
//! What several are looked up by is fetched at the same time, so where the known groups are more than the
//! nearest caches hold, memory is waited for once and not for each.

use std::ops::Range;

use super::signature::Signature;

/// As many spans as wait for each other.
pub(super) const WAITING: usize = 8;

#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) spans: Vec<WaitingSpan>,
    /// Of the spans, in their order.
    pub(super) signatures: [Signature; WAITING],
}

#[derive(Debug)]
pub(super) struct WaitingSpan {
    pub(super) place: Range<usize>,
    pub(super) resource: u32,
    pub(super) hash: u64,
    pub(super) start_ns: u64,
    pub(super) end_ns: u64,
}

impl Waiting {
    pub(super) fn new() -> Self {
        let signatures = std::array::from_fn(|_| Signature::new());
        Waiting { spans: Vec::with_capacity(WAITING), signatures }
    }

    pub(super) fn clear(&mut self) {
        self.spans.clear();
        for signature in &mut self.signatures {
            signature.give_back();
        }
    }
}
