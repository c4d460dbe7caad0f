//! Law 4: a shard that says it is complete up to a time holds every acked span of the windows up to
//! there.
//!
//! Spared are spans that came too late for the promise: taken when the edge's clock had said, since its source
//! began, that their window is over and its grace too; and those of a source that this shard never
//! heard of, which it cannot wait for.

use tributary_proto::ShardId;

use super::{Violation, violated};
use crate::oracle::Tally;

/// `covered`: what the oracle knew to be covered up to there when the view of `held` was taken.
pub(crate) fn completeness_covers(
    shard: ShardId,
    complete_to_ms: i64,
    held: &Tally,
    covered: &Tally,
) -> Result<(), Violation> {
    match held.falls_short_of(covered) {
        None => Ok(()),
        Some(what) => violated(
            "completeness covers what was acked",
            format!("shard {shard} is complete to {complete_to_ms} without {what}"),
        ),
    }
}
