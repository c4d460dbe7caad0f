//! The quantile of one classic histogram at one moment.
//!
//! After Prometheus's `BucketQuantile`: within a bucket, observations are taken to be spread evenly;
//! the lowest bucket begins at zero if it ends above; what lies in the last bucket is only known to
//! be above the greatest bound.

/// Counts that differ by less than this, relative to their sum, are taken to be equal: they come from
/// sums of floats.
const SMALL_DIFFERENCE: f64 = 1e-12;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bucket {
    pub(crate) upper: f64,
    /// Of observations up to the bound.
    pub(crate) count: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Quantile {
    pub(crate) value: f64,
    /// Whether a count was less than that of a lower bucket.
    pub(crate) forced_monotonic: bool,
}

/// The buckets come sorted by their bounds and are changed on the way.
pub(crate) fn bucket_quantile(q: f64, buckets: &mut Vec<Bucket>) -> Quantile {
    let plain = |value| Quantile { value, forced_monotonic: false };
    if q.is_nan() {
        return plain(f64::NAN);
    }
    if q < 0.0 {
        return plain(f64::NEG_INFINITY);
    }
    if q > 1.0 {
        return plain(f64::INFINITY);
    }
    if buckets.last().is_none_or(|last| last.upper != f64::INFINITY) {
        return plain(f64::NAN);
    }
    // Bounds written differently, such as 1 and 1.0, are one.
    buckets.dedup_by(|next, kept| {
        let same = next.upper == kept.upper;
        kept.count += if same { next.count } else { 0.0 };
        same
    });
    let forced_monotonic = make_monotonic(buckets);
    Quantile { value: interpolated(q, buckets), forced_monotonic }
}

fn interpolated(q: f64, buckets: &[Bucket]) -> f64 {
    let [below @ .., last] = buckets else {
        return f64::NAN;
    };
    let Some(highest) = below.last() else {
        return f64::NAN;
    };
    if last.count == 0.0 {
        return f64::NAN;
    }
    let rank = q * last.count;
    // A count can be NaN, and then reaches no rank.
    let reaches = |bucket: &Bucket| bucket.count >= rank;
    let at = below.partition_point(|bucket| !reaches(bucket));
    let Some(bucket) = below.get(at) else {
        return highest.upper;
    };
    match at.checked_sub(1).map(|before| below[before]) {
        None if bucket.upper <= 0.0 => bucket.upper,
        None => bucket.upper * (rank / bucket.count),
        Some(before) => {
            let share = (rank - before.count) / (bucket.count - before.count);
            before.upper + (bucket.upper - before.upper) * share
        }
    }
}

/// Raises counts that are less than a lower bucket's. Answers whether a difference was large enough
/// to be told.
fn make_monotonic(buckets: &mut [Bucket]) -> bool {
    let mut forced = false;
    let Some((first, rest)) = buckets.split_first_mut() else {
        return forced;
    };
    let mut greatest = first.count;
    for bucket in rest {
        if bucket.count == greatest {
            continue;
        }
        if nearly_equal(greatest, bucket.count) {
            bucket.count = greatest;
        } else if bucket.count < greatest {
            bucket.count = greatest;
            forced = true;
        } else {
            greatest = bucket.count;
        }
    }
    forced
}

fn nearly_equal(a: f64, b: f64) -> bool {
    if a.is_nan() && b.is_nan() || a == b {
        return true;
    }
    let (sum, difference) = (a.abs() + b.abs(), (a - b).abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < SMALL_DIFFERENCE * f64::MIN_POSITIVE;
    }
    // Most counts differ by far more; only those near the limit are worth the division.
    difference < 2.0 * SMALL_DIFFERENCE * sum && difference / sum.min(f64::MAX) < SMALL_DIFFERENCE
}

#[cfg(test)]
mod tests {
    use super::*;

    const INF: f64 = f64::INFINITY;

    fn quantile(q: f64, buckets: &[(f64, f64)]) -> Quantile {
        let mut buckets =
            buckets.iter().map(|&(upper, count)| Bucket { upper, count }).collect::<Vec<_>>();
        bucket_quantile(q, &mut buckets)
    }

    fn value(q: f64, buckets: &[(f64, f64)]) -> f64 {
        quantile(q, buckets).value
    }

    #[test]
    fn ranks_are_interpolated_within_their_bucket() {
        let buckets = [(1.0, 10.0), (2.0, 20.0), (INF, 20.0)];
        assert_eq!(value(0.25, &buckets), 0.5);
        assert_eq!(value(0.75, &buckets), 1.5);
        assert_eq!(value(1.0, &buckets), 2.0);
        assert_eq!(value(0.5, &[(-1.0, 10.0), (INF, 10.0)]), -1.0);
    }

    #[test]
    fn ranks_above_the_greatest_bound_answer_that_bound() {
        assert_eq!(value(0.9, &[(1.0, 1.0), (2.0, 2.0), (INF, 10.0)]), 2.0);
    }

    #[test]
    fn quantiles_outside_of_zero_to_one_are_infinite() {
        let buckets = [(1.0, 1.0), (INF, 2.0)];
        assert_eq!(value(-0.1, &buckets), -INF);
        assert_eq!(value(1.1, &buckets), INF);
        assert!(value(f64::NAN, &buckets).is_nan());
    }

    #[test]
    fn histograms_without_observations_or_without_infinity_have_none() {
        assert!(value(0.5, &[(1.0, 0.0), (INF, 0.0)]).is_nan());
        assert!(value(0.5, &[(1.0, 1.0), (2.0, 2.0)]).is_nan());
        assert!(value(0.5, &[(INF, 2.0)]).is_nan());
        assert!(value(0.5, &[]).is_nan());
        assert!(value(0.5, &[(1.0, f64::NAN), (INF, f64::NAN)]) == 1.0);
    }

    #[test]
    fn falling_counts_are_raised_and_told_unless_tiny() {
        let fell = quantile(0.5, &[(1.0, 10.0), (2.0, 8.0), (INF, 20.0)]);
        assert_eq!(fell, Quantile { value: 1.0, forced_monotonic: true });
        let tiny = quantile(0.5, &[(1.0, 10.0), (2.0, 10.0 - 1e-14), (INF, 20.0)]);
        assert_eq!(tiny, Quantile { value: 1.0, forced_monotonic: false });
    }

    #[test]
    fn the_same_bound_twice_adds_up() {
        let buckets = [(1.0, 5.0), (1.0, 5.0), (2.0, 20.0), (INF, 20.0)];
        assert_eq!(value(0.25, &buckets), 0.5);
    }
}
