//! The test's own test: two bugs that are put in on purpose, and must be noticed.

use crate::expected::{Sums, cell, duration_ns, naive};
use crate::place::Place;
use crate::sent::{BASE_NS, Sent, SentSpan};
use crate::split::{Split, Step};
use crate::world::World;

fn span(ago_ns: u64, duration_ns: u64) -> SentSpan {
    let end_ns = BASE_NS - ago_ns;
    SentSpan {
        tenant: "default",
        service: "cart",
        name: "GET /",
        kind: 2,
        status: None,
        start_ns: end_ns - duration_ns,
        end_ns,
        is_admitted: true,
    }
}

/// One edge, one request a span, in this order, with a pause before each.
fn one_by_one(order: &[usize], pause_ms: u64) -> Split {
    let step =
        |at: &usize| [Step::Pause { ms: pause_ms }, Step::Spans { edge: 0, spans: vec![*at] }];
    Split { edges: 1, steps: order.iter().flat_map(step).collect() }
}

/// Puts a span where it arrives instead of where it ended.
fn by_arrival(span: &SentSpan, now_ns: u64) -> SentSpan {
    let start_ns = now_ns.saturating_sub(duration_ns(span));
    SentSpan { start_ns, end_ns: now_ns, ..span.clone() }
}

#[test]
fn arrival_time_for_event_time_is_noticed() {
    let spans = vec![span(0, 1_000_000), span(3_600_000_000_000, 1_000_000)];
    let sent = Sent { spans, ..Sent::default() };
    let splits = [one_by_one(&[0, 1], 0), one_by_one(&[0, 1], 25_000)];
    let right = splits.each_ref().map(|split| World::run(&Place::Memory, &sent, split));
    let bent =
        splits.each_ref().map(|split| World::run_bent(&Place::Memory, &sent, split, by_arrival));
    assert_eq!(naive(&sent).differs_from(&Sums::of(&right[0].content)), None);
    assert!(naive(&sent).differs_from(&Sums::of(&bent[0].content)).is_some(), "from the naive sum");
    assert_eq!(right[0].digests, right[1].digests);
    assert_ne!(bent[0].digests, bent[1].digests, "a pause between two requests shows");
}

/// What stood there if durations were added up as floats, in the order in which they came.
fn as_floats(sent: &Sent, order: &[usize]) -> Sums {
    let mut sums = naive(sent);
    sums.cells.values_mut().for_each(|sum| sum.sum_us = 0);
    let mut floats = std::collections::BTreeMap::<_, f64>::new();
    for span in order.iter().map(|at| &sent.spans[*at]) {
        *floats.entry(cell(span)).or_default() += duration_ns(span) as f64;
    }
    for (cell, float) in floats {
        sums.cells.get_mut(&cell).expect("the same cells").sum_us =
            (float / 1000.0).round() as u128;
    }
    sums
}

#[test]
fn float_sums_are_noticed() {
    // Beside a span since the epoch a hundred nanoseconds vanish in a float; before it they add up.
    let mut spans = vec![span(0, BASE_NS)];
    spans.extend(std::iter::repeat_n(span(0, 100), 40));
    spans.extend([span(0, 500), span(0, 500)]);
    let sent = Sent { spans, ..Sent::default() };
    let forth: Vec<usize> = (0..sent.spans.len()).collect();
    let back: Vec<usize> = forth.iter().rev().copied().collect();
    let held =
        [&forth, &back].map(|order| World::run(&Place::Memory, &sent, &one_by_one(order, 0)));
    assert_eq!(held[0].digests, held[1].digests);
    let held = Sums::of(&held[0].content);
    assert_eq!(naive(&sent).differs_from(&held), None);
    assert!(as_floats(&sent, &forth).differs_from(&held).is_some(), "from what is held");
    let [forth, back] = [forth, back].map(|order| as_floats(&sent, &order));
    assert!(forth.differs_from(&back).is_some(), "an order from another");
}
