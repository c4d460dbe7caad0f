//! Law 3, the other way round: of a request that was refused each time it was sent nothing counts.
//!
//! An edge that refuses a request since its disk failed may find it in its journal if the process dies
//! before it has cut the failed write away; so this is about edges that wrote on since.

use tributary_edge::Refusal;

use super::{Violation, violated};
use crate::oracle::{Fate, Oracle, Tally};

const NAME: &str = "refused leaves no trace";

/// What clients send here is sound, so whatever an edge has to refuse they may try again.
pub(crate) fn refused_retryably(request: usize, refusal: &Refusal) -> Result<(), Violation> {
    if refusal.is_retryable() {
        return Ok(());
    }
    violated(NAME, format!("request {request} is refused for good: {refusal}"))
}

/// `held`: of any shards.
pub(crate) fn refused_leaves_no_trace(held: &Tally, oracle: &Oracle) -> Result<(), Violation> {
    let there = held.by_series();
    let mut refused = oracle.markers().filter(|marker| marker.fate == Fate::Refused);
    match refused.find(|marker| there.contains_key(marker.series)) {
        None => Ok(()),
        Some(marker) => {
            let (series, tries) = (marker.series, marker.tries);
            violated(NAME, format!("{series} is there, and was refused each of {tries} times"))
        }
    }
}
