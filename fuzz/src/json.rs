//! Bytes as a trace request in JSON.
//!
//! What serde decodes the walker accepts, or refuses by a limit of its own. It may accept more: of what is not
//! read it asks only that it is JSON. Serde also takes a list for an object, which nobody means.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use serde::de::IgnoredAny;
use serde_json::Value;
use tributary_spanmetrics::Encoding;

use crate::walks;

pub fn check(bytes: &[u8]) {
    let json: Option<Value> = serde_json::from_slice(bytes).ok();
    let decoded: Option<ExportTraceServiceRequest> = serde_json::from_slice(bytes).ok();
    let decoded =
        decoded.filter(|_| json.as_ref().is_some_and(|json| has_lists_in_place(json, "")));
    let is_accepted = walks::check(bytes, Encoding::Json, decoded.as_ref());
    let is_json = serde_json::from_slice::<IgnoredAny>(bytes).is_ok();
    assert!(is_json || !is_accepted, "accepted what is no JSON");
}

/// Whether lists stand only where OTLP has them. `name` is that of the field.
fn has_lists_in_place(value: &Value, name: &str) -> bool {
    let is_list = ["resourceSpans", "scopeSpans", "spans", "attributes", "values"].contains(&name);
    match value {
        Value::Array(items) => is_list && items.iter().all(|item| has_lists_in_place(item, "")),
        Value::Object(fields) => fields.iter().all(|(name, value)| has_lists_in_place(value, name)),
        _ => true,
    }
}
