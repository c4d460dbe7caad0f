//! The open windows of one source: what its requests added and no seal has taken.
//!
//! Remembers the first journal record that is still in here, since the journal must keep everything
//! from there on.

use std::collections::BTreeMap;

use tributary_spanmetrics::{Content, WindowEnd};
use tributary_store::log::Index;

use crate::record::Scope;

#[derive(Debug, Default)]
pub(crate) struct OpenWindows {
    content: Content,
    /// The first record that added to a window, by window.
    first: BTreeMap<WindowEnd, Index>,
    first_with_samples: Option<Index>,
}

/// What a seal took, and the first record that it needs to be derived again.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) content: Content,
    pub(crate) needs_from: Index,
}

impl OpenWindows {
    pub(crate) fn is_empty(&self) -> bool {
        self.content.is_empty()
    }

    /// The first record that still has something in here.
    pub(crate) fn needs_from(&self) -> Option<Index> {
        self.first.values().copied().chain(self.first_with_samples).min()
    }

    /// Adds a record. Records come in journal order.
    pub(crate) fn merge(&mut self, at: Index, content: Content) {
        for end in content.window_ends() {
            self.first.entry(end).or_insert(at);
        }
        if content.has_samples() {
            self.first_with_samples.get_or_insert(at);
        }
        self.content.merge(content);
    }

    pub(crate) fn would_take(&self, scope: Scope, sealed_to_ms: i64) -> bool {
        self.first_with_samples.is_some()
            || self.first.keys().any(|end| takes(scope, sealed_to_ms, *end))
    }

    /// Takes what a seal takes; `None` where that is nothing.
    pub(crate) fn take(&mut self, scope: Scope, sealed_to_ms: i64) -> Option<Taken> {
        let content = self.content.take(|end| takes(scope, sealed_to_ms, end));
        let windows = self.first.extract_if(.., |end, _| takes(scope, sealed_to_ms, *end));
        let needs_from =
            windows.map(|(_, first)| first).chain(self.first_with_samples.take()).min()?;
        Some(Taken { content, needs_from })
    }
}

fn takes(scope: Scope, sealed_to_ms: i64, end: WindowEnd) -> bool {
    match scope {
        Scope::Whole => true,
        Scope::Ended { ahead_ms } => {
            end.0 <= sealed_to_ms || end.0 > sealed_to_ms.saturating_add(ahead_ms)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tributary_spanmetrics::{Delta, Group, GroupContent, Labels, Layout, Tenant};

    fn content(ends: &[i64]) -> Content {
        let (tenant, layout) = (Tenant::default(), Layout::default());
        let group = Group {
            service: "a".into(),
            span_name: "b".into(),
            kind: Default::default(),
            status: Default::default(),
            dimensions: Labels::default(),
            external: Labels::default(),
        };
        let windows = ends.iter().map(|end| (WindowEnd(*end), Delta::empty(&layout))).collect();
        let mut content = Content::default();
        let of_layout = content.tenant(&tenant).layout(layout.id(), &layout);
        of_layout.groups.insert(group.id(&tenant), GroupContent { group, windows });
        content
    }

    const ENDED: Scope = Scope::Ended { ahead_ms: 30_000 };

    #[test]
    fn a_seal_takes_what_ended_and_what_is_far_ahead() {
        let mut open = OpenWindows::default();
        open.merge(Index(5), content(&[10_000, 20_000]));
        open.merge(Index(6), content(&[20_000, 30_000, 600_000]));
        let taken = open.take(ENDED, 20_000).expect("something ended");
        assert_eq!(taken.needs_from, Index(5));
        let mut ends: Vec<_> = taken.content.window_ends().map(|end| end.0).collect();
        ends.dedup();
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
        open.merge(Index(3), with_sample);
        assert_eq!(open.needs_from(), Some(Index(3)));
        let taken = open.take(ENDED, 0).expect("a sample waits");
        assert!(taken.content.has_samples() && open.is_empty());
    }
}
