use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::Link;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};

use prost::Message;

use super::*;
use crate::window::WindowEnd;

const SECOND: u64 = 1_000_000_000;
const NOW: u64 = 1_700_000_003 * SECOND;

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

fn folded(config: &Config, spans: Vec<Span>) -> Folded {
    let bytes = request(spans).encode_to_vec();
    fold(&bytes, Encoding::Protobuf, &Tenant::default(), config, NOW).expect("decodes")
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
fn an_end_before_its_start_is_zero_long() {
    let folded = folded(&Config::default(), vec![span("a", NOW + 5, NOW)]);
    assert_eq!(windows(&folded), [(WindowEnd(1_700_000_010_000), 1024, 0)]);
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
fn json_and_protobuf_of_one_request_are_one_content() {
    let request = request(vec![span("a", NOW - 7, NOW), span("b", NOW - 9, NOW)]);
    let tenant = Tenant::default();
    let json = serde_json::to_vec(&request).expect("serializes");
    let config = Config::default();
    let from_json = fold(&json, Encoding::Json, &tenant, &config, NOW).expect("decodes");
    let bytes = request.encode_to_vec();
    assert_eq!(Ok(from_json), fold(&bytes, Encoding::Protobuf, &tenant, &config, NOW));
}

#[test]
fn broken_bytes_are_bad_data() {
    let tenant = Tenant::default();
    let config = Config::default();
    for (bytes, encoding) in
        [(&b"\x0a\xff"[..], Encoding::Protobuf), (b"{\"resourceSpans\":[", Encoding::Json)]
    {
        let refused = fold(bytes, encoding, &tenant, &config, NOW).expect_err("broken");
        assert!(refused.to_string().starts_with("not an OTLP trace request: "), "{refused}");
    }
}

#[test]
fn a_request_in_any_legal_order_and_pieces_is_the_same() {
    let whole = request(vec![span("a", NOW - 7, NOW), span("b", NOW - 9, NOW)]);
    let tenant = Tenant::default();
    let config = Config::default();
    let read = |bytes: &[u8]| fold(bytes, Encoding::Protobuf, &tenant, &config, NOW);
    let resource_spans = &whole.resource_spans[0];
    let field = |tag: u8, bytes: Vec<u8>| {
        let mut out = vec![tag << 3 | 2];
        prost::encoding::encode_varint(bytes.len() as u64, &mut out);
        [out, bytes].concat()
    };
    let mut pieces = vec![0x48, 7]; // field 9, a number: unknown
    for span in &resource_spans.scope_spans[0].spans {
        pieces.extend(field(2, field(2, span.encode_to_vec())));
    }
    pieces.extend([0x53, 0x08, 0x01, 0x54]); // field 10, a group: unknown
    pieces.extend(field(1, resource_spans.resource.as_ref().expect("given").encode_to_vec()));
    assert_eq!(read(&field(1, pieces)), read(&whole.encode_to_vec()));
}

#[test]
fn damaged_requests_never_panic() {
    let bytes = request(vec![span("a", NOW - 7, NOW)]).encode_to_vec();
    let config = Config::default();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            let _ = fold(&damaged, Encoding::Protobuf, &Tenant::default(), &config, NOW);
        }
        let _ = fold(&bytes[..at], Encoding::Protobuf, &Tenant::default(), &config, NOW);
    }
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
    with_more.attributes.push(attribute("code", large()));
    let bytes = request(vec![with_more]).encode_to_vec();
    let refused = fold(&bytes, Encoding::Protobuf, &Tenant::default(), &config, NOW);
    assert!(refused.expect_err("too large").to_string().contains("\"code\" is larger"));
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
    let spans = (0..=MAX_DELTAS as u64).map(|n| span("a", 0, NOW - n * 10 * SECOND)).collect();
    let bytes = request(spans).encode_to_vec();
    let tenant = Tenant::default();
    let config = Config::default();
    let refused = fold(&bytes, Encoding::Protobuf, &tenant, &config, NOW).expect_err("too many");
    assert!(matches!(refused, FoldError::TooMany { .. }), "{refused}");
    let spans = "{},".repeat(MAX_JSON_OBJECTS + 1);
    let json = format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{spans}{{}}]}}]}}]}}"#);
    let refused =
        fold(json.as_bytes(), Encoding::Json, &tenant, &config, NOW).expect_err("too many");
    assert!(matches!(refused, FoldError::TooMany { .. }), "{refused}");
}
