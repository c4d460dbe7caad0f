//! The journal's files as bytes: what stands in them, and ways to damage it.

use std::collections::BTreeMap;

use bytes::Bytes;
use rand::Rng;
use tributary_proto::SourceId;

/// By path, as an edge left them.
pub(crate) type Folder = BTreeMap<String, Bytes>;

pub(crate) const DIR: &str = "edge/journal";
const HEADER_BYTES: usize = 24;
const HEAD_BYTES: usize = 24;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Boot,
    Request,
    Closed,
    Define,
    Samples,
    Standing,
    Seal,
}

#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) path: String,
    pub(crate) index: u64,
    pub(crate) kind: Kind,
    pub(crate) source: Option<SourceId>,
    /// Of a request.
    pub(crate) arrival_ns: Option<u64>,
    /// Of samples, the text: in it stands which they are.
    pub(crate) payload: Bytes,
    at: usize,
    end: usize,
}

pub(crate) fn records(folder: &Folder) -> Vec<Found> {
    let mut found = Vec::new();
    for (path, bytes) in folder.iter().filter(|(path, _)| path.starts_with(DIR)) {
        let mut at = HEADER_BYTES;
        while at + HEAD_BYTES <= bytes.len() {
            let number = |from: usize, len: usize| {
                let bytes = bytes[at + from..at + from + len].iter().rev();
                bytes.fold(0u64, |number, byte| number << 8 | u64::from(*byte))
            };
            let end = at + HEAD_BYTES + number(4, 4) as usize;
            let payload = bytes.slice(at + HEAD_BYTES..end);
            found.push(read(path, number(8, 8), payload, at, end));
            at = end;
        }
    }
    found
}

fn read(path: &str, index: u64, payload: Bytes, at: usize, end: usize) -> Found {
    let kind = match payload[1] {
        1 => Kind::Boot,
        2 => Kind::Request,
        5 => Kind::Closed,
        6 => Kind::Define,
        7 => Kind::Samples,
        8 => Kind::Standing,
        9 => Kind::Seal,
        other => panic!("record kind {other}"),
    };
    let source = (kind != Kind::Standing).then(|| {
        let bytes = payload[2..2 + SourceId::BYTES].try_into().expect("so many");
        SourceId::from_bytes(bytes).expect("a source")
    });
    let arrival_ns = (kind == Kind::Request).then(|| {
        let tenant = 2 + SourceId::BYTES;
        let mut rest = &payload[tenant + 1 + usize::from(payload[tenant]) + 16..];
        varint(&mut rest);
        varint(&mut rest)
    });
    Found { path: path.to_owned(), index, kind, source, arrival_ns, payload, at, end }
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut number = 0;
    for shift in (0..).step_by(7) {
        let byte = bytes[0];
        *bytes = &bytes[1..];
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    number
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Harm {
    /// One bit of its payload.
    Flip,
    /// One bit of its length.
    Length,
    /// All of it.
    Zeros,
}

impl Found {
    pub(crate) fn harm(&self, folder: &mut Folder, how: Harm, rng: &mut impl Rng) {
        let mut bytes = folder[&self.path].to_vec();
        match how {
            Harm::Flip => {
                bytes[rng.gen_range(self.at + HEAD_BYTES..self.end)] ^= 1 << rng.gen_range(0..8);
            }
            Harm::Length => bytes[self.at + 4] ^= 1 << rng.gen_range(0..6),
            Harm::Zeros => bytes[self.at..self.end].fill(0),
        }
        folder.insert(self.path.clone(), bytes.into());
    }
}

/// One bit of a segment's header.
pub(crate) fn harm_header(folder: &mut Folder, path: &str, rng: &mut impl Rng) {
    let mut bytes = folder[path].to_vec();
    bytes[rng.gen_range(0..HEADER_BYTES)] ^= 1 << rng.gen_range(0..8);
    folder.insert(path.to_owned(), bytes.into());
}
