//! What an edge knows of its sources and seals: the journal, read in order.
//!
//! The same steps run live and at replay, so a restart derives the same slices under the same names. No
//! IO, no clock.
//!
//! Behind damage, what the journal says is less than what was said (decision 0009). The rule is that what is
//! left never gets a later number than it had: a shard that has that number already does not count it
//! again, and one that does not have it counts it now.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tracing::warn;
use tributary_proto::{Digest, Seq, ShardId, Slice, SourceId};
use tributary_spanmetrics::codec::{DecodeError, Reader, Writer};
use tributary_spanmetrics::{
    Content, Gathered, GroupNumber, Groups, Layout, LayoutId, Partial, Slot, Totals, WindowEnd,
};
use tributary_store::log::Index;
use xxhash_rust::xxh3::xxh3_128;

use crate::record::{
    Define, Defined, Numbers, Record, Request, Scope, Seal, SourceStanding, Standing, Touched,
};
use crate::windows::{Lost, OpenWindows, Reach};

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
    running_ms: i64,
    /// Records before this place are lost.
    is_damaged: bool,
}

#[derive(Debug, Default)]
struct Source {
    open: OpenWindows,
    numbers: Numbers,
    /// Whether the numbers are those that were given, and not the zeros of a source that the journal has
    /// said nothing of yet.
    is_numbered: bool,
    /// What its last seal took, and up to where.
    sealed: Option<(Scope, i64)>,
    totals: Totals,
    touched: Touched,
    /// Its windows may have been sealed while its numbers were not known.
    is_doubtful: bool,
}

