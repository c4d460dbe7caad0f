use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::Link;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;

use super::oracle_test::{Bench, Folded, NOW, SECOND};
use super::{Config, Encoding, MAX_CELLS, Tenant, WalkError};
use crate::group::{SpanKind, StatusCode};
use crate::window::WindowEnd;

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.into(), value: Some(AnyValue { value: Some(value) }), ..Default::default() }
}

fn span(name: &str, start_ns: u64, end_ns: u64) -> Span {
    Span {
        name: name.into(),
        kind: 2,
        start_time_unix_nano: start_ns,
        end_time_unix_nano: end_ns,
        status: Some(Status { code: 2, message: String::new() }),
        ..Default::default()
    }
}

fn request(spans: Vec<Span>) -> ExportTraceServiceRequest {
    let resource = Resource {
        attributes: vec![attribute("service.name", Value::StringValue("shop".into()))],
        ..Default::default()
    };
    let scope_spans = vec![ScopeSpans { spans, ..Default::default() }];
    let resource_spans =
        vec![ResourceSpans { resource: Some(resource), scope_spans, ..Default::default() }];
    ExportTraceServiceRequest { resource_spans }
}

fn fold(config: &Config, bytes: &[u8], encoding: Encoding) -> Result<Folded, WalkError> {
    Bench::new(config).fold(bytes, encoding, &Tenant::default())
}

fn folded(config: &Config, spans: Vec<Span>) -> Folded {
    fold(config, &request(spans).encode_to_vec(), Encoding::Protobuf).expect("decodes")
}

fn windows(folded: &Folded) -> Vec<(WindowEnd, u64, u128)> {
    let layouts = folded.content.tenants.values().flat_map(|content| content.layouts.values());
    layouts
        .flat_map(|layout| layout.groups.values())
        .flat_map(|group| &group.windows)
        .map(|(end, delta)| (*end, delta.count, delta.sum_us))
        .collect()
}

#[test]
fn a_span_lands_in_the_window_of_its_end() {
    let end = 1_699_990_000 * SECOND;
    let folded = folded(&Config::default(), vec![span("a", end - 3_000_000, end)]);
    assert_eq!(windows(&folded), [(WindowEnd(1_699_990_010_000), 1024, 3000)]);
    assert_eq!(folded.accepted, 1);
}

#[test]
fn an_end_before_its_start_is_zero_long_and_counted() {
    let config = Config::default();
    let request = request(vec![span("a", NOW + 5, NOW), span("a", NOW, NOW)]);
    let json = serde_json::to_vec(&request).expect("encodes");
    for (bytes, encoding) in [(request.encode_to_vec(), Encoding::Protobuf), (json, Encoding::Json)]
    {
        let folded = fold(&config, &bytes, encoding).expect("decodes");
        assert_eq!(windows(&folded), [(WindowEnd(1_700_000_010_000), 2 * 1024, 0)]);
        assert_eq!((folded.accepted, folded.clamped), (2, 1), "{encoding:?}");
    }
}

#[test]
fn a_span_that_is_left_out_is_not_clamped() {
    let folded = folded(&Config::default(), vec![span("a", 5, 0)]);
    assert_eq!((folded.late, folded.clamped), (1, 0));
}

#[test]
fn spans_beyond_the_limits_are_left_out_and_counted() {
    let day = 24 * 3600 * SECOND;
    let spans = vec![
        span("a", 0, NOW - 30 * day),
        span("a", 0, NOW - 30 * day - 1),
        span("a", 0, NOW + 600 * SECOND),
        span("a", 0, NOW + 600 * SECOND + 1),
        span("a", 0, 0),
    ];
    let folded = folded(&Config::default(), spans);
    assert_eq!((folded.accepted, folded.late, folded.future), (2, 2, 1));
    assert_eq!(windows(&folded).len(), 2);
}

