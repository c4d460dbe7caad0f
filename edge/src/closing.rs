//! Old sources that are being closed, with the shards that have not answered yet.

use std::collections::{BTreeMap, BTreeSet};

use tributary_proto::{ShardId, SourceId};

#[derive(Debug, Default)]
pub(crate) struct Closing {
    waiting: BTreeMap<SourceId, BTreeSet<ShardId>>,
}

/// How far the closing of a source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    NotBegun,
    UnderWay,
    /// Every shard has closed it.
    Answered,
}

impl Closing {
    pub(crate) fn stage(&self, source: SourceId) -> Stage {
        match self.waiting.get(&source) {
            None => Stage::NotBegun,
            Some(waiting) if waiting.is_empty() => Stage::Answered,
            Some(_) => Stage::UnderWay,
        }
    }

    /// Each of the shards was told.
    pub(crate) fn begin(&mut self, source: SourceId, shards: u16) {
        self.waiting.insert(source, (0..shards).map(ShardId).collect());
    }

    /// Whether anybody waits for the answer.
    pub(crate) fn answered(&mut self, source: SourceId, shard: ShardId) -> bool {
        let waiting = self.waiting.get_mut(&source);
        waiting.map(|waiting| waiting.remove(&shard)).is_some()
    }

    /// That it is closed is on disk.
    pub(crate) fn end(&mut self, source: SourceId) {
        self.waiting.remove(&source);
    }
}
