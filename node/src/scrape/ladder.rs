//! The bounds of a histogram, and what lies at or below each.
//!
//! A group that was counted by several layouts is one histogram over all their bounds, each layout
//! counting at its greatest bound at or below `le`: as the API has it.

use std::collections::{BTreeMap, BTreeSet};

use tributary_edge::GroupTotals;
use tributary_spanmetrics::{Layout, LayoutId, Naming};

/// Made once for all groups of the same layouts, since the texts take longer than the sums.
#[derive(Debug, Default)]
pub(super) struct Ladder {
    layouts: Vec<LayoutId>,
    /// Each bound's `le`, and how many of each layout's buckets lie at or below it.
    steps: Vec<(String, Vec<usize>)>,
}

impl Ladder {
    /// Changes to the layouts of this group, if they are others.
    pub(super) fn fit(
        &mut self,
        row: &GroupTotals,
        layouts: &BTreeMap<LayoutId, Layout>,
        naming: &Naming,
    ) {
        if row.by_layout.iter().map(|(id, _)| id).eq(&self.layouts) {
            return;
        }
        self.layouts = row.by_layout.iter().map(|(id, _)| *id).collect();
        let of: Vec<_> = self.layouts.iter().map(|id| &layouts[id]).collect();
        let bounds: BTreeSet<u64> =
            of.iter().flat_map(|layout| layout.bounds_ns()).copied().collect();
        let at_or_below = |bound: Option<u64>| match bound {
            Some(bound) => {
                let below = |layout: &&Layout| layout.bounds_ns().partition_point(|b| *b <= bound);
                of.iter().map(below).collect()
            }
            None => of.iter().map(|layout| layout.buckets()).collect(),
        };
        let bounds = bounds.into_iter().map(Some).chain([None]);
        self.steps = bounds.map(|bound| (naming.le(bound), at_or_below(bound))).collect();
    }

    /// Each bound's `le` with the units of the group at or below it. The ladder fits the group.
    pub(super) fn steps<'a>(
        &'a self,
        row: &'a GroupTotals,
    ) -> impl Iterator<Item = (&'a str, u128)> {
        let mut from = vec![0; self.layouts.len()];
        let mut units = 0;
        self.steps.iter().map(move |(le, at_or_below)| {
            for (((_, delta), from), &to) in row.by_layout.iter().zip(&mut from).zip(at_or_below) {
                units += delta.buckets[*from..to].iter().copied().map(u128::from).sum::<u128>();
                *from = to;
            }
            (le.as_str(), units)
        })
    }
}

#[cfg(test)]
mod tests {
    use tributary_spanmetrics::{Delta, Group, GroupId, Labels};

    use super::*;

    fn row(by_layout: Vec<(&Layout, &[u64])>) -> (GroupTotals, BTreeMap<LayoutId, Layout>) {
        let layouts =
            by_layout.iter().map(|(layout, _)| (layout.id(), (*layout).clone())).collect();
        let group = Group {
            service: "cart".into(),
            span_name: "GET /".into(),
            kind: Default::default(),
            status: Default::default(),
            dimensions: Labels::default(),
            external: Labels::default(),
        };
        let by_layout = by_layout.into_iter().map(|(layout, buckets)| {
            let delta = Delta { buckets: buckets.into(), ..Delta::default() };
            (layout.id(), delta)
        });
        (GroupTotals { id: GroupId(1), group, by_layout: by_layout.collect() }, layouts)
    }

    fn steps(ladder: &mut Ladder, by_layout: Vec<(&Layout, &[u64])>) -> Vec<(String, u128)> {
        let (row, layouts) = row(by_layout);
        ladder.fit(&row, &layouts, &Naming::default());
        ladder.steps(&row).map(|(le, units)| (le.to_owned(), units)).collect()
    }

    #[test]
    fn layouts_are_united_each_at_its_greatest_bound_at_or_below() {
        let of = |bounds: &[u64]| {
            let bounds = bounds.iter().map(|ms| ms * 1_000_000).collect();
            Layout::explicit(10_000, bounds).expect("valid")
        };
        let (a, b) = (of(&[1, 10]), of(&[5, 10, 20]));
        let mut ladder = Ladder::default();
        let le = |expected: &[(&str, u128)]| -> Vec<_> {
            expected.iter().map(|(le, units)| ((*le).to_owned(), *units)).collect()
        };
        let alone = steps(&mut ladder, vec![(&a, &[1, 2, 4])]);
        assert_eq!(alone, le(&[("1", 1), ("10", 3), ("+Inf", 7)]));
        let both = steps(&mut ladder, vec![(&a, &[1, 2, 4]), (&b, &[10, 20, 40, 80])]);
        assert_eq!(both, le(&[("1", 1), ("5", 11), ("10", 33), ("20", 73), ("+Inf", 157)]));
        let other = steps(&mut ladder, vec![(&b, &[u64::MAX, u64::MAX, 0, 0])]);
        let twice = 2 * u128::from(u64::MAX);
        let expected = le(&[("5", u64::MAX.into()), ("10", twice), ("20", twice), ("+Inf", twice)]);
        assert_eq!(other, expected);
    }
}
