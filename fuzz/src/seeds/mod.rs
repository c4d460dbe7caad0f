//! Where the corpora begin: real requests, in both encodings and every coding, and the journal that a real
//! edge makes of them.
//!
//! Small ones, since a mutation of a small input meets more often what matters.

mod journal;
mod packed;

use anyhow::Context;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use tributary_bench::spans::{self, Shape};

/// When requests arrive.
pub(crate) const NOW_NS: u64 = 1_700_000_003_000_000_000;
const DAY_NS: u64 = 86_400_000_000_000;

/// A target's name and its seeds.
pub type OfTarget = (&'static str, Vec<Vec<u8>>);

/// The seeds of every target; the same each time.
pub fn all() -> anyhow::Result<Vec<OfTarget>> {
    let requests = requests();
    let json = requests.iter().map(|request| json(request)).collect::<anyhow::Result<_>>()?;
    let packed = packed::bodies(&requests)?;
    let records = journal::records(&requests)?;
    Ok(vec![
        ("protobuf", requests),
        ("json", json),
        ("decompressors", packed),
        ("records", records),
    ])
}

/// A request of so many spans of so many groups.
pub(crate) fn request(spans: usize, groups: usize, seed: u64) -> Vec<u8> {
    of_shape(&Shape::of(spans, groups), seed, NOW_NS)
}

fn requests() -> Vec<Vec<u8>> {
    let of = Shape::of(4, 8);
    vec![
        Vec::new(),
        request(1, 2, 2),
        request(3, 6, 3),
        request(9, 4, 4),
        of_shape(&Shape { shuffled: true, ..of.clone() }, 5, NOW_NS),
        of_shape(&Shape { distinct_values: true, ..of.clone() }, 6, NOW_NS),
        of_shape(&Shape { spans_per_resource: 1, instances: 2, ..of.clone() }, 7, NOW_NS),
        of_shape(&of, 8, NOW_NS - 40 * DAY_NS),
        of_shape(&of, 9, NOW_NS + DAY_NS),
    ]
}

fn of_shape(shape: &Shape, seed: u64, end_ns: u64) -> Vec<u8> {
    let mut batch = spans::requests(shape, seed, 1, end_ns, 0).expect("a shape as it may be");
    batch.bodies.remove(0)
}

fn json(request: &[u8]) -> anyhow::Result<Vec<u8>> {
    let tree = ExportTraceServiceRequest::decode(request).context("a request of the generator")?;
    Ok(serde_json::to_vec(&tree)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{decompressors, json, protobuf, records};

    #[test]
    fn every_seed_passes_its_check() {
        for (target, seeds) in all().unwrap() {
            assert!(!seeds.is_empty(), "{target}");
            let check = match target {
                "protobuf" => protobuf::check,
                "json" => json::check,
                "decompressors" => decompressors::check,
                "records" => records::check,
                other => panic!("{other} has seeds and no target"),
            };
            seeds.iter().for_each(|seed| check(seed));
        }
    }
}
