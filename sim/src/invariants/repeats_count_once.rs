//! Law 3: a request counts once, however often its client has sent it, on however many connections,
//! through however many restarts.

use super::{Violation, violated};
use crate::oracle::{Oracle, Tally};

/// `held`: of any shards.
pub(crate) fn repeats_count_once(held: &Tally, oracle: &Oracle) -> Result<(), Violation> {
    let there = held.by_series();
    for marker in oracle.markers() {
        let times = there.get(marker.series).copied().unwrap_or(0);
        if times > marker.most.max(1) {
            let (series, tries) = (marker.series, marker.tries);
            return violated(
                "repeats count once",
                format!("{series} counts {times} times, it was sent {tries} times"),
            );
        }
    }
    Ok(())
}
