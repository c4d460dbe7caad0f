//! Bytes as a trace request in JSON. What serde decodes, and nothing else, is accepted.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use tributary_spanmetrics::Encoding;

use crate::walks;

pub fn check(bytes: &[u8]) {
    let decoded: Option<ExportTraceServiceRequest> = serde_json::from_slice(bytes).ok();
    let is_accepted = walks::check(bytes, Encoding::Json, decoded.as_ref());
    assert!(decoded.is_some() || !is_accepted, "accepted what is no request");
}
