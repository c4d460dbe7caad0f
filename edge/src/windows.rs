//! The open windows of one source: what its requests added and no seal has taken.
//!
//! Remembers the first journal record that is still in here, since the journal must keep everything
//! from there on.

use std::collections::{BTreeMap, BTreeSet};

use tributary_proto::ShardId;
use tributary_spanmetrics::{Content, Gathered, Groups, Layout, Partial, WindowEnd};
use tributary_store::log::Index;

use crate::record::Scope;

#[derive(Debug, Default)]
pub(crate) struct OpenWindows {
    gathered: Gathered,
    samples: Content,
    /// The first record that added to a window, by window.
    first: BTreeMap<WindowEnd, Index>,
    first_with_samples: Option<Index>,
}

/// What a seal took, and the first record that it needs to be derived again.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) gathered: Gathered,
    pub(crate) samples: Content,
    pub(crate) needs_from: Index,
}

/// The windows that seals may have taken of which nothing else is known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reach {
    /// Those that end no later.
    pub(crate) until_ms: i64,
    /// And those that end later than this, as far ahead.
    pub(crate) beyond_ms: i64,
}

#[derive(Debug)]
pub(crate) struct Lost {
    pub(crate) gathered: Gathered,
    pub(crate) samples: Content,
    pub(crate) needs_from: Option<Index>,
}

impl OpenWindows {
    pub(crate) fn is_empty(&self) -> bool {
        self.gathered.is_empty() && self.samples.is_empty()
    }

    pub(crate) fn gathered(&self) -> &Gathered {
        &self.gathered
    }

    /// The first record that still has something in here.
    pub(crate) fn needs_from(&self) -> Option<Index> {
        self.first.values().copied().chain(self.first_with_samples).min()
    }

    /// Adds a request. Records come in journal order.
    pub(crate) fn merge(&mut self, at: Index, layout: &Layout, partial: &Partial) {
        for end in &partial.windows {
            self.first.entry(*end).or_insert(at);
        }
        self.gathered.merge(layout, partial);
    }

    pub(crate) fn merge_samples(&mut self, at: Index, samples: Content) {
        self.first_with_samples.get_or_insert(at);
        self.samples.merge(samples);
    }

    pub(crate) fn would_take(&self, scope: Scope, sealed_to_ms: i64) -> bool {
        self.first_with_samples.is_some()
            || self.first.keys().any(|end| takes(scope, sealed_to_ms, *end))
    }

    /// The shards that have a slice in what a seal takes.
    pub(crate) fn shards(
        &self,
        scope: Scope,
        sealed_to_ms: i64,
        shards: u16,
        groups: &Groups,
    ) -> BTreeSet<ShardId> {
        let passes = |end| takes(scope, sealed_to_ms, end);
        let of_spans = self.gathered.shards(passes, shards, groups);
        of_spans.into_iter().chain(self.samples.shards(shards)).map(ShardId).collect()
    }

    /// Takes what seals that are lost may have taken for some shards. What these need stays with the
    /// windows that are left, since it may be the same.
    pub(crate) fn take_lost(
        &mut self,
        reach: Reach,
        of: &BTreeSet<ShardId>,
        shards: u16,
        groups: &Groups,
    ) -> Lost {
        let passes = |end: WindowEnd| end.0 <= reach.until_ms || end.0 > reach.beyond_ms;
        let needs_from = self.needs_from();
        let gathered = {
            let definitions = groups.read();
            let is_of = |slot| of.contains(&ShardId(definitions.get(slot).id.shard(shards)));
            self.gathered.take_slots(passes, is_of)
        };
        let (mut lost, mut left) = (Content::default(), Content::default());
        for (shard, content) in std::mem::take(&mut self.samples).by_shard(shards) {
            if of.contains(&ShardId(shard)) { &mut lost } else { &mut left }.merge(content);
        }
        self.samples = left;
        let still_open: BTreeSet<_> = self.gathered.window_ends().collect();
        self.first.retain(|end, _| still_open.contains(end));
        if self.samples.is_empty() {
            self.first_with_samples = None;
        }
        Lost { gathered, samples: lost, needs_from }
    }

    /// Takes what a seal takes; `None` where that is nothing.
    pub(crate) fn take(&mut self, scope: Scope, sealed_to_ms: i64) -> Option<Taken> {
        let gathered = self.gathered.take(|end| takes(scope, sealed_to_ms, end));
        let samples = std::mem::take(&mut self.samples);
        let windows = self.first.extract_if(.., |end, _| takes(scope, sealed_to_ms, *end));
        let needs_from =
            windows.map(|(_, first)| first).chain(self.first_with_samples.take()).min()?;
        Some(Taken { gathered, samples, needs_from })
    }
}

fn takes(scope: Scope, sealed_to_ms: i64, end: WindowEnd) -> bool {
    scope.ahead_ms().is_none_or(|ahead_ms| {
        end.0 <= sealed_to_ms || end.0 > sealed_to_ms.saturating_add(ahead_ms)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tributary_spanmetrics::{GroupNumber, Labels, Slot, Tenant};

    fn partial(ends: &[i64]) -> Partial {
        let mut partial = Partial::new(Layout::default().id());
        for end in ends {
            let window = partial.add_window(WindowEnd(*end));
            partial.add_cell(Slot(0), GroupNumber(0), window, 0, 1);
        }
        partial
    }

    fn merge(open: &mut OpenWindows, at: u64, ends: &[i64]) {
        open.merge(Index(at), &Layout::default(), &partial(ends));
    }

    const ENDED: Scope = Scope::Ended { ahead_ms: 30_000 };

    #[test]
    fn a_seal_takes_what_ended_and_what_is_far_ahead() {
        let mut open = OpenWindows::default();
        merge(&mut open, 5, &[10_000, 20_000]);
        merge(&mut open, 6, &[20_000, 30_000, 600_000]);
        let taken = open.take(ENDED, 20_000).expect("something ended");
        assert_eq!(taken.needs_from, Index(5));
        let ends: Vec<_> = taken.gathered.window_ends().map(|end| end.0).collect();
        assert_eq!(ends, [10_000, 20_000, 600_000]);
        assert_eq!(open.needs_from(), Some(Index(6)));
        assert!(!open.would_take(ENDED, 20_000) && open.take(ENDED, 20_000).is_none());
        assert!(open.take(Scope::Whole, i64::MIN).is_some());
        assert!(open.is_empty() && open.needs_from().is_none());
    }

    #[test]
    fn samples_go_with_the_next_seal() {
        let mut open = OpenWindows::default();
        let mut with_sample = Content::default();
        let tenant = Tenant::default();
        let up = Labels::from_pairs([("__name__", "up")]);
        with_sample.tenant(&tenant).sample(&tenant, up, 1, 1.0);
        open.merge_samples(Index(3), with_sample);
        assert_eq!(open.needs_from(), Some(Index(3)));
        let taken = open.take(ENDED, 0).expect("a sample waits");
        assert!(!taken.samples.is_empty() && open.is_empty());
    }
}
