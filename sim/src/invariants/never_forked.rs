//! One seq of a source says one thing, and a shard keeps what it acked: so no edge ever hears of a fork,
//! of a malformed slice, or that it should send something again.

use tributary_proto::{Answer, Entry, OfferError, ShardId};

use super::{Violation, violated};

const NAME: &str = "never forked";

pub(super) fn judge(
    shard: ShardId,
    entry: &Entry,
    answer: &Result<Answer, OfferError>,
) -> Result<(), Violation> {
    let source = entry.source();
    match answer {
        Ok(Answer::Forked | Answer::Resend(_)) | Err(OfferError::Malformed { .. }) => {
            violated(NAME, format!("shard {shard} answers source {source} with {answer:?}"))
        }
        _ => Ok(()),
    }
}