#[derive(Debug)]
struct Unsettled {
    seal: Seal,
    /// Which of the seals it is.
    number: u64,
    needs_from: Index,
    /// Slices that are not answered.
    waiting: usize,
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
            running_ms: 0,
            is_damaged: false,
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
                let known = self.source(source);
                known.is_numbered = true;
                known.touched = Touched::Not;
            }
            Record::Define(define) => self.define(define),
            Record::Request(request) => {
                let partial = self.partial(&request)?;
                self.merge(at, request.head.source, &partial);
            }
            Record::Samples { source, content } => self.merge_samples(at, source, content),
            Record::Seal(seal) => return Ok(Some(self.seal(at, &seal))),
            Record::Standing(standing) => self.stand(standing),
            Record::Closed { source } => {
                self.sources.remove(&source);
            }
        }
        Ok(None)
    }

    /// Records that stood here are lost.
    pub(crate) fn damaged(&mut self) {
        self.is_damaged = true;
        for known in self.sources.values_mut() {
            known.touched = Touched::Damaged;
            known.is_doubtful |= !known.is_numbered && !known.open.is_empty();
        }
    }

    pub(crate) fn is_damaged(&self) -> bool {
        self.is_damaged
    }

    /// The journal's end was cut off. Nobody was told of what stood there, but for damage that looks the
    /// same.
    pub(crate) fn cut(&mut self) {
        self.sources.values_mut().for_each(|known| known.touched = known.touched.max(Touched::Cut));
    }

    pub(crate) fn touched(&self, source: SourceId) -> Touched {
        self.sources.get(&source).map(|known| known.touched).unwrap_or_default()
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
            shards: known.open.shards(scope, sealed_to_ms, self.shards, &self.groups),
        })
    }

    /// One of a seal's slices is answered; true when that was the last.
    pub(crate) fn answered(&mut self, seal: Index) -> bool {
        let Some(unsettled) = self.unsettled.get_mut(&seal) else { return false };
        unsettled.waiting = unsettled.waiting.saturating_sub(1);
        unsettled.waiting == 0
    }

    /// How everything stands, but for a seal that is done with.
    pub(crate) fn standing(&self, without: Option<Index>) -> Record {
        let sources = self.sources.iter().map(|(source, known)| SourceStanding {
            source: *source,
            touched: known.touched,
            sealed: known.sealed,
            numbers: known.numbers.clone(),
        });
        let unsettled = self.unsettled.iter().filter(|(at, _)| Some(**at) != without);
        Record::Standing(Standing {
            sources: sources.collect(),
            unsettled: unsettled.map(|(at, unsettled)| (*at, unsettled.seal.clone())).collect(),
        })
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

    /// The first record that is still needed. What says how everything stands always is: without it, and
    /// with no seal behind it, a restart would number slices from one again.
    pub(crate) fn needs_from(&self, stands_at: Index) -> Index {
        let open = self.sources.values().filter_map(|source| source.open.needs_from());
        let unsettled = self.unsettled.values().map(|seal| seal.needs_from);
        open.chain(unsettled).fold(stands_at, Index::min)
    }

    /// Sources other than `current`.
    pub(crate) fn old_sources_of(&self, current: Option<SourceId>) -> Vec<SourceId> {
        self.sources.keys().copied().filter(|source| Some(*source) != current).collect()
    }

    /// Whether everything of the source is durable in the shards.
    pub(crate) fn is_drained(&self, source: SourceId) -> bool {
        let open = self.sources.get(&source).is_some_and(|known| !known.open.is_empty());
        !open && self.unsettled.values().all(|of| of.seal.source != source)
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

    /// How long the edge has run by now. Groups grow idle by it, since a clock may step.
    pub(crate) fn has_run(&mut self, running: Duration) {
        self.running_ms = whole_ms(running);
    }

    /// Lets go of the groups that have had nothing for `idle`; answers how many.
    pub(crate) fn retire(&mut self, idle: Duration) -> usize {
        let before = WindowEnd(self.running_ms.saturating_sub(whole_ms(idle)));
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
        let (mut slices, lost_from) = self.lost_before(seal);
        let running_ms = self.running_ms;
        let known = self.source(seal.source);
        let before = seal.numbers.clone();
        known.number(numbers_behind(seal));
        known.sealed = Some((seal.scope, seal.sealed_to_ms));
        let taken = known.open.take(seal.scope, seal.sealed_to_ms);
        let needs_from =
            taken.as_ref().map(|taken| taken.needs_from).into_iter().chain(lost_from).min();
        if let Some(taken) = taken {
            let payloads = taken.gathered.slices(taken.samples, self.shards, &self.groups);
            let known = self.source(seal.source);
            known.totals.add(&taken.gathered, WindowEnd(running_ms));
            for (shard, payload) in payloads {
                let shard = ShardId(shard);
                if !seal.shards.contains(&shard) {
                    warn!(%at, %shard, "a seal had nothing for a shard that it has something for now: left out");
                    continue;
                }
                let seq = before[usize::from(shard.0)].next();
                slices.push(slice(seal.source, shard, seq, seal.sealed_to_ms, payload));
            }
        }
        let Some(needs_from) = needs_from.filter(|_| !slices.is_empty()) else {
            return Sealed::default();
        };
        self.seals += 1;
        let (number, waiting) = (self.seals, slices.len());
        self.unsettled.insert(at, Unsettled { seal: seal.clone(), number, needs_from, waiting });
        Sealed { slices }
    }

    /// Takes in how everything stood; of what is not named nothing is left to do.
    fn stand(&mut self, standing: Standing) {
        let named: BTreeSet<_> = standing.sources.iter().map(|of| of.source).collect();
        self.sources.retain(|source, _| named.contains(source));
        for SourceStanding { source, touched, sealed, numbers } in standing.sources {
            let reach = sealed.and_then(|(scope, until_ms)| Some((scope.ahead_ms()?, until_ms)));
            // Every seal that is not settled was read or is named: what others took is with the shards.
            self.take_lost(source, &numbers, reach);
            let known = self.source(source);
            known.number(numbers);
            known.sealed = sealed;
            known.touched = known.touched.max(touched);
        }
        let unsettled: BTreeSet<_> = standing.unsettled.iter().map(|(at, _)| *at).collect();
        self.unsettled.retain(|at, _| unsettled.contains(at));
    }

    /// The slices of seals that are lost, as far as this seal tells of them: their first number has all
    /// that they may have taken. A shard that has it, or has none of theirs, counts exactly.
    fn lost_before(&mut self, seal: &Seal) -> (Vec<Slice>, Option<Index>) {
        let until_ms = match seal.scope {
            Scope::Again { .. } => seal.sealed_to_ms,
            Scope::Ended { .. } | Scope::Whole => seal.sealed_to_ms.saturating_sub(1),
        };
        let reach = seal.scope.ahead_ms().map(|ahead_ms| (ahead_ms, until_ms));
        let source = seal.source;
        let is_doubtful = self.source(source).is_doubtful;
        let before = self.source(source).numbers.clone();
        let Some(lost) = self.take_lost(source, &seal.numbers, reach) else {
            return Default::default();
        };
        if is_doubtful {
            return Default::default();
        }
        let payloads = lost.gathered.slices(lost.samples, self.shards, &self.groups);
        let slices = payloads.into_iter().map(|(shard, payload)| {
            let seq = before[usize::from(shard)].next();
            slice(source, ShardId(shard), seq, i64::MIN, payload)
        });
        (slices.collect(), lost.needs_from)
    }

    /// Takes out what seals that are lost may have taken, when `numbers` say that there were some.
    /// `reach`: how far ahead seals look, and up to where the last of them sealed at most.
    fn take_lost(
        &mut self,
        source: SourceId,
        numbers: &Numbers,
        reach: Option<(i64, i64)>,
    ) -> Option<Lost> {
        let (shards, groups) = (self.shards, self.groups.clone());
        let known = self.source(source);
        if known.touched < Touched::Damaged || !(known.is_numbered || known.is_doubtful) {
            return None;
        }
        let gaps = known.numbers.iter().zip(numbers).zip(0..);
        let is_doubtful = known.is_doubtful;
        let of: BTreeSet<_> = gaps
            .filter(|((known, said), _)| is_doubtful || said > known)
            .map(|(_, shard)| ShardId(shard))
            .collect();
        if of.is_empty() {
            return None;
        }
        let everything = Reach { until_ms: i64::MAX, beyond_ms: i64::MAX };
        let reach = reach.map_or(everything, |(ahead_ms, until_ms)| {
            let sealed_to_ms = known.sealed.map_or(i64::MIN, |(_, sealed_to_ms)| sealed_to_ms);
            Reach { until_ms, beyond_ms: sealed_to_ms.saturating_add(ahead_ms) }
        });
        warn!(%source, shards = of.len(), "seals of this source are lost");
        Some(known.open.take_lost(reach, &of, shards, &groups))
    }

    fn source(&mut self, source: SourceId) -> &mut Source {
        let shards = usize::from(self.shards);
        let touched = if self.is_damaged { Touched::Damaged } else { Touched::Not };
        let made = || Source { touched, ..Source::default() };
        let known = self.sources.entry(source).or_insert_with(made);
        known.numbers.resize(shards, Seq::default());
        known
    }
}

impl Source {
    fn number(&mut self, numbers: Numbers) {
        self.numbers = numbers;
        self.is_numbered = true;
        self.is_doubtful = false;
    }
}

fn whole_ms(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// The last seq given to each shard, this seal's slices included.
fn numbers_behind(seal: &Seal) -> Numbers {
    let mut numbers = seal.numbers.clone();
    for shard in &seal.shards {
        if let Some(number) = numbers.get_mut(usize::from(shard.0)) {
            *number = number.next();
        }
    }
    numbers
}

fn slice(source: SourceId, shard: ShardId, seq: Seq, sealed_to_ms: i64, payload: Vec<u8>) -> Slice {
    let digest = Digest(xxh3_128(&payload));
    Slice { source, shard, seq, digest, sealed_to_ms, payload: Bytes::from(payload) }
}

#[cfg(test)]
#[path = "ledger_test.rs"]
mod tests;
