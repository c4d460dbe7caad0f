//! One request: its bytes, which stay the same through every try, and what it must come to.

use std::io::Write;
use std::time::Instant;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use rand::Rng;

use super::spans::Drawn;
use crate::tally::{GroupId, Sum, Tally, WindowEnd};

#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) body: Bytes,
    pub(super) rejected: u64,
    cells: Vec<(GroupId, WindowEnd, Sum)>,
    /// The dedup window begins no earlier than this.
    pub(super) first_sent: Option<Instant>,
    /// Tries whose answer nobody saw.
    pub(super) unanswered: u32,
}

impl Request {
    pub(crate) fn new(drawn: Drawn) -> Self {
        let Drawn { spans, cells, rejected } = drawn;
        let body = ExportTraceServiceRequest { resource_spans: spans }.encode_to_vec().into();
        Request { body, rejected, cells, first_sent: None, unanswered: 0 }
    }

    pub(crate) fn add_to(&self, tally: &mut Tally) {
        for (group, end, sum) in &self.cells {
            tally.add(*group, *end, sum);
        }
    }
}

/// Anew for each try, at a level of its own: the same request, other bytes on the wire.
pub(super) fn gzip(body: &[u8], rng: &mut impl Rng) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(rng.gen_range(1..=9)));
    let written = encoder.write_all(body).and_then(|()| encoder.finish());
    written.expect("writing to memory does not fail").into()
}
