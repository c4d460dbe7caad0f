//! The naive sum: a span at a time, with the rules written out once more.

use std::collections::BTreeMap;

use tributary_spanmetrics::Content;

use crate::sent::{Sent, SentSpan};

/// Tenant, service, name, kind, status, region; the window's end.
type Cell = ([String; 6], i64);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    /// In units of 1/1024 span.
    pub(crate) count: u64,
    pub(crate) sum_us: u128,
    pub(crate) buckets: Vec<u64>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    pub(crate) cells: BTreeMap<Cell, Sum>,
    /// By tenant, series and time, as bits.
    samples: BTreeMap<(String, String, i64), u64>,
}

pub(crate) const REGION: &str = "test";
const KINDS: [&str; 6] = ["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"];
const STATUSES: [&str; 3] = ["UNSET", "OK", "ERROR"];
const BOUNDS_MS: [u64; 16] =
    [2, 4, 6, 8, 10, 50, 100, 200, 400, 800, 1000, 1400, 2000, 5000, 10_000, 15_000];

pub(crate) fn naive(sent: &Sent) -> Sums {
    let mut sums = Sums::default();
    for span in sent.spans.iter().filter(|span| span.is_admitted) {
        let duration_ns = duration_ns(span);
        let sum = sums.cells.entry(cell(span)).or_default();
        sum.buckets.resize(17, 0);
        sum.count += 1024;
        sum.sum_us += u128::from(duration_ns / 1000 + (duration_ns % 1000) / 500);
        sum.buckets[bucket(duration_ns)] += 1024;
    }
    for sample in &sent.samples {
        let key = (sample.tenant.into(), sample.series.to_string(), sample.time_ms);
        sums.samples.insert(key, sample.value().to_bits());
    }
    sums
}

pub(crate) fn cell(span: &SentSpan) -> Cell {
    let kind = KINDS.get(span.kind as usize).unwrap_or(&KINDS[0]);
    let status = span.status.and_then(|code| STATUSES.get(code as usize)).unwrap_or(&STATUSES[0]);
    let labels = [
        span.tenant,
        span.service,
        span.name,
        &format!("SPAN_KIND_{kind}"),
        &format!("STATUS_CODE_{status}"),
        REGION,
    ];
    let seconds = span.end_ns / 1_000_000_000;
    (labels.map(str::to_owned), (seconds as i64 / 10 + 1) * 10_000)
}

pub(crate) fn duration_ns(span: &SentSpan) -> u64 {
    span.end_ns.saturating_sub(span.start_ns)
}

fn bucket(duration_ns: u64) -> usize {
    BOUNDS_MS.iter().filter(|ms| duration_ns > **ms * 1_000_000).count()
}

impl Sums {
    /// What a dump says, in these words.
    pub(crate) fn of(content: &Content) -> Self {
        let mut sums = Sums::default();
        for (tenant, content) in &content.tenants {
            for group in content.layouts.values().flat_map(|layout| layout.groups.values()) {
                let (of, region) = (&group.group, group.group.external.get("region"));
                for (end, delta) in &group.windows {
                    let labels = [
                        tenant.as_str(),
                        &of.service,
                        &of.span_name,
                        of.kind.name(),
                        of.status.name(),
                        region.unwrap_or_default(),
                    ];
                    let (count, sum_us, buckets) =
                        (delta.count, delta.sum_us, delta.buckets.clone());
                    let sum = Sum { count, sum_us, buckets };
                    sums.cells.insert((labels.map(str::to_owned), end.0), sum);
                }
            }
            for series in content.samples.values() {
                let job = series.labels.get("job").unwrap_or_default();
                for (time_ms, bits) in &series.points {
                    sums.samples.insert((tenant.to_string(), job.into(), *time_ms), bits.0);
                }
            }
        }
        sums
    }

    /// The first thing that differs.
    pub(crate) fn differs_from(&self, other: &Sums) -> Option<String> {
        first_difference(&self.cells, &other.cells)
            .or_else(|| first_difference(&self.samples, &other.samples))
    }
}

fn first_difference<K: Ord + std::fmt::Debug, V: PartialEq + std::fmt::Debug>(
    one: &BTreeMap<K, V>,
    other: &BTreeMap<K, V>,
) -> Option<String> {
    let key = one.keys().chain(other.keys()).find(|key| one.get(key) != other.get(key))?;
    Some(format!("{key:?}: {:?} and {:?}", one.get(key), other.get(key)))
}
