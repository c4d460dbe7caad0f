//! One group, window after window.

use super::law::Law;
use super::shape::{BOUNDS_MS, Shape, WINDOW_MS};
use crate::rng::Rng;

/// What happened to a group in a window; without calls, nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delta {
    pub count: u64,
    /// Each call's duration, rounded half up to a µs.
    pub sum_us: u64,
    /// Not cumulative: a call counts at the first bound that holds it. The last is the one without a bound.
    pub buckets: Vec<u64>,
}

/// The windows of a shape with what is in them, by their ends.
pub struct History {
    law: Law,
    rng: Rng,
    bounds_ns: [u64; BOUNDS_MS.len()],
    next_end_ms: i64,
    last_end_ms: i64,
}

impl History {
    pub fn of(shape: &Shape, group: usize) -> Self {
        let mut rng = Rng::scattered(Rng::scattered(shape.seed).next() ^ group as u64);
        History {
            law: Law::draw(shape.variant, &mut rng),
            rng,
            bounds_ns: BOUNDS_MS.map(|ms| ms * 1_000_000),
            next_end_ms: shape.start_ms() + WINDOW_MS,
            last_end_ms: shape.end_ms(),
        }
    }

    fn window(&mut self, end_ms: i64) -> Delta {
        let mut delta = Delta::none();
        for _ in 0..self.law.calls(end_ms, &mut self.rng) {
            delta.observe(self.law.duration_ns(&mut self.rng), &self.bounds_ns);
        }
        delta
    }
}

impl Iterator for History {
    type Item = (i64, Delta);

    fn next(&mut self) -> Option<Self::Item> {
        let end_ms = self.next_end_ms;
        if end_ms > self.last_end_ms {
            return None;
        }
        self.next_end_ms += WINDOW_MS;
        Some((end_ms, self.window(end_ms)))
    }
}

impl Delta {
    pub fn none() -> Self {
        Delta { count: 0, sum_us: 0, buckets: vec![0; BOUNDS_MS.len() + 1] }
    }

    pub fn add(&mut self, other: &Delta) {
        self.count += other.count;
        self.sum_us += other.sum_us;
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine += theirs;
        }
    }

    pub fn used_buckets(&self) -> usize {
        self.buckets.iter().filter(|calls| **calls > 0).count()
    }

    fn observe(&mut self, duration_ns: u64, bounds_ns: &[u64]) {
        self.count += 1;
        self.sum_us += duration_ns.saturating_add(500) / 1000;
        self.buckets[bounds_ns.partition_point(|&bound| bound < duration_ns)] += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::Variant;

    #[test]
    fn a_call_on_a_bound_counts_below_it_and_is_rounded_half_up() {
        let mut delta = Delta::none();
        for duration_ns in [2_000_000, 2_000_001, 499, 500, u64::MAX] {
            delta.observe(duration_ns, &BOUNDS_MS.map(|ms| ms * 1_000_000));
        }
        assert_eq!((delta.count, &delta.buckets[..2]), (5, &[3, 1][..]));
        assert_eq!(delta.sum_us, 2_000 + 2_000 + 1 + u64::MAX / 1000);
        assert_eq!((delta.buckets[16], delta.used_buckets()), (1, 3));
    }

    #[test]
    fn the_same_seed_gives_the_same_values_and_another_gives_others() {
        let shape = Shape { groups: 2, hours: 1, seed: 7, variant: Variant::Full };
        let values = |shape: &Shape, group| History::of(shape, group).collect::<Vec<_>>();
        assert_eq!(values(&shape, 1), values(&shape, 1));
        assert_ne!(values(&shape, 0), values(&shape, 1));
        assert_ne!(values(&shape, 1), values(&Shape { seed: 8, ..shape.clone() }, 1));
        assert_eq!(values(&shape, 1).len(), 240);
    }
}
