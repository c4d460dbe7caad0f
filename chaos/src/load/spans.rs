//! Spans drawn at random, with a liking for edges: bounds of buckets, half microseconds, boundaries of
//! windows, ends before their start.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use rand::Rng;

use crate::tally::{BOUNDS_MS, GroupId, Sum, WINDOW_MS, WindowEnd};

const SERVICES: usize = 5;
const NAMES: usize = 10;
/// By OTLP's numbers.
const KINDS: [(i32, &str); 5] = [
    (1, "SPAN_KIND_INTERNAL"),
    (2, "SPAN_KIND_SERVER"),
    (3, "SPAN_KIND_CLIENT"),
    (4, "SPAN_KIND_PRODUCER"),
    (5, "SPAN_KIND_CONSUMER"),
];
const STATUSES: [(i32, &str); 3] =
    [(0, "STATUS_CODE_UNSET"), (1, "STATUS_CODE_OK"), (2, "STATUS_CODE_ERROR")];

const SECOND_NS: u64 = 1_000_000_000;
/// How long ago the late windows are, before the start of the run.
const LATE_SECONDS: [u64; 8] = [120, 330, 900, 2_040, 3_700, 7_260, 14_000, 36_000];
/// Beyond every lateness limit.
const TOO_LATE_NS: u64 = 40 * 24 * 3600 * SECOND_NS;

/// The groups of a run, all their own.
#[derive(Clone, Debug)]
pub(crate) struct Groups {
    run: String,
}

/// What tells a group's series apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Series {
    pub(crate) service: String,
    pub(crate) name: String,
    pub(crate) kind: &'static str,
    pub(crate) status: &'static str,
}

impl Groups {
    pub(crate) const COUNT: usize = SERVICES * NAMES;

    pub(crate) fn new(run: &str) -> Self {
        Groups { run: run.to_owned() }
    }

    /// A pattern for `service_name` that matches this run's services only.
    pub(crate) fn services(&self) -> String {
        format!("{}-.*", self.run)
    }

    pub(crate) fn series(&self, group: GroupId) -> Series {
        Series {
            service: self.service(group),
            name: format!("op-{}", group.0 / SERVICES),
            kind: KINDS[group.0 % KINDS.len()].1,
            status: STATUSES[group.0 % STATUSES.len()].1,
        }
    }

    fn service(&self, group: GroupId) -> String {
        format!("{}-{}", self.run, group.0 % SERVICES)
    }
}

/// Spans of one request and what they come to.
#[derive(Debug)]
pub(crate) struct Drawn {
    pub(super) spans: Vec<ResourceSpans>,
    pub(super) cells: Vec<(GroupId, WindowEnd, Sum)>,
    /// Spans beyond the lateness limit: they count nowhere, and the answer says how many.
    pub(super) rejected: u64,
}

pub(super) fn draw(groups: &Groups, run_began_ns: u64, now_ns: u64, rng: &mut impl Rng) -> Drawn {
    let mut drawn = Drawn { spans: Vec::new(), cells: Vec::new(), rejected: 0 };
    let rejected = usize::from(rng.gen_ratio(1, 10));
    let count = match rng.gen_range(0..10) {
        0..=5 => rng.gen_range(1..5),
        6..=8 => rng.gen_range(5..40),
        _ => rng.gen_range(40..200),
    };
    let of_services = rng.gen_range(1..=2);
    for _ in 0..of_services {
        let service = rng.gen_range(0..SERVICES);
        let mut spans = Vec::new();
        for _ in 0..count {
            let group = GroupId(rng.gen_range(0..NAMES) * SERVICES + service);
            let duration_ns = draw_duration(rng);
            let end_ns = draw_end(run_began_ns, now_ns, rng);
            spans.push(span(groups, group, end_ns, duration_ns, rng));
            let sum = Sum::of_span(duration_ns.unwrap_or(0));
            drawn.cells.push((group, WindowEnd::of(end_ns), sum));
        }
        for _ in 0..rejected {
            let end_ns = now_ns - TOO_LATE_NS;
            spans.push(span(groups, GroupId(service), end_ns, Some(1), rng));
            drawn.rejected += 1;
        }
        drawn.spans.push(of_service(groups.service(GroupId(service)), spans));
    }
    drawn
}

/// So many spans of one service, all of which ended within the last second.
pub(crate) fn draw_recent(groups: &Groups, count: usize, now_ns: u64, rng: &mut impl Rng) -> Drawn {
    let service = rng.gen_range(0..SERVICES);
    let mut drawn = Drawn { spans: Vec::new(), cells: Vec::new(), rejected: 0 };
    let mut spans = Vec::with_capacity(count);
    for _ in 0..count {
        let group = GroupId(rng.gen_range(0..NAMES) * SERVICES + service);
        let (duration_ns, end_ns) = (draw_duration(rng), now_ns - rng.gen_range(0..SECOND_NS));
        spans.push(span(groups, group, end_ns, duration_ns, rng));
        let sum = Sum::of_span(duration_ns.unwrap_or(0));
        drawn.cells.push((group, WindowEnd::of(end_ns), sum));
    }
    drawn.spans.push(of_service(groups.service(GroupId(service)), spans));
    drawn
}

