//! What a feed had in it: what a store has to answer, and whether the load is what its name says.

use std::collections::BTreeMap;

use serde::Serialize;

use super::feed::Window;
use super::history::Delta;
use super::shape::{BOUNDS_MS, Shape};
use crate::spans::Catalogue;

/// Series that Prometheus keeps for a group: calls, sum, count, and the buckets.
const SERIES_A_GROUP: usize = 3 + BOUNDS_MS.len() + 1;

pub struct Survey {
    catalogue: Catalogue,
    totals: Vec<Delta>,
    windows: u64,
    end_ms: i64,
    /// (group, window) pairs since the group's first call.
    scraped: u64,
    /// (group, window) pairs with a call.
    filled: u64,
    used_buckets: u64,
    mostly_used: u64,
}

/// Shares are of the (group, window) pairs with a call.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    pub groups: usize,
    pub windows: u64,
    /// Of the last window.
    pub end_ms: i64,
    /// As scrapes of cumulative counters in every window give them, from a group's first call on.
    pub samples: u64,
    /// (group, window) pairs with a call.
    pub filled: u64,
    /// Their part of all pairs.
    pub filled_share: f64,
    /// Buckets with a call, on average.
    pub used_buckets: f64,
    /// The part in which more than half of the buckets have one.
    pub mostly_used_share: f64,
    pub calls: f64,
    pub tally: Tally,
}

/// Over everything: what the load generator's report says of its spans, in the same words.
#[derive(Clone, Debug, Serialize)]
pub struct Tally {
    pub count: u64,
    pub sum_us: u64,
    pub bounds_ms: [u64; BOUNDS_MS.len()],
    /// Not cumulative; the last is the one without a bound.
    pub buckets: Vec<u64>,
    pub services: BTreeMap<String, u64>,
}

impl Survey {
    pub fn of(shape: &Shape) -> Self {
        Survey {
            catalogue: shape.catalogue(),
            totals: vec![Delta::none(); shape.groups],
            windows: 0,
            end_ms: shape.start_ms(),
            scraped: 0,
            filled: 0,
            used_buckets: 0,
            mostly_used: 0,
        }
    }

    pub fn add(&mut self, window: &Window) {
        self.windows += 1;
        self.end_ms = window.end_ms;
        for (total, delta) in self.totals.iter_mut().zip(&window.deltas) {
            total.add(delta);
            let used = delta.used_buckets();
            self.scraped += u64::from(total.count > 0);
            self.filled += u64::from(delta.count > 0);
            self.used_buckets += used as u64;
            self.mostly_used += u64::from(2 * used > delta.buckets.len());
        }
    }

    pub fn summary(&self) -> Summary {
        let filled = self.filled as f64;
        let tally = self.tally();
        Summary {
            groups: self.totals.len(),
            windows: self.windows,
            end_ms: self.end_ms,
            samples: self.scraped * SERIES_A_GROUP as u64,
            filled: self.filled,
            filled_share: filled / (self.windows as f64 * self.totals.len() as f64),
            used_buckets: self.used_buckets as f64 / filled,
            mostly_used_share: self.mostly_used as f64 / filled,
            calls: tally.count as f64 / filled,
            tally,
        }
    }

    fn tally(&self) -> Tally {
        let mut total = Delta::none();
        let mut services = BTreeMap::new();
        for (group, of_group) in self.catalogue.groups().iter().zip(&self.totals) {
            total.add(of_group);
            *services.entry(group.service.clone()).or_default() += of_group.count;
        }
        let Delta { count, sum_us, buckets } = total;
        Tally { count, sum_us, bounds_ms: BOUNDS_MS, buckets, services }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::{Feed, Variant};

    /// A day, so that its rhythm is in it.
    fn survey(variant: Variant) -> Summary {
        let shape = Shape { groups: 20, hours: 24, seed: 1, variant };
        let mut found = Survey::of(&shape);
        Feed::of(&shape).for_each(|window| found.add(&window));
        let summary = found.summary();
        println!(
            "{variant:?}: {:.4} of the windows have calls, {:.1} each, {:.1} buckets used; {:.3} use most",
            summary.filled_share, summary.calls, summary.used_buckets, summary.mostly_used_share
        );
        summary
    }

    #[test]
    fn most_buckets_of_most_windows_are_used_where_the_load_is_full() {
        let full = survey(Variant::Full);
        assert!(full.filled_share > 0.999 && full.mostly_used_share > 0.5, "{full:?}");
        assert!(full.used_buckets > 8.5, "{full:?}");
        assert_eq!((full.windows, full.end_ms), (24 * 240, 1_790_856_000_000));
        assert_eq!(full.samples, 20 * 24 * 240 * 20);
        assert_eq!(full.tally.buckets.iter().sum::<u64>(), full.tally.count);
        assert_eq!(full.tally.services.values().sum::<u64>(), full.tally.count);
    }

    #[test]
    fn usual_windows_have_calls_in_a_good_part_of_the_buckets() {
        let usual = survey(Variant::Usual);
        assert!(usual.filled_share > 0.99, "{usual:?}");
        assert!((5.5..8.0).contains(&usual.used_buckets), "{usual:?}");
    }

    #[test]
    fn most_windows_are_empty_and_few_buckets_used_where_the_load_is_sparse() {
        let sparse = survey(Variant::Sparse);
        assert!(sparse.filled_share < 0.2 && sparse.used_buckets < 2.0, "{sparse:?}");
        // What was silent before its first call was not scraped before it.
        let all = sparse.windows * 20 * SERIES_A_GROUP as u64;
        assert!((all / 2..all).contains(&sparse.samples), "{sparse:?}");
    }
}
