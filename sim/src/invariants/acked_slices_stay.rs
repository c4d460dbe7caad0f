//! Law 3: what a shard has answered as applied is in every later view of it, whatever crashed since.

use tributary_proto::ShardId;

use super::{Violation, violated};
use crate::oracle::Tally;

/// `acked`: the slices that were answered before the view of `held` was taken.
pub(crate) fn acked_slices_stay(
    shard: ShardId,
    held: &Tally,
    acked: &Tally,
) -> Result<(), Violation> {
    match held.falls_short_of(acked) {
        None => Ok(()),
        Some(what) => violated("acked slices stay", format!("shard {shard}: {what}")),
    }
}