/// `None`: the span ends before it begins, and took no time.
fn draw_duration(rng: &mut impl Rng) -> Option<u64> {
    Some(match rng.gen_range(0..20) {
        0 => return None,
        1 => 0,
        2..=6 => {
            let bound = BOUNDS_MS[rng.gen_range(0..BOUNDS_MS.len())] * 1_000_000;
            bound - 1 + rng.gen_range(0..=2)
        }
        7..=9 => rng.gen_range(0..1_000_000) * 1000 + 499 + rng.gen_range(0..=1),
        10 => rng.gen_range(15..100) * SECOND_NS,
        _ => 10f64.powf(rng.gen_range(5.0..10.3)) as u64,
    })
}

fn draw_end(run_began_ns: u64, now_ns: u64, rng: &mut impl Rng) -> u64 {
    let window_ns = WINDOW_MS as u64 * 1_000_000;
    match rng.gen_range(0..20) {
        0..=11 => now_ns - rng.gen_range(0..SECOND_NS),
        12..=14 => now_ns - rng.gen_range(0..20 * SECOND_NS),
        15 => now_ns / window_ns * window_ns,
        16 => now_ns + rng.gen_range(0..SECOND_NS),
        17 => run_began_ns - rng.gen_range(0..180 * SECOND_NS),
        _ => {
            let ago = LATE_SECONDS[rng.gen_range(0..LATE_SECONDS.len())] * SECOND_NS;
            run_began_ns - ago - rng.gen_range(0..5 * SECOND_NS)
        }
    }
}

fn span(
    groups: &Groups,
    group: GroupId,
    end_ns: u64,
    duration_ns: Option<u64>,
    rng: &mut impl Rng,
) -> Span {
    let start_ns = match duration_ns {
        Some(duration_ns) => end_ns - duration_ns,
        None => end_ns + rng.gen_range(1..SECOND_NS),
    };
    Span {
        trace_id: rng.r#gen::<[u8; 16]>().to_vec(),
        span_id: rng.r#gen::<[u8; 8]>().to_vec(),
        name: groups.series(group).name,
        kind: KINDS[group.0 % KINDS.len()].0,
        start_time_unix_nano: start_ns,
        end_time_unix_nano: end_ns,
        attributes: vec![text("http.route", format!("/r/{}", rng.gen_range(0..9)))],
        status: Some(Status { code: STATUSES[group.0 % STATUSES.len()].0, ..Status::default() }),
        ..Span::default()
    }
}

fn of_service(service: String, spans: Vec<Span>) -> ResourceSpans {
    let attributes = vec![text("service.name", service)];
    ResourceSpans {
        resource: Some(Resource { attributes, ..Resource::default() }),
        scope_spans: vec![ScopeSpans { spans, ..ScopeSpans::default() }],
        ..ResourceSpans::default()
    }
}

fn text(key: &str, value: String) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(value)) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn every_group_has_series_of_its_own() {
        let groups = Groups::new("run");
        let all: HashSet<_> = (0..Groups::COUNT).map(|n| groups.series(GroupId(n))).collect();
        assert_eq!(all.len(), Groups::COUNT);
    }

    #[test]
    fn the_cells_are_what_the_spans_say() {
        let (mut rng, now_ns) = (StdRng::seed_from_u64(1), 2_000_000_000 * SECOND_NS);
        let groups = Groups::new("run");
        for _ in 0..200 {
            let drawn = match rng.gen_bool(0.5) {
                true => draw(&groups, now_ns - SECOND_NS, now_ns, &mut rng),
                false => draw_recent(&groups, 512, now_ns, &mut rng),
            };
            let spans = drawn.spans.iter().flat_map(|r| &r.scope_spans[0].spans);
            let (late, counted): (Vec<_>, Vec<_>) =
                spans.partition(|span| span.end_time_unix_nano < now_ns - TOO_LATE_NS / 2);
            assert_eq!(late.len() as u64, drawn.rejected);
            assert_eq!(counted.len(), drawn.cells.len());
            for (span, (group, end, sum)) in counted.iter().zip(&drawn.cells) {
                let took = span.end_time_unix_nano.saturating_sub(span.start_time_unix_nano);
                assert_eq!(*sum, Sum::of_span(took));
                assert_eq!(*end, WindowEnd::of(span.end_time_unix_nano));
                assert_eq!(span.name, groups.series(*group).name);
            }
        }
    }
}
