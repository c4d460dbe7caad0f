//! Running totals against running totals.

use std::collections::BTreeMap;
use std::fmt;

use super::Verdict;
use crate::load::{Groups, Series};
use crate::tally::{BOUNDS_MS, BUCKETS, GroupId, Sum, Tally, WindowEnd};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Field {
    Calls,
    Count,
    SumMs,
    /// By its place among the bounds.
    Bucket(usize),
}

/// What may be there: exactly what was acked, or, for a product that promises no more, at least each try
/// that was acked and at most every try.
#[derive(Debug)]
pub(crate) struct Bounds {
    pub(crate) least: Tally,
    pub(crate) most: Tally,
}

/// The product's answers, by group and window end.
#[derive(Debug, Default)]
pub(super) struct Answers {
    points: BTreeMap<(GroupId, WindowEnd), BTreeMap<Field, f64>>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Difference {
    pub(crate) series: Series,
    pub(crate) window: WindowEnd,
    pub(crate) field: Field,
    pub(crate) expected: f64,
    /// More than expected where a range is allowed.
    pub(crate) at_most: f64,
    pub(crate) found: Option<f64>,
}

impl Answers {
    pub(super) fn put(&mut self, group: GroupId, end: WindowEnd, field: Field, value: f64) {
        self.points.entry((group, end)).or_default().insert(field, value);
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Field::Calls => write!(f, "calls"),
            Field::Count => write!(f, "count"),
            Field::SumMs => write!(f, "sum (ms)"),
            Field::Bucket(at) => match BOUNDS_MS.get(*at) {
                Some(bound) => write!(f, "le={bound}"),
                None => write!(f, "le=+Inf"),
            },
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Series { service, name, kind, status } = &self.series;
        let (window, field) = (self.window.0 / 1000, self.field);
        write!(f, "{service} {name} {kind} {status}, window ending {window}, {field}: ")?;
        write!(f, "expected {}", self.expected)?;
        if self.at_most > self.expected {
            write!(f, " to {}", self.at_most)?;
        }
        match self.found {
            Some(found) => write!(f, ", found {found}"),
            None => write!(f, ", found nothing"),
        }
    }
}

pub(super) fn compare(bounds: &Bounds, answers: &Answers, groups: &Groups) -> Verdict {
    let mut verdict = Verdict::default();
    for group in (0..Groups::COUNT).map(GroupId) {
        of_group(bounds, answers, group, groups, &mut verdict);
    }
    verdict.differences.sort_by_key(|difference| difference.window);
    verdict
}

fn of_group(
    bounds: &Bounds,
    answers: &Answers,
    group: GroupId,
    groups: &Groups,
    verdict: &mut Verdict,
) {
    // Where it must have a sample, and wherever it has one.
    let of_group = (group, WindowEnd(i64::MIN))..=(group, WindowEnd(i64::MAX));
    let mut ends: Vec<WindowEnd> =
        answers.points.range(of_group).map(|((_, end), _)| *end).collect();
    ends.extend(bounds.least.windows().into_iter().filter(|end| bounds.least.has(group, *end)));
    ends.sort_unstable();
    ends.dedup();
    let (mut calls, mut off_before) = (0, 0);
    let mut first = Vec::new();
    for end in ends {
        let (least, most) = (bounds.least.until(group, end), bounds.most.until(group, end));
        let none = BTreeMap::new();
        let found = answers.points.get(&(group, end)).unwrap_or(&none);
        let mut here = Vec::new();
        for field in fields() {
            let (expected, at_most) = (value(&least, field), value(&most, field));
            let found = found.get(&field).copied();
            verdict.values += 1;
            if !found.is_some_and(|found| expected <= found && found <= at_most) {
                let series = groups.series(group);
                here.push(Difference { series, window: end, field, expected, at_most, found });
            }
        }
        if first.is_empty() {
            first = here;
        }
        // A counter that is not there stands where it stood.
        calls = found.get(&Field::Calls).map_or(calls, |found| *found as i64);
        let off = (calls - most.count as i64).max(0) + (calls - least.count as i64).min(0);
        match off - off_before {
            lost @ ..0 => verdict.lost_spans += lost.unsigned_abs(),
            surplus => verdict.surplus_spans += surplus.unsigned_abs(),
        }
        off_before = off;
    }
    // Bounds above the first that differs mostly differ because of it.
    let last = first.iter().position(|difference| matches!(difference.field, Field::Bucket(_)));
    first.truncate(last.map_or(first.len(), |last| last + 1));
    verdict.differences.extend(first);
}

fn fields() -> impl Iterator<Item = Field> {
    [Field::Calls, Field::Count, Field::SumMs].into_iter().chain((0..BUCKETS).map(Field::Bucket))
}

fn value(total: &Sum, field: Field) -> f64 {
    match field {
        Field::Calls | Field::Count => total.count as f64,
        Field::SumMs => total.sum_us as f64 / 1000.0,
        Field::Bucket(at) => total.at_or_below()[at] as f64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUP: GroupId = GroupId(4);

    fn tally(spans: &[(i64, u64)]) -> Tally {
        let mut tally = Tally::default();
        for (end, ns) in spans {
            tally.add(GROUP, WindowEnd(*end), &Sum::of_span(*ns));
        }
        tally
    }

    /// What a product that counted these would answer at these times.
    fn answers(counted: &Tally, times: &[i64]) -> Answers {
        let mut answers = Answers::default();
        for end in times.iter().copied().map(WindowEnd) {
            let total = counted.until(GROUP, end);
            fields().for_each(|field| answers.put(GROUP, end, field, value(&total, field)));
        }
        answers
    }

    fn verdict(sent: &[(i64, u64)], counted: &[(i64, u64)], times: &[i64]) -> Verdict {
        let bounds = Bounds { least: tally(sent), most: tally(sent) };
        compare(&bounds, &answers(&tally(counted), times), &Groups::new("run"))
    }

    const SENT: [(i64, u64); 2] = [(10_000, 1_000_000), (20_000, 3_000_000)];

    #[test]
    fn the_same_everywhere_is_no_difference() {
        let same = verdict(&SENT, &SENT, &[10_000, 20_000, 30_000]);
        assert_eq!((same.differences.len(), same.lost_spans, same.surplus_spans), (0, 0, 0));
        assert_eq!(same.values, 3 * 20);
    }

    #[test]
    fn a_lost_span_and_a_doubled_one_are_told_apart_though_they_add_up() {
        let counted = [(20_000, 3_000_000), (20_000, 3_000_000)];
        let found = verdict(&SENT, &counted, &[10_000, 20_000]);
        assert_eq!((found.lost_spans, found.surplus_spans), (1, 1));
        assert_eq!(found.differences[0].window, WindowEnd(10_000));
        assert_eq!(found.differences[0].found, Some(0.0));
    }

    #[test]
    fn a_microsecond_or_a_bucket_is_enough() {
        let found = verdict(&SENT, &[(10_000, 1_001_000), (20_000, 3_000_000)], &[20_000, 10_000]);
        assert_eq!(found.differences.len(), 1);
        assert_eq!(found.differences[0].field, Field::SumMs);
        let found = verdict(&[(10_000, 2_000_000)], &[(10_000, 2_000_001)], &[10_000]);
        assert_eq!(found.differences.len(), 1);
        assert_eq!(found.differences[0].field, Field::Bucket(0));
    }

    #[test]
    fn a_sample_that_is_missing_where_spans_ended_is_a_difference() {
        let found = verdict(&SENT, &SENT, &[10_000]);
        assert_eq!(found.differences[0].found, None);
        assert_eq!(found.lost_spans, 1);
    }

    #[test]
    fn between_once_and_every_try_is_allowed_where_it_is_said_so() {
        let most = tally(&[SENT[0], SENT[0], SENT[1]]);
        let bounds = Bounds { least: tally(&SENT), most };
        let judge = |counted: &[(i64, u64)]| {
            let answers = answers(&tally(counted), &[10_000, 20_000]);
            compare(&bounds, &answers, &Groups::new("run"))
        };
        assert!(judge(&[SENT[0], SENT[0], SENT[1]]).differences.is_empty());
        assert_eq!(judge(&[SENT[0], SENT[1], SENT[1]]).surplus_spans, 0, "within the sum");
        assert_eq!(judge(&[SENT[0]; 3]).surplus_spans, 1);
        assert_eq!(judge(&[SENT[1]]).lost_spans, 1);
    }
}
