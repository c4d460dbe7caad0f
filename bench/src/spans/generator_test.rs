//! Requests are read back with the official types, and counted again from what they say.

use std::collections::{BTreeMap, BTreeSet};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

use super::*;

const NOW_NS: u64 = 1_700_000_003_000_000_000;

fn decode(body: &[u8]) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest::decode(body).unwrap()
}

fn spans(request: &ExportTraceServiceRequest) -> impl Iterator<Item = (&[KeyValue], &Span)> {
    request.resource_spans.iter().flat_map(|of| {
        let resource = of.resource.as_ref().unwrap().attributes.as_slice();
        of.scope_spans.iter().flat_map(move |s| s.spans.iter().map(move |span| (resource, span)))
    })
}

fn text(attributes: &[KeyValue], key: &str) -> String {
    let found = attributes.iter().find(|a| a.key == key).unwrap_or_else(|| panic!("no {key}"));
    match found.value.as_ref().unwrap().value.as_ref().unwrap() {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        other => panic!("{key} is {other:?}"),
    }
}

fn labels(resource: &[KeyValue], span: &Span) -> Vec<String> {
    vec![
        text(resource, "service.name"),
        span.name.clone(),
        span.kind.to_string(),
        span.status.as_ref().map_or(0, |status| status.code).to_string(),
        text(&span.attributes, "http.request.method"),
        text(&span.attributes, "http.route"),
        text(&span.attributes, "http.response.status_code"),
        text(resource, "deployment.environment.name"),
    ]
}

fn labels_of(group: &Group) -> Vec<String> {
    vec![
        group.service.clone(),
        group.name.clone(),
        (group.kind as i32).to_string(),
        (group.status as i32).to_string(),
        group.method.into(),
        group.route.clone(),
        group.status_code.to_string(),
        group.environment.into(),
    ]
}

#[test]
fn the_tally_is_what_the_decoded_spans_say() {
    let batch = requests(&Shape::of(512, 1000), 7, 20, NOW_NS, 900_000_000).unwrap();
    let mut counted = BTreeMap::<_, (u64, u128, Vec<u64>)>::new();
    for body in &batch.bodies {
        let request = decode(body);
        for (resource, span) in spans(&request) {
            let ns = span.end_time_unix_nano - span.start_time_unix_nano;
            let window = span.end_time_unix_nano / 10_000_000_000 * 10 + 10;
            let (count, sum_us, buckets) = counted
                .entry((labels(resource, span), window))
                .or_insert_with(|| (0, 0, vec![0; 17]));
            *count += 1;
            *sum_us += u128::from(ns / 1000 + u64::from(ns % 1000 >= 500));
            let bounds = batch.tally.bounds_ns();
            buckets[bounds.iter().position(|bound| ns <= *bound).unwrap_or(16)] += 1;
        }
    }
    let told: BTreeMap<_, _> = batch
        .tally
        .deltas()
        .map(|(group, end_ns, delta)| {
            let key = (labels_of(batch.catalogue.group(group)), end_ns / 1_000_000_000);
            (key, (delta.count, delta.sum_us, delta.buckets.to_vec()))
        })
        .collect();
    assert_eq!(told, counted);
    assert!(batch.tally.windows() >= 2);
    assert_eq!(batch.tally.total().count, 20 * 512);
    assert!(batch.tally.total().buckets.iter().all(|count| *count > 0), "a bucket was never met");
}

#[test]
fn a_span_has_the_size_and_the_parts_of_a_real_one() {
    let batch = requests(&Shape::default(), 1, 20, NOW_NS, 0).unwrap();
    let bytes: usize = batch.bodies.iter().map(Vec::len).sum();
    let each = bytes / (20 * 512);
    assert!((447..=467).contains(&each), "{each} B a span");
    let request = decode(&batch.bodies[0]);
    assert_eq!(request.resource_spans.len(), 8);
    for (resource, span) in spans(&request) {
        assert_eq!((resource.len(), span.attributes.len()), (6, 10));
        assert_eq!((span.trace_id.len(), span.span_id.len()), (16, 8));
        for event in &span.events {
            let during = span.start_time_unix_nano..=span.end_time_unix_nano;
            assert!(during.contains(&event.time_unix_nano));
        }
        let ends = NOW_NS - 1_000_000_000..=NOW_NS;
        assert!(ends.contains(&span.end_time_unix_nano));
        let failed = span.status.as_ref().is_some_and(|status| status.code == 2);
        assert_eq!(failed, span.events.iter().any(|event| event.name == "exception"));
    }
    let count = |has: fn(&Span) -> bool| spans(&request).filter(|(_, span)| has(span)).count();
    assert!(count(|span| span.links.iter().any(|l| l.trace_id.len() == 16)) > 0);
    assert!(count(|span| !span.events.is_empty()) > 0);
    assert!(count(|span| span.parent_span_id.is_empty()) > 0);
    assert!(count(|span| span.parent_span_id.len() == 8) > 256);
}

