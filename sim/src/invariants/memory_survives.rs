//! Law 3: what an edge has answered within the dedup window it knows after a restart, though the journal
//! let go of it long ago.
//!
//! To an edge that has just started come only requests that it acked in earlier lives. It has to know each of
//! them, which its own counters tell at once.

use tributary_edge::{EdgeMetrics, Refusal, TraceAnswer};

use super::{Violation, violated};

const NAME: &str = "memory survives";

/// What an edge had counted before it was asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counted {
    accepted: u64,
    known: u64,
}

impl Counted {
    pub(crate) fn by(metrics: &EdgeMetrics) -> Self {
        let (accepted, known) = (&metrics.requests_accepted, &metrics.requests_duplicate);
        Counted { accepted: accepted.get(), known: known.get() }
    }
}

pub(crate) fn memory_survives(
    request: usize,
    region: &str,
    answer: &Result<TraceAnswer, Refusal>,
    before: Counted,
    after: Counted,
) -> Result<(), Violation> {
    if let Err(refusal) = answer {
        return violated(
            NAME,
            format!("{region} refuses request {request} that it has acked: {refusal}"),
        );
    }
    if after.accepted != before.accepted || after.known != before.known + 1 {
        let counters = format!("{before:?} before, {after:?} after");
        return violated(
            NAME,
            format!("{region} takes request {request} for a new one: {counters}"),
        );
    }
    Ok(())
}
