//! Once a shard has answered that a source is closed it counts nothing in its name, and no promise of
//! it holds completeness, whatever crashes.

use bytes::Bytes;
use tributary_proto::{Answer, Digest, Entry, OfferError, Seq, ShardId, Slice, SourceId};
use tributary_store::{StoreHandle, View};

use super::{Observed, Violation, violated};

const NAME: &str = "a closed source stays closed";

pub(super) fn judge(
    was_closed: bool,
    shard: ShardId,
    entry: &Entry,
    answer: &Result<Answer, OfferError>,
) -> Result<(), Violation> {
    let source = entry.source();
    match (entry, answer) {
        _ if !was_closed => Ok(()),
        (_, Ok(Answer::Closed)) | (Entry::Close { .. }, Ok(Answer::Duplicate)) => Ok(()),
        (_, Err(error)) if error.is_retryable() => Ok(()),
        _ => violated(NAME, format!("shard {shard} answers {answer:?} in the name of {source}")),
    }
}

/// No view names a closed source among the live. `closed` was known before the view was taken.
pub(crate) fn closed_is_not_live(
    closed: &std::collections::BTreeSet<(ShardId, SourceId)>,
    shard: ShardId,
    view: &View,
) -> Result<(), Violation> {
    for (source, _) in view.completeness().live.iter() {
        if closed.contains(&(shard, *source)) {
            return violated(NAME, format!("shard {shard} has {source} among the live"));
        }
    }
    Ok(())
}

/// A further slice in the name of each closed source is refused.
pub(crate) async fn closed_refuses_slices(
    observed: &Observed,
    store: &StoreHandle,
) -> Result<(), Violation> {
    for (shard, source) in observed.closed() {
        let slice = Slice {
            source,
            shard,
            seq: Seq(1),
            digest: Digest(0),
            sealed_to_ms: 0,
            payload: Bytes::new(),
        };
        // What comes of it is judged as everything on the wire is.
        let _ = observed.offer(store, shard, Entry::Slice(slice)).await;
    }
    observed.check()
}
