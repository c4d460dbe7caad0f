//! What a request adds, by arithmetic of its own: by window, span name, kind and status.
//!
//! Services and dimensions are left out, since how a value reads as text is not worked out twice.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use tributary_spanmetrics::{Config, Content, Delta, SPAN_WEIGHT};

use crate::seeds::NOW_NS;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Accepted, late, future.
    spans: [u64; 3],
    sums: BTreeMap<Key, Sum>,
}

/// The window's end, the name as far as it counts, kind and status by number.
type Key = (i64, String, i32, i32);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Sum {
    count: u64,
    sum_us: u128,
    buckets: BTreeMap<usize, u64>,
}

const LONGEST_TEXT: usize = 1024;

impl Tally {
    /// From the request's tree.
    pub(crate) fn of(request: &ExportTraceServiceRequest, config: &Config) -> Self {
        let mut tally = Tally::default();
        let scopes = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
        for span in scopes.flat_map(|scope| &scope.spans) {
            tally.add(span, config);
        }
        tally
    }

    /// From what a walk gave.
    pub(crate) fn read(content: &Content, spans: [u64; 3]) -> Self {
        let mut tally = Tally { spans, ..Tally::default() };
        let layouts = content.tenants.values().flat_map(|tenant| tenant.layouts.values());
        for of_group in layouts.flat_map(|layout| layout.groups.values()) {
            let group = &of_group.group;
            for (end, Delta { count, sum_us, buckets }) in &of_group.windows {
                let key = (end.0, group.span_name.clone(), group.kind as i32, group.status as i32);
                let sum = tally.sums.entry(key).or_default();
                sum.count += count;
                sum.sum_us += sum_us;
                for (at, units) in buckets.iter().enumerate().filter(|(_, units)| **units > 0) {
                    *sum.buckets.entry(at).or_default() += units;
                }
            }
        }
        tally
    }

    fn add(&mut self, span: &Span, config: &Config) {
        let end_ns = u128::from(span.end_time_unix_nano);
        let now_ns = u128::from(NOW_NS);
        if end_ns + config.lateness.as_nanos() < now_ns {
            self.spans[1] += 1;
            return;
        }
        if end_ns > now_ns + config.future.as_nanos() {
            self.spans[2] += 1;
            return;
        }
        self.spans[0] += 1;
        let window_ns = u128::from(config.layout.window_ms()) * 1_000_000;
        let window_end_ms = (end_ns / window_ns + 1) * window_ns / 1_000_000;
        let duration_ns = end_ns.saturating_sub(span.start_time_unix_nano.into());
        let mut name = span.name.clone();
        name.truncate(name.floor_char_boundary(LONGEST_TEXT));
        let known = |number: i32, most: i32| if (0..=most).contains(&number) { number } else { 0 };
        let status = span.status.as_ref().map_or(0, |status| status.code);
        let key = (window_end_ms as i64, name, known(span.kind, 5), known(status, 2));
        let sum = self.sums.entry(key).or_default();
        sum.count += SPAN_WEIGHT;
        sum.sum_us += (duration_ns + 500) / 1000;
        let bounds = config.layout.bounds_ns();
        let below = bounds.iter().filter(|bound| u128::from(**bound) < duration_ns).count();
        *sum.buckets.entry(below).or_default() += SPAN_WEIGHT;
    }
}
