//! What an edge knows of its sources and seals: the journal, read in order.
//!
//! The same steps run live and at replay, so a restart derives the same slices under the same names. No
//! IO, no clock.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use tributary_proto::{Digest, Seq, ShardId, Slice, SourceId};
use tributary_spanmetrics::codec::{DecodeError, Reader, Writer};
use tributary_spanmetrics::{
    Content, Gathered, GroupNumber, Groups, Layout, LayoutId, Partial, Slot, Totals, WindowEnd,
};
use tributary_store::log::Index;
use xxhash_rust::xxh3::xxh3_128;

use crate::record::{Define, Defined, Numbers, Record, Request, Scope, Seal};
use crate::windows::OpenWindows;

#[derive(Debug)]
pub(crate) struct Ledger {
    shards: u16,
    groups: Arc<Groups>,
    layouts: BTreeMap<LayoutId, Layout>,
    sources: BTreeMap<SourceId, Source>,
    /// What a replay has read of the numbers that a source's requests name.
    defined: HashMap<(SourceId, GroupNumber), Slot>,
    /// Seals whose slices are not all answered, by their place in the journal.
    unsettled: BTreeMap<Index, Unsettled>,
    /// Seals taken in so far.
    seals: u64,
}

#[derive(Debug, Default)]
struct Source {
    open: OpenWindows,
    numbers: Numbers,
    totals: Totals,
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
    pub(crate) fn new(shards: u16, groups: Arc<Groups>) -> Self {
        Ledger {
            shards,
            groups,
            layouts: BTreeMap::new(),
            sources: BTreeMap::new(),
            defined: HashMap::new(),
            unsettled: BTreeMap::new(),
            seals: 0,
        }
    }

    /// Takes in the record at `at`; a seal answers its slices. An error is of a request that names what
    /// no record before it defines.
    pub(crate) fn take_in(
        &mut self,
        at: Index,
        record: Record,
    ) -> Result<Option<Sealed>, DecodeError> {
        match record {
            Record::Boot { source } => {
                self.source(source);
            }
            Record::Define(define) => self.define(define),
            Record::Request(request) => {
                let partial = self.partial(&request)?;
                self.merge(at, request.head.source, &partial);
            }
            Record::Samples { source, content } => self.merge_samples(at, source, content),
            Record::Seal(seal) => return Ok(Some(self.seal(at, &seal))),
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
        Ok(None)
    }

    /// A replay is over: from here on requests come with their slots.
    pub(crate) fn forget_definitions(&mut self) {
        self.defined = HashMap::new();
    }

    /// A layout that requests will have.
    pub(crate) fn know(&mut self, layout: &Layout) {
        self.layouts.entry(layout.id()).or_insert_with(|| layout.clone());
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

    /// The first record that is still needed. The last note of a settled seal always is: without it, and
    /// with no seal behind it, a restart would number slices from one again.
    pub(crate) fn needs_from(&self, settled_at: Index) -> Index {
        let open = self.sources.values().filter_map(|source| source.open.needs_from());
        let unsettled = self.unsettled.values().map(|seal| seal.needs_from);
        open.chain(unsettled).fold(settled_at, Index::min)
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

    pub(crate) fn merge(&mut self, at: Index, source: SourceId, partial: &Partial) {
        self.source(source);
        let layout = self.layouts.get(&partial.layout).expect("known before its first request");
        let known = self.sources.get_mut(&source).expect("made above");
        known.open.merge(at, layout, partial);
    }

    pub(crate) fn merge_samples(&mut self, at: Index, source: SourceId, samples: Content) {
        self.source(source).open.merge_samples(at, samples);
    }

    /// What a source's groups got since its process started: what is sealed, and what is open.
    pub(crate) fn totals(&self, source: SourceId) -> Option<(&Totals, &Gathered)> {
        self.sources.get(&source).map(|known| (&known.totals, known.open.gathered()))
    }

    pub(crate) fn layouts(&self) -> &BTreeMap<LayoutId, Layout> {
        &self.layouts
    }

    /// Deltas in open windows, and the bytes that they hold.
    pub(crate) fn open(&self) -> (usize, usize) {
        let open = self.sources.values().map(|known| known.open.gathered());
        open.fold((0, 0), |(deltas, bytes), of| (deltas + of.len(), bytes + of.bytes()))
    }

    pub(crate) fn totals_bytes(&self) -> usize {
        self.sources.values().map(|known| known.totals.bytes()).sum()
    }

    /// Lets go of the groups that have had nothing since `before`; answers how many.
    pub(crate) fn retire(&mut self, before: WindowEnd) -> usize {
        let mut used = BTreeSet::new();
        for known in self.sources.values_mut() {
            used.extend(known.open.gathered().slots());
            known.totals.forget_before(before, |slot| used.contains(&slot));
        }
        let sources = &self.sources;
        self.groups.retire(|slot| {
            used.contains(&slot) || sources.values().any(|known| known.totals.has(slot))
        })
    }

    fn define(&mut self, define: Define) {
        let Define { source, layouts, groups } = define;
        layouts.iter().for_each(|layout| self.know(layout));
        for Defined { number, tenant, group } in groups {
            let mut w = Writer::new();
            group.encode(&mut w);
            let encoded = w.into_bytes();
            let wanted = [(group.id(&tenant), &encoded[..])];
            let defined = &mut self.defined;
            self.groups.intern_all(&tenant, wanted.into_iter(), |_, interned| {
                defined.insert((source, number), interned.slot);
            });
        }
    }

    fn partial(&self, request: &Request) -> Result<Partial, DecodeError> {
        let mut r = Reader::new(&request.partial);
        let buckets = |layout| self.layouts.get(&layout).map(Layout::buckets);
        let source = request.head.source;
        let slot = |number| self.defined.get(&(source, number)).copied();
        let partial = Partial::decode(&mut r, buckets, slot)?;
        r.finish()?;
        Ok(partial)
    }

    fn seal(&mut self, at: Index, seal: &Seal) -> Sealed {
        let known = self.source(seal.source);
        known.numbers.clone_from(&seal.numbers);
        let Some(taken) = known.open.take(seal.scope, seal.sealed_to_ms) else {
            return Sealed::default();
        };
        let payloads = taken.gathered.slices(taken.samples, self.shards, &self.groups);
        let known = self.source(seal.source);
        known.totals.add(&taken.gathered, WindowEnd(seal.sealed_to_ms));
        let slices: Vec<_> = payloads
            .into_iter()
            .map(|(shard, payload)| {
                let number = &mut known.numbers[usize::from(shard)];
                *number = number.next();
                Slice {
                    source: seal.source,
                    shard: ShardId(shard),
                    seq: *number,
                    digest: Digest(xxh3_128(&payload)),
                    sealed_to_ms: seal.sealed_to_ms,
                    payload: Bytes::from(payload),
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
