use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogram, Gauge, Histogram, Metric, ResourceMetrics, ScopeMetrics, Sum as SumData,
    Summary,
};
use prost::Message;

use super::*;

/// One metric of each kind, with 1, 2, 3, 4 and 5 points.
fn metrics() -> ExportMetricsServiceRequest {
    let data = [
        Data::Gauge(Gauge { data_points: vec![Default::default(); 1] }),
        Data::Sum(SumData { data_points: vec![Default::default(); 2], ..Default::default() }),
        Data::Histogram(Histogram {
            data_points: vec![Default::default(); 3],
            ..Default::default()
        }),
        Data::ExponentialHistogram(ExponentialHistogram {
            data_points: vec![Default::default(); 4],
            ..Default::default()
        }),
        Data::Summary(Summary { data_points: vec![Default::default(); 5] }),
    ];
    let metrics = data
        .into_iter()
        .map(|data| Metric { name: "m".into(), data: Some(data), ..Default::default() })
        .collect();
    let scope = ScopeMetrics { metrics, schema_url: "x".into(), ..Default::default() };
    let resource = ResourceMetrics { scope_metrics: vec![scope], ..Default::default() };
    ExportMetricsServiceRequest { resource_metrics: vec![resource] }
}

#[test]
fn points_of_every_kind_count_in_both_encodings() {
    let request = metrics();
    let protobuf = request.encode_to_vec();
    assert_eq!(data_points(&protobuf, Encoding::Protobuf), Ok(15));
    let json = serde_json::to_vec(&request).unwrap();
    assert_eq!(data_points(&json, Encoding::Json), Ok(15));
}

#[test]
fn every_cut_of_a_message_is_refused() {
    let protobuf = metrics().encode_to_vec();
    for end in 1..protobuf.len() {
        assert!(data_points(&protobuf[..end], Encoding::Protobuf).is_err(), "cut at {end}");
    }
}

#[test]
fn null_and_unknown_fields_count_nothing() {
    for json in [r"{}", r#"{"resourceLogs":null}"#, r#"{"x":[1],"resourceLogs":[{"y":{}}]}"#] {
        assert_eq!(log_records(json.as_bytes(), Encoding::Json), Ok(0), "{json}");
    }
    let lists = [
        r"[]",
        "null",
        r#"{"resourceLogs":[null]}"#,
        r#"{"resourceLogs":[[]]}"#,
        r#"{"resourceLogs":[{"scopeLogs":{}}]}"#,
    ];
    let twice = [r#"{"resourceLogs":[],"resourceLogs":[]}"#];
    let others = ["", "{", r#"{"resourceLogs":{}}"#, r#"{"resourceLogs":[1]}"#, "{} x"];
    for json in others.iter().chain(&lists).chain(&twice) {
        assert!(log_records(json.as_bytes(), Encoding::Json).is_err(), "{json}");
    }
}

#[test]
fn deep_json_is_refused_and_overflows_nothing() {
    let deep = format!(r#"{{"resourceLogs":{}"#, "[".repeat(100_000));
    assert!(log_records(deep.as_bytes(), Encoding::Json).is_err());
    let skipped = format!(r#"{{"x":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert!(log_records(skipped.as_bytes(), Encoding::Json).is_err());
}

#[test]
fn a_refusal_repeats_nothing_of_the_request() {
    let long = "x".repeat(1 << 20);
    for json in [
        format!(r#"{{"resourceLogs":"{long}"}}"#),
        format!(r#"{{"resourceLogs":["{long}"]}}"#),
        format!(r#"{{"{long}":1,"resourceLogs":[{{"scopeLogs":"{long}"}}]}}"#),
        format!(r#""{long}""#),
        long,
    ] {
        let refused = log_records(json.as_bytes(), Encoding::Json).expect_err("no logs");
        let told = refused.to_string();
        assert!(told.len() < 200 && !told.contains("xx"), "{} bytes", told.len());
        assert!(told.contains(" at line 1, column "), "{told}");
    }
}