#[test]
fn a_dimension_is_the_spans_attribute_or_else_the_resources() {
    let config = Config {
        dimensions: vec!["code".into(), "service.name".into(), "absent".into()],
        ..Config::default()
    };
    let mut with_code = span("a", NOW, NOW);
    with_code.attributes = vec![attribute("code", Value::IntValue(200))];
    let folded = folded(&config, vec![with_code]);
    let content = &folded.content.tenants[&Tenant::default()];
    let of_layout = &content.layouts[&config.layout.id()];
    let group = &of_layout.groups.values().next().expect("one group").group;
    assert_eq!(group.dimensions.to_string(), r#"{code="200",service.name="shop"}"#);
    assert_eq!((group.kind, group.status), (SpanKind::Server, StatusCode::Error));
}

#[test]
fn broken_bytes_are_bad_data() {
    for (bytes, encoding) in
        [(&b"\x0a\xff"[..], Encoding::Protobuf), (b"{\"resourceSpans\":[", Encoding::Json)]
    {
        let refused = fold(&Config::default(), bytes, encoding).expect_err("broken");
        assert!(refused.to_string().starts_with("not an OTLP trace request: "), "{refused}");
    }
}

#[test]
fn a_request_that_is_bad_at_its_last_span_leaves_no_trace() {
    let config = Config { dimensions: vec!["code".into()], ..Config::default() };
    let tenant = Tenant::default();
    let good = request(vec![span("a", NOW - 7, NOW), span("b", NOW, NOW)]).encode_to_vec();
    let mut broken = good.clone();
    broken.extend(b"\x0a\x08\x12\x06\x12\x04\x2a\x02\xff\xff");
    // The last span has no end, so it is let in here to be read at all.
    let all = Config { lateness: std::time::Duration::from_secs(1 << 40), ..config };
    let mut bench = Bench::new(&all);
    let refused = bench.fold(&broken, Encoding::Protobuf, &tenant).expect_err("its last name");
    assert!(refused.to_string().ends_with("not UTF-8"), "{refused}");
    assert!(bench.groups.is_empty());
    let read = bench.fold(&good, Encoding::Protobuf, &tenant).expect("good");
    assert_eq!((read.accepted, bench.groups.len()), (2, 2));
}

#[test]
fn beyond_the_limit_of_groups_totals_stay_exact() {
    let spans: Vec<_> = (0..10).map(|n| span(&format!("s{n}"), NOW - 5_000_000, NOW)).collect();
    let bytes = request(spans).encode_to_vec();
    let mut bench = Bench::with_limit(&Config::default(), 4);
    let read = bench.fold(&bytes, Encoding::Protobuf, &Tenant::default()).expect("decodes");
    assert_eq!((read.accepted, read.overflowed), (10, 6));
    let total = windows(&read).iter().fold((0, 0), |t, (_, n, us)| (t.0 + n / 1024, t.1 + us));
    assert_eq!(total, (10, 50_000));
    let content = &read.content.tenants[&Tenant::default()];
    let groups = content.layouts.values().flat_map(|layout| layout.groups.values());
    let overflow = |group: &&crate::GroupContent| {
        group.group.dimensions.get("otel.metric.overflow") == Some("true")
    };
    assert_eq!(groups.filter(overflow).count(), 1);
}

#[test]
fn a_group_that_had_no_room_has_its_own_once_there_is_some() {
    let bytes = request(vec![span("a", NOW, NOW), span("b", NOW, NOW)]).encode_to_vec();
    let mut bench = Bench::with_limit(&Config::default(), 1);
    let mut overflowed = |limit| {
        bench.groups.set_limit(limit);
        bench.fold(&bytes, Encoding::Protobuf, &Tenant::default()).expect("decodes").overflowed
    };
    assert_eq!(overflowed(0), 2);
    assert_eq!(overflowed(2), 1);
    assert_eq!(overflowed(2), 1);
    assert_eq!(overflowed(3), 0);
}

#[test]
fn a_walker_at_rest_keeps_no_slot_from_being_used_again() {
    let named = |name: &str| request(vec![span(name, NOW, NOW)]).encode_to_vec();
    let mut bench = Bench::new(&Config::default());
    let fold = |bench: &mut Bench, name: &str| {
        bench.fold(&named(name), Encoding::Protobuf, &Tenant::default()).expect("decodes")
    };
    fold(&mut bench, "a");
    assert_eq!(bench.groups.retire(|_| false), 1);
    assert_eq!(bench.groups.retire(|_| false), 0);
    fold(&mut bench, "b");
    assert_eq!(bench.groups.read().slots(), 1);
}

#[test]
fn what_is_not_read_is_passed_over_and_what_is_large_is_refused() {
    let config = Config { dimensions: vec!["code".into()], ..Config::default() };
    let large = || Value::StringValue("x".repeat(70_000));
    let mut with_more = span("a", NOW, NOW);
    with_more.attributes =
        vec![attribute("prompt", large()), attribute("code", Value::BoolValue(true))];
    with_more.links = vec![Link::default(); 1000];
    let bare = Span { attributes: with_more.attributes[1..].to_vec(), ..span("a", NOW, NOW) };
    assert_eq!(folded(&config, vec![with_more.clone()]), folded(&config, vec![bare]));
    let values = vec![AnyValue::default(); 40_000];
    with_more.attributes.insert(0, attribute("code", Value::ArrayValue(ArrayValue { values })));
    let bytes = request(vec![with_more]).encode_to_vec();
    let refused = fold(&config, &bytes, Encoding::Protobuf).expect_err("too large").to_string();
    assert!(refused.contains("\"code\" is read, is no plain text"), "{refused}");
}

#[test]
fn a_long_text_is_cut_however_long_it_is() {
    let config = Config { dimensions: vec!["code".into()], ..Config::default() };
    let of = |length: usize| {
        let attributes = vec![attribute("code", Value::StringValue("ü".repeat(length)))];
        folded(&config, vec![Span { attributes, ..span("a", NOW, NOW) }])
    };
    let short = of(600);
    assert_eq!((short.accepted, short.shortened), (1, 1));
    assert_eq!(of(40_000), short);
    assert_eq!(of(300_000), short);
    for letter in ["ü", "\\u00fc"] {
        let value = format!(r#"{{ "stringValue" : "{}"}}"#, letter.repeat(100_000));
        let json = format!(
            r#"{{"resourceSpans":[{{"resource":{{"attributes":[{{"key":"service.name","value":{{
            "stringValue":"shop"}}}}]}},"scopeSpans":[{{"spans":[{{"name":"a","kind":2,"status":{{"code":2}},
            "startTimeUnixNano":"{NOW}","endTimeUnixNano":"{NOW}","attributes":[{{"key":"code","value":{value}
            }}]}}]}}]}}]}}"#
        );
        assert_eq!(fold(&config, json.as_bytes(), Encoding::Json), Ok(short.clone()));
    }
}

