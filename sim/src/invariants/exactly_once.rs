//! Laws 1 to 3 once everything is quiet: what was acked is there once, in its own window; what was not
//! is there whole or not at all; counts, sums and buckets agree to the last unit.

use super::{Violation, violated};
use crate::oracle::{Fate, Oracle, Tally};

const NAME: &str = "exactly once";

/// `held`: of all shards.
pub(crate) fn exactly_once(held: &Tally, oracle: &Oracle) -> Result<(), Violation> {
    if let Some(what) = held.falls_short_of(&oracle.acked_tally()) {
        return violated(NAME, format!("an acked span is missing: {what}"));
    }
    let there = held.by_series();
    for (marker, fate) in oracle.markers() {
        let spans = there.get(&marker).copied().unwrap_or(0);
        let may_be = match fate {
            Fate::Acked => 1..=1,
            Fate::Refused => 0..=0,
            Fate::Unknown => 0..=1,
        };
        if !may_be.contains(&spans) {
            return violated(
                NAME,
                format!("{marker} is there {spans} times, its request was {fate:?}"),
            );
        }
    }
    let exact = oracle.exact_tally(held);
    match held.falls_short_of(&exact).or_else(|| exact.falls_short_of(held)) {
        None => Ok(()),
        Some(what) => violated(NAME, format!("a request counts in part: {what}")),
    }
}
