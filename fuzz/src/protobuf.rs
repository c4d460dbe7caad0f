//! Bytes as a trace request in protobuf.
//!
//! What prost decodes the walker accepts, or refuses by a limit of its own. It may accept more: a text that is
//! not read is not checked.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use tributary_spanmetrics::Encoding;

use crate::walks;

pub fn check(bytes: &[u8]) {
    let decoded = ExportTraceServiceRequest::decode(bytes).ok();
    walks::check(bytes, Encoding::Protobuf, decoded.as_ref());
}