/// The sum of one span's microseconds.
fn sum_us(duration_ns: u64) -> u128 {
    windows(&folded(&Config::default(), vec![span("a", NOW - duration_ns, NOW)]))[0].2
}

#[test]
fn durations_round_half_up_to_microseconds() {
    let cases = [(0, 0), (1, 0), (499, 0), (500, 1), (501, 1), (1499, 1), (1500, 2)];
    for (ns, us) in cases {
        assert_eq!(sum_us(ns), us, "{ns} ns");
    }
    assert_eq!(sum_us(NOW), 1_700_000_003_000_000);
}

#[test]
fn a_text_that_is_no_utf8_is_bad_data_where_it_is_read_and_nowhere_else() {
    let config = Config { dimensions: vec!["code".into(), "zone".into()], ..Config::default() };
    let text = |text: &str| Value::StringValue(text.into());
    // Each mark is as long as what takes its place.
    let marks = ["MARK-NAME", "MARK-CODE", "MARK-LAST", "MARK-KEY_", "MARK-SERV", "MARK-ZONE"];
    let read = |mark: &str| !["MARK-LAST", "MARK-KEY_"].contains(&mark);
    let mut marked = request(vec![
        span("good", NOW, NOW),
        Span {
            attributes: vec![
                attribute("MARK-KEY_", text("x")),
                attribute("code", text("MARK-CODE")),
                attribute("code", text("MARK-LAST")),
            ],
            ..span("MARK-NAME", NOW, NOW)
        },
    ]);
    marked.resource_spans[0].resource = Some(Resource {
        attributes: vec![
            attribute("service.name", text("MARK-SERV")),
            attribute("zone", text("MARK-ZONE")),
        ],
        ..Default::default()
    });
    let bytes = marked.encode_to_vec();
    let mut bench = Bench::new(&config);
    for mark in marks {
        let at = bytes.windows(9).position(|window| window == mark.as_bytes()).expect("is there");
        let mut bad = bytes.clone();
        bad[at + 8] = 0xff;
        // At the end of the request, with others behind, and once it is known.
        for behind in [vec![], bytes.clone(), bytes.clone()] {
            let all = [bad.clone(), behind].concat();
            let done = bench.fold(&all, Encoding::Protobuf, &Tenant::default());
            assert_eq!(done.is_err(), read(mark), "{mark}: {done:?}");
        }
    }
}

#[test]
fn long_names_are_cut_at_a_character_and_counted() {
    let folded =
        folded(&Config::default(), vec![span(&"ü".repeat(600), NOW, NOW), span("a", NOW, NOW)]);
    assert_eq!((folded.accepted, folded.shortened), (2, 1));
    let mut groups = folded.content.tenants.values().flat_map(|t| t.layouts.values());
    let groups = &groups.next().expect("one layout").groups;
    assert!(groups.values().any(|of_group| of_group.group.span_name == "ü".repeat(512)));
}

#[test]
fn a_request_that_would_outgrow_memory_is_refused_whole() {
    let spans = (0..=MAX_CELLS as u64).map(|n| span("a", 0, NOW - n * 10 * SECOND)).collect();
    let bytes = request(spans).encode_to_vec();
    let config = Config::default();
    let refused = fold(&config, &bytes, Encoding::Protobuf).expect_err("too many");
    assert!(matches!(refused, WalkError::TooMany { .. }), "{refused}");
    let long = |n: usize| attribute(&format!("d{n}"), Value::StringValue("x".repeat(1024)));
    let mut wide = request((0..2_000).map(|n| span(&n.to_string(), NOW, NOW)).collect());
    let resource = wide.resource_spans[0].resource.get_or_insert_default();
    resource.attributes.extend((0..20).map(long));
    let config =
        Config { dimensions: (0..20).map(|n| format!("d{n}")).collect(), ..Config::default() };
    let refused = fold(&config, &wide.encode_to_vec(), Encoding::Protobuf).expect_err("too many");
    assert!(refused.to_string().contains("bytes of groups"), "{refused}");
}
