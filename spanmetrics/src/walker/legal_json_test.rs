//! A walker reads any legal JSON of a request as it reads the request in protobuf, warm or cold.
//!
//! A request is written with everything that OTLP's JSON allows: fields in any order, unknown ones at every level,
//! names in snake case and null, which mean nothing, numbers of 64 bits in both forms, escapes, white space.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use proptest::prelude::*;
use prost::Message;

use super::legal_encodings_test::{Dice, WARM, config, requests};
use super::oracle_test::{Bench, expected};
use super::*;

/// A field that is known, and its value as JSON.
type Field = (&'static str, String);

fn space(dice: &mut Dice) -> &'static str {
    if dice.one_in(8) { [" ", "\n", "\t", "\r\n  "][dice.roll(4) as usize] } else { "" }
}

fn text(text: &str, dice: &mut Dice) -> String {
    if dice.one_in(4) {
        let escaped: String = text.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect();
        return format!("\"{escaped}\"");
    }
    serde_json::to_string(text).expect("a text serialises")
}

/// Of 64 bits.
fn long(number: impl ToString, dice: &mut Dice) -> String {
    let number = number.to_string();
    if dice.one_in(2) { text(&number, dice) } else { number }
}

fn double(number: f64, dice: &mut Dice) -> String {
    match number {
        _ if number.is_nan() => "\"NaN\"".into(),
        _ if dice.one_in(3) => format!("\"{number:e}\""),
        _ if dice.one_in(3) => format!("{number:E}"),
        _ => number.to_string(),
    }
}

fn list(items: Vec<String>, dice: &mut Dice) -> String {
    let items: Vec<_> =
        items.into_iter().map(|item| format!("{}{item}{}", space(dice), space(dice))).collect();
    format!("[{}]", items.join(","))
}

