//! Percentiles of what was measured, and medians of those.

use std::time::Duration;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Latency {
    pub(super) samples: usize,
    pub(super) p50: Duration,
    pub(super) p99: Duration,
    pub(super) max: Duration,
}

impl Latency {
    pub(super) fn of(mut samples: Vec<Duration>) -> Latency {
        samples.sort_unstable();
        Latency {
            samples: samples.len(),
            p50: at(&samples, 50),
            p99: at(&samples, 99),
            max: at(&samples, 100),
        }
    }
}

/// The least sample that so many hundredths do not exceed; zero of none.
fn at(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

/// The middle one; of an even number the worse of the two in the middle.
pub(super) fn median(values: impl IntoIterator<Item = Duration>) -> Option<Duration> {
    let mut values: Vec<_> = values.into_iter().collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(values: impl IntoIterator<Item = u64>) -> Vec<Duration> {
        values.into_iter().map(Duration::from_millis).collect()
    }

    #[test]
    fn a_percentile_is_a_sample() {
        let latency = Latency::of(ms((1..=200).rev()));
        let found = [latency.p50, latency.p99, latency.max].map(|found| found.as_millis());
        assert_eq!(found, [100, 198, 200]);
        assert_eq!(Latency::of(Vec::new()), Latency::default());
    }

    #[test]
    fn a_median_never_flatters() {
        assert_eq!(median(ms([9, 1, 5])), Some(Duration::from_millis(5)));
        assert_eq!(median(ms([9, 1])), Some(Duration::from_millis(9)));
        assert_eq!(median(ms([])), None);
    }
}
