//! Laws 1 to 3 once everything is quiet: what was acked is there once, in its own window; what was not
//! is there whole or not at all; counts, sums and buckets agree to the last unit.

use super::{Violation, violated};
use crate::oracle::{Oracle, Tally};

const NAME: &str = "exactly once";

/// `held`: of all shards.
pub(crate) fn exactly_once(held: &Tally, oracle: &Oracle) -> Result<(), Violation> {
    if let Some(what) = held.falls_short_of(&oracle.acked_tally()) {
        return violated(NAME, format!("an acked span is missing: {what}"));
    }
    let there = held.by_series();
    for marker in oracle.markers() {
        let spans = there.get(marker.series).copied().unwrap_or(0);
        if !(marker.least..=marker.most).contains(&spans) {
            let (series, fate, tries) = (marker.series, marker.fate, marker.tries);
            return violated(
                NAME,
                format!("{series} is there {spans} times, sent {tries} times and {fate:?}"),
            );
        }
    }
    let exact = oracle.exact_tally(held);
    match held.falls_short_of(&exact).or_else(|| exact.falls_short_of(held)) {
        None => Ok(()),
        Some(what) => violated(NAME, format!("a request counts in part: {what}")),
    }
}
