//! The series of a group, under the shipped names, as they stand in a remote-write request.

use prost::encoding::encode_varint;

use super::history::Delta;
use super::shape::BOUNDS_MS;
use crate::spans::{Group, Kind, Status};

const CALLS: &str = "llm_traces_span_metrics_calls_total";
const LATENCY: &str = "llm_traces_span_metrics_latency";

/// One for each of a group's series, in the order of `values`: its labels as a message's fields.
pub(super) fn series(group: &Group) -> Vec<Vec<u8>> {
    let bounds = BOUNDS_MS.iter().map(u64::to_string).chain(["+Inf".into()]);
    let buckets = bounds.map(|le| labels(group, &format!("{LATENCY}_bucket"), Some(&le)));
    let rest = [CALLS.into(), format!("{LATENCY}_sum"), format!("{LATENCY}_count")];
    rest.iter().map(|name| labels(group, name, None)).chain(buckets).collect()
}

/// What a scrape finds once all of this was counted.
pub(super) fn values(total: &Delta) -> impl Iterator<Item = f64> {
    let buckets = total.buckets.iter().scan(0, |below, calls| {
        *below += calls;
        Some(*below as f64)
    });
    // In ms, as the bounds.
    [total.count as f64, total.sum_us as f64 / 1000.0, total.count as f64]
        .into_iter()
        .chain(buckets)
}

fn labels(group: &Group, name: &str, le: Option<&str>) -> Vec<u8> {
    let mut out = Vec::new();
    // Sorted by name, as the protocol wants them.
    for (name, value) in [
        ("__name__", Some(name)),
        ("le", le),
        ("service_name", Some(&group.service)),
        ("span_kind", Some(kind(group.kind))),
        ("span_name", Some(&group.name)),
        ("status_code", Some(status(group.status))),
    ] {
        if let Some(value) = value {
            label(name, value, &mut out);
        }
    }
    out
}

fn label(name: &str, value: &str, out: &mut Vec<u8>) {
    let mut label = Vec::new();
    field(1, name.as_bytes(), &mut label);
    field(2, value.as_bytes(), &mut label);
    field(1, &label, out);
}

/// A field of bytes: a text, or a message within another.
pub(super) fn field(number: u64, bytes: &[u8], out: &mut Vec<u8>) {
    encode_varint(number << 3 | 2, out);
    encode_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Internal => "SPAN_KIND_INTERNAL",
        Kind::Server => "SPAN_KIND_SERVER",
        Kind::Client => "SPAN_KIND_CLIENT",
        Kind::Producer => "SPAN_KIND_PRODUCER",
        Kind::Consumer => "SPAN_KIND_CONSUMER",
    }
}

fn status(status: Status) -> &'static str {
    match status {
        Status::Unset => "STATUS_CODE_UNSET",
        Status::Error => "STATUS_CODE_ERROR",
    }
}