#[test]
fn one_seed_gives_the_same_requests_and_another_gives_others() {
    let bodies = |seed| requests(&Shape::of(50, 1000), seed, 3, NOW_NS, 1).unwrap().bodies;
    assert_eq!(bodies(1), bodies(1));
    assert_ne!(bodies(1), bodies(2));
}

#[test]
fn every_group_occurs_once_the_decks_are_through() {
    for shape in [Shape::of(512, 1000), Shape::of(50, 200), Shape::wide(512)] {
        let count = shape.requests_for_all_groups();
        let batch = requests(&shape, 3, count, NOW_NS, 0).unwrap();
        assert_eq!(batch.tally.by_group().len(), shape.groups(), "{shape:?}");
    }
}

#[test]
fn a_stamp_renews_ids_and_times_and_leaves_the_rest() {
    let mut generator = Generator::new(Shape::of(512, 1000), 5).unwrap();
    let mut request = generator.request();
    request.stamp(1, NOW_NS);
    let first = decode(request.body());
    let framed = request.lend();
    assert_eq!(u32::from_be_bytes(framed[1..5].try_into().unwrap()) as usize, framed.len() - 5);
    assert!(request.take_back(framed), "nobody else holds them");
    request.stamp(2, NOW_NS + 60_000_000_000);
    let second = decode(request.body());

    let ids = |request: &ExportTraceServiceRequest| -> BTreeSet<_> {
        spans(request).map(|(_, span)| span.span_id.clone()).collect()
    };
    assert_eq!(ids(&first).len(), 512);
    assert!(ids(&first).is_disjoint(&ids(&second)));
    for ((_, before), (_, after)) in spans(&first).zip(spans(&second)) {
        assert_eq!(after.end_time_unix_nano, before.end_time_unix_nano + 60_000_000_000);
        assert_eq!(after.start_time_unix_nano, before.start_time_unix_nano + 60_000_000_000);
        assert_ne!(after.trace_id, before.trace_id);
        assert_eq!((&after.name, &after.attributes), (&before.name, &before.attributes));
    }
    request.stamp(1, NOW_NS);
    assert_eq!(decode(request.body()), first, "the same stamp gives the same bytes");
}

#[test]
fn shuffled_spans_have_the_same_attributes_in_other_orders() {
    let shape = Shape { shuffled: true, ..Shape::default() };
    let request = decode(&requests(&shape, 1, 1, NOW_NS, 0).unwrap().bodies[0]);
    let keys = |span: &Span| span.attributes.iter().map(|a| a.key.clone()).collect::<Vec<_>>();
    let orders: BTreeSet<_> = spans(&request).map(|(_, span)| keys(span)).collect();
    let sets: BTreeSet<BTreeSet<_>> =
        orders.iter().map(|order| order.iter().cloned().collect()).collect();
    assert!(orders.len() > 500);
    assert_eq!((sets.len(), sets.first().unwrap().len()), (1, 10));
}

#[test]
fn distinct_values_are_in_no_dimension() {
    let shape = Shape { distinct_values: true, ..Shape::default() };
    let batch = requests(&shape, 1, 4, NOW_NS, 0).unwrap();
    let mut paths = BTreeSet::new();
    let mut groups = BTreeSet::new();
    for body in &batch.bodies {
        for (resource, span) in spans(&decode(body)) {
            paths.insert(text(&span.attributes, "url.path"));
            groups.insert(labels(resource, span));
        }
    }
    assert!(paths.len() > 2040);
    assert_eq!(groups.len(), batch.tally.by_group().len());
}