/// What nobody reads, whatever it looks like.
fn junk(dice: &mut Dice, depth: u32) -> String {
    match dice.roll(if depth < 3 { 9 } else { 7 }) {
        0 => "null".into(),
        1 => "-12.5e-3".into(),
        2 => "true".into(),
        3 => r#""a \"text\" [{ \ud83d\ude00""#.into(),
        4 => r#"{"stringValue":"other","spans":[{}],"key":7}"#.into(),
        5 => "18446744073709551616".into(),
        6 => "[]".into(),
        7 => list((0..dice.roll(4)).map(|_| junk(dice, depth + 1)).collect(), dice),
        _ => format!(r#"{{"x":{},"x":{}}}"#, junk(dice, depth + 1), junk(dice, depth + 1)),
    }
}

fn snake(name: &str) -> String {
    let parts = name.chars().map(|c| match c.is_ascii_uppercase() {
        true => format!("_{}", c.to_ascii_lowercase()),
        false => c.to_string(),
    });
    parts.collect()
}

fn decoy(known: &[Field], dice: &mut Dice) -> (String, String) {
    let name =
        known.get(dice.roll(known.len().max(1) as u64) as usize).map_or("x", |known| known.0);
    let name = match dice.roll(3) {
        0 if snake(name) != name => snake(name),
        1 => name.to_ascii_uppercase(),
        _ => ["unknown", "droppedAttributesCount", "", "@type"][dice.roll(4) as usize].to_owned(),
    };
    (name, junk(dice, 0))
}

/// An object of these fields in this order, or in any.
fn object(known: Vec<Field>, in_order: bool, dice: &mut Dice) -> String {
    let mut fields: Vec<(String, String)> =
        known.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    if !in_order {
        for at in (1..fields.len()).rev() {
            fields.swap(at, dice.roll(at as u64 + 1) as usize);
        }
    }
    while dice.one_in(3) {
        let at = dice.roll(fields.len() as u64 + 1) as usize;
        fields.insert(at, decoy(&known, dice));
    }
    let fields: Vec<_> = fields
        .into_iter()
        .map(|(name, value)| {
            let [a, b, c, d] = [(); 4].map(|()| space(dice));
            format!("{a}{}{b}:{c}{value}{d}", text(&name, dice))
        })
        .collect();
    format!("{{{}}}", fields.join(","))
}

/// A field that may be left out where it says nothing.
fn unless(is_default: bool, name: &'static str, value: String, dice: &mut Dice) -> Option<Field> {
    match dice.roll(3) {
        0 if is_default => None,
        1 if is_default => Some((name, "null".into())),
        _ => Some((name, value)),
    }
}

fn any_value(any: &AnyValue, dice: &mut Dice) -> String {
    let mut fields = Vec::new();
    if dice.one_in(6) {
        fields.push(("boolValue", "true".to_owned()));
    }
    match &any.value {
        None => fields.clear(),
        Some(value) => {
            let field = kind(value, dice);
            fields.retain(|overridden| overridden.0 != field.0);
            fields.push(field);
            if dice.one_in(6) {
                fields.push(("bytesValue", "null".into()));
            }
        }
    }
    object(fields, true, dice)
}

fn kind(value: &Value, dice: &mut Dice) -> Field {
    match value {
        Value::StringValue(value) => ("stringValue", text(value, dice)),
        Value::BoolValue(flag) => ("boolValue", flag.to_string()),
        Value::IntValue(number) => ("intValue", long(number, dice)),
        Value::DoubleValue(number) => ("doubleValue", double(*number, dice)),
        Value::BytesValue(bytes) => {
            let engine =
                [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD][dice.roll(4) as usize];
            ("bytesValue", text(&engine.encode(bytes), dice))
        }
        Value::ArrayValue(array) => {
            let items = array.values.iter().map(|item| any_value(item, dice)).collect();
            ("arrayValue", values(items, dice))
        }
        Value::KvlistValue(map) => {
            let items = map.values.iter().map(|pair| attribute(pair, dice)).collect();
            ("kvlistValue", values(items, dice))
        }
        Value::StringValueStrindex(at) => ("stringValueStrindex", at.to_string()),
    }
}

fn values(items: Vec<String>, dice: &mut Dice) -> String {
    let is_empty = items.is_empty();
    let items = list(items, dice);
    let field = unless(is_empty, "values", items, dice);
    object(field.into_iter().collect(), false, dice)
}

fn attribute(attribute: &KeyValue, dice: &mut Dice) -> String {
    let key = text(&attribute.key, dice);
    let mut fields: Vec<_> =
        unless(attribute.key.is_empty(), "key", key, dice).into_iter().collect();
    match &attribute.value {
        Some(value) => fields.push(("value", any_value(value, dice))),
        None => fields.extend(unless(true, "value", "null".into(), dice)),
    }
    object(fields, false, dice)
}

fn attributes(attributes: &[KeyValue], dice: &mut Dice) -> Option<Field> {
    let items = attributes.iter().map(|pair| attribute(pair, dice)).collect();
    let items = list(items, dice);
    unless(attributes.is_empty(), "attributes", items, dice)
}

fn span(span: &Span, dice: &mut Dice) -> String {
    let name = text(&span.name, dice);
    let (start, end) = (long(span.start_time_unix_nano, dice), long(span.end_time_unix_nano, dice));
    let status = span.status.as_ref().map(|status| {
        let code = unless(status.code == 0, "code", status.code.to_string(), dice);
        let message = ("message", text(&status.message, dice));
        object(code.into_iter().chain([message]).collect(), false, dice)
    });
    let known = [
        unless(span.name.is_empty(), "name", name, dice),
        unless(span.kind == 0, "kind", span.kind.to_string(), dice),
        unless(span.start_time_unix_nano == 0, "startTimeUnixNano", start, dice),
        unless(span.end_time_unix_nano == 0, "endTimeUnixNano", end, dice),
        attributes(&span.attributes, dice),
        unless(status.is_none(), "status", status.unwrap_or_else(|| "{}".into()), dice),
        Some(("traceId", "\"5B8efff798038103D269b633813fc60c\"".into())),
        Some(("events", junk(dice, 0))),
        Some(("links", junk(dice, 0))),
    ];
    object(known.into_iter().flatten().collect(), false, dice)
}

fn scope_spans(scope: &ScopeSpans, dice: &mut Dice) -> String {
    let spans = scope.spans.iter().map(|it| span(it, dice)).collect();
    let spans = list(spans, dice);
    let known = [
        unless(scope.spans.is_empty(), "spans", spans, dice),
        Some(("scope", junk(dice, 0))),
        Some(("schemaUrl", text(&scope.schema_url, dice))),
    ];
    object(known.into_iter().flatten().collect(), false, dice)
}

fn resource_spans(of_resource: &ResourceSpans, dice: &mut Dice) -> String {
    let scopes = of_resource.scope_spans.iter().map(|scope| scope_spans(scope, dice)).collect();
    let scopes = list(scopes, dice);
    let resource = of_resource.resource.as_ref().map(|resource| {
        let fields = attributes(&resource.attributes, dice).into_iter().collect();
        object(fields, false, dice)
    });
    let known = [
        unless(of_resource.scope_spans.is_empty(), "scopeSpans", scopes, dice),
        unless(resource.is_none(), "resource", resource.unwrap_or_else(|| "{}".into()), dice),
    ];
    object(known.into_iter().flatten().collect(), false, dice)
}

fn json(request: &ExportTraceServiceRequest, dice: &mut Dice) -> String {
    let items = request.resource_spans.iter().map(|it| resource_spans(it, dice)).collect();
    let items = list(items, dice);
    let field = unless(request.resource_spans.is_empty(), "resourceSpans", items, dice);
    let json = object(field.into_iter().collect(), false, dice);
    format!("{}{json}{}", space(dice), space(dice))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn any_legal_json_means_what_protobuf_does(request in requests(), seed: u64) {
        let (config, tenant) = (config(), Tenant::default());
        let json = json(&request, &mut Dice(seed));
        let expected = Ok(expected(&request, &tenant, &config));
        let cold = Bench::new(&config).fold(json.as_bytes(), Encoding::Json, &tenant);
        prop_assert_eq!(&cold, &expected, "{}", json);
        let warm = WARM.with_borrow_mut(|warm| {
            let of_protobuf = warm.fold(&request.encode_to_vec(), Encoding::Protobuf, &tenant);
            prop_assert_eq!(&of_protobuf, &expected);
            Ok(warm.fold(json.as_bytes(), Encoding::Json, &tenant))
        })?;
        prop_assert_eq!(&warm, &expected);
    }

    #[test]
    fn what_serde_writes_means_the_same(request in requests()) {
        let (config, tenant) = (config(), Tenant::default());
        let json = serde_json::to_vec(&request).expect("serialises");
        let read: ExportTraceServiceRequest = serde_json::from_slice(&json).expect("its own");
        let expected = Ok(expected(&read, &tenant, &config));
        let warm = WARM.with_borrow_mut(|warm| warm.fold(&json, Encoding::Json, &tenant));
        prop_assert_eq!(&warm, &expected);
    }

    #[test]
    fn broken_json_never_panics_and_leaves_no_trace(
        request in requests(),
        seed: u64,
        flips in proptest::collection::vec((any::<usize>(), 0..128u8), 1..4),
        cut: usize,
    ) {
        let (config, tenant) = (config(), Tenant::default());
        let good = json(&request, &mut Dice(seed));
        let mut bytes = good.clone().into_bytes();
        for (at, byte) in flips {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        bytes.truncate(bytes.len() - cut % (bytes.len() / 4 + 1));
        WARM.with_borrow_mut(|warm| {
            let cold = Bench::new(&config).fold(&bytes, Encoding::Json, &tenant);
            let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(&bytes).is_ok();
            prop_assert!(is_json || cold.is_err(), "{}", String::from_utf8_lossy(&bytes));
            prop_assert_eq!(warm.fold(&bytes, Encoding::Json, &tenant), cold);
            let expected = Ok(expected(&request, &tenant, &config));
            prop_assert_eq!(warm.fold(good.as_bytes(), Encoding::Json, &tenant), expected);
            Ok(())
        })?;
    }
}

#[test]
fn the_json_is_as_odd_as_it_should_be() {
    let span = Span { name: "n".into(), end_time_unix_nano: 7, ..Default::default() };
    let scope_spans = vec![ScopeSpans { spans: vec![span; 4], ..Default::default() }];
    let resource = Some(Default::default());
    let resource_spans = vec![ResourceSpans { resource, scope_spans, ..Default::default() }];
    let request = ExportTraceServiceRequest { resource_spans };
    let all: std::collections::BTreeSet<_> =
        (0..50).map(|seed| json(&request, &mut Dice(seed))).collect();
    assert_eq!(all.len(), 50);
    let is_there = |what: fn(&str) -> bool| all.iter().any(|json| what(json));
    assert!(is_there(|json| json.find("\"resource\"") > json.find("\"scopeSpans\"")));
    assert!(is_there(|json| json.find("\"resource\"") < json.find("\"scopeSpans\"")));
    assert!(is_there(|json| json.contains("end_time_unix_nano")));
    assert!(is_there(|json| json.contains(":null") && json.contains("\"unknown\"")));
}
