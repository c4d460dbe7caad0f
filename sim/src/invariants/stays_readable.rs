//! No crash leaves rows that a later life cannot read.

use tributary_proto::ShardId;
use tributary_store::disk::DiskError;

use super::Violation;

pub(crate) fn stays_readable(shard: ShardId, error: &DiskError) -> Violation {
    Violation { invariant: "a shard stays readable", seen: format!("shard {shard}: {error}") }
}
