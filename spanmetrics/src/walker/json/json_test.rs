//! OTLP's rules for JSON, each in JSON as it is written.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

use super::super::oracle_test::{Bench, Folded, NOW};
use crate::group::{Group, SpanKind, StatusCode};
use crate::{Config, Encoding, Tenant, WalkError};

fn config() -> Config {
    Config { dimensions: vec!["k".into(), "r".into()], ..Config::default() }
}

fn fold(json: &str) -> Result<Folded, WalkError> {
    Bench::new(&config()).fold(json.as_bytes(), Encoding::Json, &Tenant::default())
}

fn request(spans: &str) -> String {
    format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{spans}]}}]}}]}}"#)
}

/// A span that ends now and has these fields too.
fn span(fields: &str) -> String {
    request(&format!(r#"{{"endTimeUnixNano":"{NOW}",{fields}}}"#))
}

fn with_value(value: &str) -> String {
    span(&format!(r#""attributes":[{{"key":"k","value":{value}}}]"#))
}

fn groups(folded: &Folded) -> Vec<&Group> {
    let layouts = folded.content.tenants.values().flat_map(|tenant| tenant.layouts.values());
    layouts.flat_map(|layout| layout.groups.values()).map(|of_group| &of_group.group).collect()
}

/// The one group of a request.
fn group(json: &str) -> Group {
    let folded = fold(json).unwrap_or_else(|refused| panic!("{refused}: {json}"));
    let groups = groups(&folded);
    assert_eq!(groups.len(), 1, "{json}");
    groups[0].clone()
}

fn dimension(json: &str) -> Option<String> {
    group(json).dimensions.get("k").map(str::to_owned)
}

fn sums_us(json: &str) -> Vec<u128> {
    let folded = fold(json).unwrap_or_else(|refused| panic!("{refused}: {json}"));
    let layouts = folded.content.tenants.values().flat_map(|tenant| tenant.layouts.values());
    let groups = layouts.flat_map(|layout| layout.groups.values());
    groups.flat_map(|group| group.windows.values()).map(|delta| delta.sum_us).collect()
}

fn refused(json: &str) -> String {
    match fold(json) {
        Ok(_) => panic!("taken: {json}"),
        Err(refused) => refused.to_string(),
    }
}

#[test]
fn an_id_may_be_in_any_case_and_is_not_read() {
    for id in [
        "5B8EFFF798038103D269B633813FC60C",
        "5b8efff798038103d269b633813fc60c",
        "5b8EFFf7",
        "no hex",
        "",
    ] {
        let json =
            span(&format!(r#""name":"n","traceId":"{id}","spanId":"{id}","parentSpanId":"{id}""#));
        assert_eq!(group(&json).span_name, "n", "{id}");
    }
}

#[test]
fn an_enum_is_an_integer_and_never_its_name() {
    for (number, kind, status) in [
        (0, SpanKind::Unspecified, StatusCode::Unset),
        (1, SpanKind::Internal, StatusCode::Ok),
        (2, SpanKind::Server, StatusCode::Error),
        (5, SpanKind::Consumer, StatusCode::Unset),
        (99, SpanKind::Unspecified, StatusCode::Unset),
        (-1, SpanKind::Unspecified, StatusCode::Unset),
    ] {
        let group = group(&span(&format!(r#""kind":{number},"status":{{"code":{number}}}"#)));
        assert_eq!((group.kind, group.status), (kind, status), "{number}");
    }
    for wrong in [r#""SPAN_KIND_SERVER""#, r#""2""#, "2.0", "2147483648", "true", "{}", "[]"] {
        refused(&span(&format!(r#""kind":{wrong}"#)));
        refused(&span(&format!(r#""status":{{"code":{wrong}}}"#)));
    }
}

#[test]
fn names_are_in_lower_camel_case_and_in_no_other() {
    let json = format!(
        r#"{{"resource_spans":[{{"x":1}}],"ResourceSpans":7,"resourceSpans":[{{"scope_spans":3,
        "scopeSpans":[{{"spans":[{{"end_time_unix_nano":"x","endTimeUnixNano":"{NOW}","start_time_unix_nano":5,
        "startTimeUnixNano":{NOW},"Name":"no","name":"yes","KIND":1,"attributes":[{{"key":"k",
        "value":{{"string_value":"no","int_value":1}}}}]}}]}}]}}]}}"#
    );
    assert_eq!((group(&json).span_name, dimension(&json)), ("yes".into(), None));
    assert_eq!(sums_us(&json), [0]);
    assert_eq!(
        fold(r#"{"resource_spans":[{"scopeSpans":[{"spans":[{}]}]}]}"#),
        Ok(Folded::default())
    );
    assert_eq!(
        fold(&request(&format!(r#"{{"end_time_unix_nano":{NOW}}}"#))).expect("legal").late,
        1
    );
}

#[test]
fn unknown_fields_are_passed_over_at_every_level() {
    let any = r#""x":{"y":[1,-2.5e3,null,true,{"z":"\u00e9\\\"]}"}]}"#;
    let value = format!(
        r#"{{{any},"kvlistValue":{{{any},"values":[{{{any},"key":"a","value":{{{any},"intValue":1,{any}}}}}]}}}}"#
    );
    let json = format!(
        r#"{{{any},"resourceSpans":[{{{any},"resource":{{{any},"attributes":[{{{any},"key":"service.name",
        "value":{{{any},"stringValue":"shop"}}}}]}},"scopeSpans":[{{{any},"scope":{{{any}}},"spans":[{{{any},
        "endTimeUnixNano":{NOW},"status":{{{any},"code":2}},"attributes":[{{{any},"key":"k","value":{value}}}]}}]}}]}}],{any}}}"#
    );
    let group = group(&json);
    assert_eq!((group.service.as_str(), group.status), ("shop", StatusCode::Error));
    assert_eq!(dimension(&json).as_deref(), Some(r#"{"a":1}"#));
}

#[test]
fn an_unknown_field_stands_before_a_value_or_behind_it() {
    for value in [r#"{"x":1,"stringValue":"a"}"#, r#"{"stringValue":"a","x":{"stringValue":"b"}}"#]
    {
        assert_eq!(dimension(&with_value(value)).as_deref(), Some("a"), "{value}");
    }
}

#[test]
fn an_integer_of_64_bits_is_a_number_or_a_text() {
    let start = NOW - 2_000_000;
    for quote in ["", "\""] {
        let times = format!(
            r#"{{"startTimeUnixNano":{quote}{start}{quote},"endTimeUnixNano":{quote}{NOW}{quote}}}"#
        );
        assert_eq!(sums_us(&request(&times)), [2000], "{times}");
        for number in ["9223372036854775807", "-9223372036854775808", "0"] {
            let value = format!(r#"{{"intValue":{quote}{number}{quote}}}"#);
            assert_eq!(dimension(&with_value(&value)).as_deref(), Some(number), "{value}");
        }
    }
    assert_eq!(dimension(&with_value(r#"{"intValue":"\u0037"}"#)).as_deref(), Some("7"));
    for wrong in [
        "1.5",
        r#""1.5""#,
        "9223372036854775808",
        r#""9223372036854775808""#,
        r#""""#,
        "true",
        "[1]",
    ] {
        refused(&with_value(&format!(r#"{{"intValue":{wrong}}}"#)));
    }
    for wrong in ["1.7e18", "-1", r#""-1""#, "18446744073709551616", r#""now""#, "{}"] {
        refused(&request(&format!(r#"{{"endTimeUnixNano":{wrong}}}"#)));
        refused(&span(&format!(r#""startTimeUnixNano":{wrong}"#)));
    }
}

#[test]
fn a_value_of_every_kind_reads_as_it_does_in_protobuf() {
    for (value, text) in [
        (r#"{"stringValue":"a\n\ud83d\ude00"}"#, "a\n😀"),
        (r#"{"stringValue":""}"#, ""),
        (r#"{"boolValue":true}"#, "true"),
        (r#"{"intValue":-3}"#, "-3"),
        (r#"{"doubleValue":0.1}"#, "0.1"),
        (r#"{"doubleValue":3}"#, "3"),
        (r#"{"doubleValue":"2.5e-9"}"#, "2.5e-9"),
        (r#"{"doubleValue":"NaN"}"#, "NaN"),
        (r#"{"doubleValue":"-Infinity"}"#, "-inf"),
        (r#"{"bytesValue":"YWI="}"#, "YWI="),
        (r#"{"bytesValue":"YWI"}"#, "YWI="),
        (r#"{"bytesValue":"-_8="}"#, "+/8="),
        (r#"{"arrayValue":{"values":[{"intValue":1},{},{"stringValue":"b"}]}}"#, r#"[1,null,"b"]"#),
        (r#"{"arrayValue":{}}"#, "[]"),
        (
            r#"{"kvlistValue":{"values":[{"key":"b"},{"value":{"boolValue":false}}]}}"#,
            r#"{"":false,"b":null}"#,
        ),
        (r#"{"stringValueStrindex":4}"#, "null"),
        ("{}", ""),
    ] {
        // A label that is empty is one that is not there.
        assert_eq!(dimension(&with_value(value)).unwrap_or_default(), text, "{value}");
    }
    for wrong in [
        r#"{"stringValue":1}"#,
        r#"{"stringValue":"\ud83d"}"#,
        r#"{"boolValue":"true"}"#,
        r#"{"doubleValue":1e999}"#,
        r#"{"doubleValue":"much"}"#,
        r#"{"bytesValue":"a"}"#,
        r#"{"bytesValue":"?"}"#,
        r#"{"arrayValue":[]}"#,
        r#"{"arrayValue":{"values":[null]}}"#,
        r#"{"kvlistValue":{"values":{}}}"#,
        r#""a""#,
        "1",
        "[]",
    ] {
        refused(&with_value(wrong));
    }
}

#[test]
fn null_is_a_field_that_is_not_there() {
    let bare = group(&span(r#""name":"""#));
    for fields in [
        r#""name":null"#,
        r#""kind":null,"startTimeUnixNano":null,"status":null,"attributes":null"#,
        r#""status":{"code":null},"attributes":[{"key":null,"value":null},{"key":"k","value":null}]"#,
    ] {
        assert_eq!(group(&span(fields)), bare, "{fields}");
    }
    for json in [
        r#"{"resourceSpans":null}"#,
        r#"{"resourceSpans":[{"resource":null,"scopeSpans":null}]}"#,
        r#"{"resourceSpans":[{"scopeSpans":[{"spans":null,"scope":null}]}]}"#,
        r#"{"resourceSpans":[{"resource":{"attributes":null}}]}"#,
    ] {
        assert_eq!(fold(json), Ok(Folded::default()), "{json}");
    }
    assert_eq!(
        dimension(&with_value(r#"{"intValue":7,"stringValue":null}"#)).as_deref(),
        Some("7")
    );
    for json in
        ["null", r#"{"resourceSpans":[null]}"#, &request("null"), &span(r#""attributes":[null]"#)]
    {
        refused(json);
    }
}

#[test]
fn of_an_attribute_that_stands_twice_the_first_counts() {
    let twice = |first: &str| {
        span(&format!(r#""attributes":[{first},{{"key":"k","value":{{"stringValue":"b"}}}}]"#))
    };
    assert_eq!(
        dimension(&twice(r#"{"value":{"stringValue":"a"},"key":"k"}"#)).as_deref(),
        Some("a")
    );
    assert_eq!(dimension(&twice(r#"{"key":"k"}"#)), None);
    assert_eq!(
        dimension(&twice(r#"{"key":"\u006b","value":{"intValue":1}}"#)).as_deref(),
        Some("1")
    );
}

#[test]
fn a_field_that_stands_twice_is_refused_and_of_a_values_kinds_the_last_counts() {
    for fields in [
        r#""name":"a","name":"a""#,
        r#""n\u0061me":"a","name":"a""#,
        r#""kind":1,"kind":1"#,
        r#""status":{},"status":{}"#,
        r#""status":{"code":1,"code":1}"#,
        r#""attributes":[],"attributes":[]"#,
        r#""attributes":[{"key":"a","key":"a"}]"#,
    ] {
        assert!(refused(&span(fields)).contains("stands twice"), "{fields}");
    }
    for json in [
        r#"{"resourceSpans":[],"resourceSpans":[]}"#,
        r#"{"resourceSpans":[{"resource":{},"resource":{}}]}"#,
        r#"{"resourceSpans":[{"scopeSpans":[],"scopeSpans":[]}]}"#,
        r#"{"resourceSpans":[{"scopeSpans":[{"spans":[],"spans":[]}]}]}"#,
    ] {
        refused(json);
    }
    let several = r#"{"stringValue":"a","intValue":1,"stringValue":"b","boolValue":null}"#;
    assert_eq!(dimension(&with_value(several)).as_deref(), Some("b"));
    assert_eq!(group(&span(r#""x":1,"x":2"#)).span_name, "");
}

#[test]
fn a_resource_may_stand_behind_its_spans() {
    let spans = format!(r#""scopeSpans":[{{"spans":[{{"endTimeUnixNano":{NOW}}}]}}]"#);
    let attribute = |key: &str| format!(r#"{{"key":"{key}","value":{{"stringValue":"a {key}"}}}}"#);
    let resource = format!(
        r#""resource":{{"attributes":[{},{}]}}"#,
        attribute("service.name"),
        attribute("r")
    );
    let before = fold(&format!(r#"{{"resourceSpans":[{{{resource},{spans}}},{{{spans}}}]}}"#));
    let behind =
        fold(&format!(r#"{{"resourceSpans":[{{{spans},"x":0,{resource}}},{{{spans}}}]}}"#));
    assert_eq!(before, behind);
    let folded = behind.expect("legal");
    let services: Vec<_> = groups(&folded)
        .iter()
        .map(|group| (&group.service[..], group.dimensions.get("r")))
        .collect();
    assert_eq!(services.len(), 2);
    assert!(services.contains(&("a service.name", Some("a r"))) && services.contains(&("", None)));
}

#[test]
fn a_fault_is_told_by_its_place_and_repeats_nothing() {
    let long = "x".repeat(1 << 20);
    for json in [
        format!(r#"{{"resourceSpans":"{long}"}}"#),
        format!(r#"{{"resourceSpans":["{long}"]}}"#),
        format!(r#"{{"resourceSpans":[{{"resource":"{long}"}}]}}"#),
        format!(r#"{{"resourceSpans":[{{"scopeSpans":"{long}"}}]}}"#),
        span(&format!(r#""kind":"{long}""#)),
        span(&format!(r#""status":"{long}""#)),
        span(&format!(r#""attributes":"{long}""#)),
        request(&format!(r#"{{"endTimeUnixNano":"{long}"}}"#)),
        with_value(&format!(r#"{{"intValue":"{}"}}"#, &long[..60_000])),
        long,
    ] {
        let told = refused(&json);
        assert!(told.len() < 200 && !told.contains("xx"), "{} bytes", told.len());
        assert!(told.contains(" at line 1, column "), "{told}");
    }
    let place = |json: &str| refused(json).split_once(" at ").map(|(_, place)| place.to_owned());
    let of_span =
        "{\"resourceSpans\":[{\n\"scopeSpans\":[{\"spans\":[\n{\"kind\": {}, \"endTimeUnixNano\":";
    assert_eq!(place(&format!("{of_span}{NOW}}}]}}]}}]}}")).as_deref(), Some("line 3, column 10"));
    assert_eq!(place(&format!("{of_span}\n7")).as_deref(), Some("line 4, column 1"));
    let value = "{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"key\":\"r\",\"value\":\n {\"intValue\":true}}]}}]}";
    assert_eq!(place(value).as_deref(), Some("line 2, column 18"));
}

#[test]
fn what_is_no_json_is_refused_wherever_it_stands() {
    for json in [
        "",
        "{",
        "[]",
        "7",
        r#""a""#,
        "{} x",
        r#"{"resourceSpans":[]"#,
        r#"{"resourceSpans":[],}"#,
        r#"{"resourceSpans":{}}"#,
        r#"{"resourceSpans":[[]]}"#,
        r#"{"x":'a'}"#,
        r#"{"x":01}"#,
        r#"{"x":"\x"}"#,
        "{\"x\":\"\n\"}",
        r#"{x:1}"#,
        &span(r#""events":[{"name":nul}]"#),
        &span(r#""attributes":[["k",{"intValue":1}]]"#),
        &span(r#""attributes":[{"key":1}]"#),
    ] {
        refused(json);
    }
    let bytes = b"{\"x\":\"\xff\"}";
    let refused = Bench::new(&config()).fold(bytes, Encoding::Json, &Tenant::default());
    assert!(refused.expect_err("no text").to_string().ends_with("not UTF-8"));
}

#[test]
fn what_is_deep_is_refused_where_it_is_read_and_where_it_is_passed_over() {
    let levels = 100_000;
    let lists = format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
    let maps = format!("{}1{}", r#"{"a":"#.repeat(levels), "}".repeat(levels));
    let values =
        format!("{}{{}}{}", r#"{"arrayValue":{"values":["#.repeat(levels), "]}}".repeat(levels));
    for json in [
        lists.clone(),
        format!(r#"{{"x":{lists}}}"#),
        format!(r#"{{"x":{maps}}}"#),
        span(&format!(r#""events":{lists}"#)),
        with_value(&values),
        with_value(&values[..levels]),
        format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":{lists}}}]}}]}}"#),
    ] {
        assert!(refused(&json).ends_with("nested deeper than 127 levels"), "{}", &json[..30]);
    }
    let little = format!("{}{{}}{}", r#"{"arrayValue":{"values":["#.repeat(30), "]}}".repeat(30));
    let expected = format!("{}null{}", "[".repeat(30), "]".repeat(30));
    assert_eq!(dimension(&with_value(&little)), Some(expected));
}

#[test]
fn wide_json_takes_no_more_than_its_bytes() {
    let many = "{},".repeat(400_001);
    let folded = fold(&request(&format!("{many}{{}}"))).expect("legal");
    assert_eq!((folded.accepted, folded.late), (0, 400_002));
    assert_eq!(fold(&format!(r#"{{"resourceSpans":[{many}{{}}]}}"#)), Ok(Folded::default()));
    let wide = format!(r#"{{"arrayValue":{{"values":[{many}{{}}]}}}}"#);
    assert!(refused(&with_value(&wide)).contains("\"k\" is read, is no plain text and is larger"));
    assert_eq!(fold(&with_value(&wide).replace("\"k\"", "\"other\"")).expect("legal").accepted, 1);
}

#[test]
fn a_long_name_is_cut_as_in_protobuf_whatever_it_is_written_with() {
    let written =
        [("\\u00fc", "ü"), ("ü", "ü"), ("\\ud83d\\ude00", "😀"), ("\\\\", "\\"), ("a", "a")];
    for (json, character) in written {
        for (times, shift) in [(340, ""), (1025, "b"), (2000, ""), (2000, "bb"), (9000, "bbb")] {
            let name = format!("{shift}{}", character.repeat(times));
            let json = fold(&span(&format!(r#""name":"{shift}{}""#, json.repeat(times))));
            let protobuf = in_protobuf(&name);
            let expected =
                Bench::new(&config()).fold(&protobuf, Encoding::Protobuf, &Tenant::default());
            assert_eq!(json, expected, "{times} of {character}");
        }
    }
}

fn in_protobuf(name: &str) -> Vec<u8> {
    let span = Span { name: name.into(), end_time_unix_nano: NOW, ..Default::default() };
    let scope_spans = vec![ScopeSpans { spans: vec![span], ..Default::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..Default::default() }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}
