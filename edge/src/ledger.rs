//! What an edge knows of its sources and seals: the journal, read in order.
//!
//! The same steps run live and at replay, so a restart derives the same slices under the same names. No
//! IO, no clock.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use tributary_proto::{Digest, Seq, ShardId, Slice, SourceId};
use tributary_spanmetrics::Content;
use tributary_store::log::Index;

use crate::record::{Numbers, Record, Scope, Seal};
use crate::windows::OpenWindows;

#[derive(Debug)]
pub(crate) struct Ledger {
    shards: u16,
    sources: BTreeMap<SourceId, Source>,
    /// Seals whose slices are not all answered, by their place in the journal.
    unsettled: BTreeMap<Index, Unsettled>,
    /// Seals taken in so far.
    seals: u64,
}

#[derive(Debug, Default)]
struct Source {
    open: OpenWindows,
    numbers: Numbers,
}

#[derive(Debug)]
struct Unsettled {
    source: SourceId,
    /// Which of the seals it is.
    number: u64,
    needs_from: Index,
    waiting_for: BTreeSet<ShardId>,
}

/// What a seal has for the shards; those without a slice get its promise alone.
#[derive(Debug, Default)]
pub(crate) struct Sealed {
    pub(crate) slices: Vec<Slice>,
}

impl Ledger {
    pub(crate) fn new(shards: u16) -> Self {
        Ledger { shards, sources: BTreeMap::new(), unsettled: BTreeMap::new(), seals: 0 }
    }

    /// Takes in the record at `at`; a seal answers its slices.
    pub(crate) fn take_in(&mut self, at: Index, record: Record) -> Option<Sealed> {
        match record {
            Record::Boot { source } => {
                self.source(source);
            }
            Record::Request(request) => self.merge(at, request.source, request.content),
            Record::Seal(seal) => return Some(self.seal(at, &seal)),
            Record::Settled { seal, sources } => {
                self.unsettled.remove(&seal);
                for (source, numbers) in sources {
                    self.source(source).numbers = numbers;
                }
            }
            Record::Closed { source } => {
                self.sources.remove(&source);
            }
        }
        None
    }

    /// The record that would seal a source, if there is anything to take.
    pub(crate) fn prepare_seal(
        &self,
        source: SourceId,
        scope: Scope,
        sealed_to_ms: i64,
    ) -> Option<Seal> {
        let known = self.sources.get(&source)?;
        known.open.would_take(scope, sealed_to_ms).then(|| Seal {
            source,
            scope,
            sealed_to_ms,
            numbers: known.numbers.clone(),
        })
    }

    /// A shard has answered a slice; true when that was the last of its seal.
    pub(crate) fn answered(&mut self, seal: Index, shard: ShardId) -> bool {
        let Some(unsettled) = self.unsettled.get_mut(&seal) else { return false };
        unsettled.waiting_for.remove(&shard);
        unsettled.waiting_for.is_empty()
    }

    /// The record that says a seal is done with.
    pub(crate) fn settled(&self, seal: Index) -> Record {
        let sources = self.sources.iter().map(|(id, source)| (*id, source.numbers.clone()));
        Record::Settled { seal, sources: sources.collect() }
    }

    pub(crate) fn is_unsettled(&self, seal: Index) -> bool {
        self.unsettled.contains_key(&seal)
    }

    pub(crate) fn unsettled(&self) -> usize {
        self.unsettled.len()
    }

    /// The seals since the oldest that is not settled, itself included.
    pub(crate) fn backlog(&self) -> u64 {
        let oldest = self.unsettled.values().map(|seal| seal.number).min();
        oldest.map_or(0, |oldest| self.seals - oldest + 1)
    }

    /// The first record that is still needed, `end` where none is.
    pub(crate) fn needs_from(&self, end: Index) -> Index {
        let open = self.sources.values().filter_map(|source| source.open.needs_from());
        let unsettled = self.unsettled.values().map(|seal| seal.needs_from);
        open.chain(unsettled).min().unwrap_or(end)
    }

    /// Sources other than `current`.
    pub(crate) fn old_sources_of(&self, current: Option<SourceId>) -> Vec<SourceId> {
        self.sources.keys().copied().filter(|source| Some(*source) != current).collect()
    }

    /// Whether everything of the source is durable in the shards.
    pub(crate) fn is_drained(&self, source: SourceId) -> bool {
        let open = self.sources.get(&source).is_some_and(|known| !known.open.is_empty());
        !open && self.unsettled.values().all(|seal| seal.source != source)
    }

    /// The last seq given to a shard.
    pub(crate) fn last(&self, source: SourceId, shard: ShardId) -> Seq {
        let numbers = self.sources.get(&source).map(|known| &known.numbers);
        numbers.and_then(|numbers| numbers.get(usize::from(shard.0))).copied().unwrap_or_default()
    }

    pub(crate) fn merge(&mut self, at: Index, source: SourceId, content: Content) {
        self.source(source).open.merge(at, content);
    }

    fn seal(&mut self, at: Index, seal: &Seal) -> Sealed {
        let known = self.source(seal.source);
        known.numbers.clone_from(&seal.numbers);
        let Some(taken) = known.open.take(seal.scope, seal.sealed_to_ms) else {
            return Sealed::default();
        };
        let shards = self.shards;
        let known = self.source(seal.source);
        let slices: Vec<_> = taken
            .content
            .by_shard(shards)
            .into_iter()
            .map(|(shard, content)| {
                let number = &mut known.numbers[usize::from(shard)];
                *number = number.next();
                Slice {
                    source: seal.source,
                    shard: ShardId(shard),
                    seq: *number,
                    digest: Digest(content.digest()),
                    sealed_to_ms: seal.sealed_to_ms,
                    payload: Bytes::from(content.encode()),
                }
            })
            .collect();
        self.seals += 1;
        let unsettled = Unsettled {
            source: seal.source,
            number: self.seals,
            needs_from: taken.needs_from,
            waiting_for: slices.iter().map(|slice| slice.shard).collect(),
        };
        self.unsettled.insert(at, unsettled);
        Sealed { slices }
    }

    fn source(&mut self, source: SourceId) -> &mut Source {
        let shards = usize::from(self.shards);
        let known = self.sources.entry(source).or_default();
        known.numbers.resize(shards, Seq::default());
        known
    }
}

#[cfg(test)]
#[path = "ledger_test.rs"]
mod tests;
