//! The series that a selector reads, as the operators want them.

use std::collections::HashMap;
use std::sync::Arc;

use tributary_spanmetrics::Labels;

use crate::error::Error;
use crate::source::{MAX_HOLD_MS, Points, Series, TimeMs};

/// The value that marks where a series ended, in Prometheus's remote write and storage.
const STALE_BITS: u64 = 0x7ff0_0000_0000_0002;

#[derive(Clone, Debug)]
pub(crate) struct Samples {
    pub(crate) labels: Labels,
    pub(crate) times: Arc<[TimeMs]>,
    pub(crate) values: Vec<f64>,
    pub(crate) complete_to: Option<TimeMs>,
}

/// Checks what a source answered and sorts it by labels, so that nothing computed depends on the
/// order in which a source finds its series.
pub(crate) fn prepare(
    series: Vec<Series>,
    ignore_completeness: bool,
) -> Result<Vec<Samples>, Error> {
    let mut prepared = Vec::with_capacity(series.len());
    for Series { labels, times, points, complete_to } in series {
        let Points::Floats(values) = points else {
            return Err(Error::Unsupported(format!("the native histogram {labels}")));
        };
        if values.len() != times.len() {
            return Err(Error::Internal(format!(
                "series {labels} has {} times and {} values",
                times.len(),
                values.len()
            )));
        }
        let complete_to = complete_to.filter(|_| !ignore_completeness);
        prepared.push(Samples { labels, times, values, complete_to });
    }
    prepared.sort_by(|a, b| a.labels.cmp(&b.labels));
    match prepared.windows(2).find(|pair| pair[0].labels == pair[1].labels) {
        Some(pair) => Err(Error::Internal(format!("series {} came twice", pair[0].labels))),
        None => Ok(prepared),
    }
}

impl Samples {
    /// The moment that stands for `time`: the series may not be whole yet by then, and is taken as it
    /// last was, but no further back than [`MAX_HOLD_MS`].
    pub(crate) fn as_of(complete_to: Option<TimeMs>, time: TimeMs) -> TimeMs {
        match complete_to {
            Some(complete) if time > complete => complete.max(time - MAX_HOLD_MS),
            _ => time,
        }
    }

    pub(crate) fn has_stale_markers(&self) -> bool {
        self.values.iter().any(|&value| is_stale(value))
    }

    pub(crate) fn without_stale_markers(&self) -> Samples {
        let kept = self.times.iter().zip(&self.values).filter(|&(_, &value)| !is_stale(value));
        let (times, values): (Vec<_>, Vec<_>) = kept.map(|(&t, &v)| (t, v)).unzip();
        Samples { labels: self.labels.clone(), times: times.into(), values, ..*self }
    }
}

pub(crate) fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE_BITS
}

/// The places of the series, those with the same times one after the other: what follows from the
/// times alone is then worked out once for all of them.
pub(crate) fn by_shared_times(series: &[Samples]) -> Vec<usize> {
    let mut seen = HashMap::new();
    let classes: Vec<usize> = series
        .iter()
        .map(|s| {
            let next = seen.len();
            *seen.entry((s.times.as_ptr(), s.complete_to)).or_insert(next)
        })
        .collect();
    let mut places: Vec<usize> = (0..series.len()).collect();
    places.sort_by_key(|&place| classes[place]);
    places
}

/// Whether two series share their evaluation moments.
pub(crate) fn shares_times(a: &Samples, b: &Samples) -> bool {
    Arc::ptr_eq(&a.times, &b.times) && a.complete_to == b.complete_to
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(job: &str, times: Arc<[TimeMs]>, values: Vec<f64>) -> Series {
        let labels = Labels::from_pairs([("job", job)]);
        Series { labels, times, points: Points::Floats(values), complete_to: Some(7) }
    }

    #[test]
    fn an_incomplete_series_is_held_for_a_minute_at_most() {
        assert_eq!(Samples::as_of(None, 100_000), 100_000);
        assert_eq!(Samples::as_of(Some(90_000), 80_000), 80_000);
        assert_eq!(Samples::as_of(Some(90_000), 100_000), 90_000);
        assert_eq!(Samples::as_of(Some(10_000), 100_000), 40_000);
    }

    #[test]
    fn series_are_sorted_and_may_come_once() {
        let times: Arc<[TimeMs]> = vec![1].into();
        let one = |job| series(job, times.clone(), vec![1.0]);
        let prepared = prepare(vec![one("b"), one("a")], true).expect("distinct");
        assert_eq!(prepared[0].labels.get("job"), Some("a"));
        assert_eq!(prepared[0].complete_to, None);
        assert!(matches!(prepare(vec![one("a"), one("a")], false), Err(Error::Internal(_))));
        assert!(prepare(vec![series("a", times, vec![])], false).is_err());
    }

    #[test]
    fn series_with_the_same_times_stand_together() {
        let (x, y): (Arc<[TimeMs]>, Arc<[TimeMs]>) = (vec![1].into(), vec![1].into());
        let all = [("a", &x), ("b", &y), ("c", &x), ("d", &y)];
        let all = all.map(|(job, times)| series(job, times.clone(), vec![0.0]));
        let prepared = prepare(all.into(), false).expect("distinct");
        assert_eq!(by_shared_times(&prepared), [0, 2, 1, 3]);
    }
}
