//! The journal's records: all that an edge has to remember, in the order in which it happened.
//!
//! ```text
//! Boot(N)  Standing  Define  Request …  Request  Seal  Standing  Define  Request  Standing  …   crash
//! Boot(M)  Standing  Seal(N, whole)  Standing  Define  Request(M) …  Standing  Closed(N)  …
//! ```
//!
//! A request names groups by number; what a number means stands before it in the same segment. A seal
//! takes from the requests before it, in journal order, so where it stands says what it holds.
//!
//! What a [`Standing`] says is said again in a later batch before anything is let go of because of it. So
//! one record that is lost, of whatever kind but a request, loses nothing (decision 0009).

use std::collections::BTreeSet;

use bytes::Bytes;
use tributary_proto::{Seq, ShardId, SourceId};
use tributary_spanmetrics::codec::{DecodeError, Reader, Writer};
use tributary_spanmetrics::{ConfigVersion, Content, Group, GroupNumber, Layout, Partial, Tenant};
use tributary_store::log::Index;

use crate::dedup::{Fingerprint, Uptime};
use crate::ingest::TraceAnswer;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Record {
    /// A process started and speaks as this source.
    Boot {
        source: SourceId,
    },
    Define(Define),
    Request(Request),
    /// The node's own samples, which are counted by nobody.
    Samples {
        source: SourceId,
        content: Content,
    },
    Seal(Seal),
    Standing(Standing),
    /// Every shard has closed the source.
    Closed {
        source: SourceId,
    },
}

/// What a source's requests name from here on, in this segment: each stands alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Define {
    pub(crate) source: SourceId,
    pub(crate) layouts: Vec<Layout>,
    pub(crate) groups: Vec<Defined>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Defined {
    pub(crate) number: GroupNumber,
    pub(crate) tenant: Tenant,
    pub(crate) group: Group,
}

/// What a request added, and what it was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) head: RequestHead,
    /// Encoded: it names groups and a layout that stand in records before it.
    pub(crate) partial: Bytes,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RequestHead {
    pub(crate) source: SourceId,
    pub(crate) tenant: Tenant,
    /// Of tenant and body after decompression: by it a retry is known.
    pub(crate) fingerprint: Fingerprint,
    pub(crate) config: ConfigVersion,
    pub(crate) arrival_ns: u64,
    /// The edge's own time, by which the fingerprint ages.
    pub(crate) uptime: Uptime,
    pub(crate) answer: TraceAnswer,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seal {
    pub(crate) source: SourceId,
    pub(crate) scope: Scope,
    pub(crate) sealed_to_ms: i64,
    /// The last seq given to each shard, before this seal.
    pub(crate) numbers: Numbers,
    /// Those that have a slice in it.
    pub(crate) shards: BTreeSet<ShardId>,
}

/// How everything stands, so that the records before may go: a source that is not named is closed, a seal
/// that is not named is durable in its shards.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) sources: Vec<SourceStanding>,
    /// By their place in the journal, in order.
    pub(crate) unsettled: Vec<(Index, Seal)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SourceStanding {
    pub(crate) source: SourceId,
    pub(crate) touched: Touched,
    /// What its last seal took, and up to where.
    pub(crate) sealed: Option<(Scope, i64)>,
    /// The last seq given to each shard.
    pub(crate) numbers: Numbers,
}

/// Which of the source's open windows a seal takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Those that have ended, and those that end more than `ahead_ms` after `sealed_to`, so that a
    /// span from the future does not hold the journal.
    Ended { ahead_ms: i64 },
    /// The same, where `sealed_to` was promised before: earlier seals may have come as far.
    Again { ahead_ms: i64 },
    /// All: the source is over.
    Whole,
}

/// Whether records of a source's time are lost, so that its slices may not be what they were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Touched {
    #[default]
    Not,
    /// The journal ended in what was cut off: nobody was told of it, unless it was damaged.
    Cut,
    Damaged,
}

/// The last seq given to each shard.
pub(crate) type Numbers = Vec<Seq>;

const RECORD_V1: u8 = 1;
const BOOT: u8 = 1;
const REQUEST: u8 = 2;
// 3 was a seal that did not name its shards, 4 a note of one seal that is settled.
const CLOSED: u8 = 5;
const DEFINE: u8 = 6;
const SAMPLES: u8 = 7;
const STANDING: u8 = 8;
const SEAL: u8 = 9;

impl Record {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.u8(RECORD_V1);
        match self {
            Record::Boot { source } => {
                w.u8(BOOT);
                w.fixed(source.to_bytes());
            }
            Record::Define(define) => {
                w.u8(DEFINE);
                define.encode(&mut w);
            }
            Record::Request(request) => {
                w.u8(REQUEST);
                request.head.encode(&mut w);
                w.raw(&request.partial);
            }
            Record::Samples { source, content } => {
                w.u8(SAMPLES);
                w.fixed(source.to_bytes());
                w.bytes(&content.encode());
            }
            Record::Seal(seal) => {
                w.u8(SEAL);
                seal.encode(&mut w);
            }
            Record::Standing(standing) => {
                w.u8(STANDING);
                standing.encode(&mut w);
            }
            Record::Closed { source } => {
                w.u8(CLOSED);
                w.fixed(source.to_bytes());
            }
        }
        w.into_bytes()
    }

    pub(crate) fn decode(bytes: &Bytes) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        match r.u8()? {
            RECORD_V1 => {}
            other => return Err(DecodeError::UnknownVersion(other)),
        }
        let record = match r.u8()? {
            BOOT => Record::Boot { source: source(&mut r)? },
            DEFINE => Record::Define(Define::decode(&mut r)?),
            REQUEST => {
                let head = RequestHead::decode(&mut r)?;
                let partial = bytes.slice(bytes.len() - r.left()..);
                return Ok(Record::Request(Request { head, partial }));
            }
            SAMPLES => {
                let source = source(&mut r)?;
                Record::Samples { source, content: Content::decode(r.bytes()?)? }
            }
            SEAL => Record::Seal(Seal::decode(&mut r)?),
            STANDING => Record::Standing(Standing::decode(&mut r)?),
            CLOSED => Record::Closed { source: source(&mut r)? },
            _ => return Err(DecodeError::Bad("record kind")),
        };
        r.finish()?;
        Ok(record)
    }
}

impl Define {
    fn encode(&self, w: &mut Writer) {
        w.fixed(self.source.to_bytes());
        w.varint_u64(self.layouts.len() as u64);
        self.layouts.iter().for_each(|layout| layout.encode(w));
        w.varint_u64(self.groups.len() as u64);
        for Defined { number, tenant, group } in &self.groups {
            w.varint_u64(number.0.into());
            w.str(tenant.as_str());
            group.encode(w);
        }
    }

    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let source = source(r)?;
        let mut layouts = Vec::new();
        for _ in 0..r.varint()? {
            layouts.push(Layout::decode(r)?);
        }
        let mut groups = Vec::new();
        for _ in 0..r.varint()? {
            let number = u32::try_from(r.varint()?).map_err(|_| DecodeError::Bad("group"))?;
            let tenant = Tenant::new(r.str()?).map_err(|_| DecodeError::Bad("tenant"))?;
            groups.push(Defined { number: GroupNumber(number), tenant, group: Group::decode(r)? });
        }
        Ok(Define { source, layouts, groups })
    }
}

impl RequestHead {
    /// A request's record.
    pub(crate) fn record(&self, partial: &Partial) -> Bytes {
        let mut w = Writer::onto(Vec::with_capacity(128 + 8 * partial.cells.len()));
        w.u8(RECORD_V1);
        w.u8(REQUEST);
        self.encode(&mut w);
        partial.encode(&mut w);
        w.into_bytes().into()
    }

    fn encode(&self, w: &mut Writer) {
        w.fixed(self.source.to_bytes());
        w.str(self.tenant.as_str());
        w.fixed(self.fingerprint.0.to_le_bytes());
        w.varint_u64(self.config.0);
        w.varint_u64(self.arrival_ns);
        w.varint_u64(self.uptime.0);
        let TraceAnswer { accepted, late, future } = self.answer;
        [accepted, late, future].into_iter().for_each(|spans| w.varint_u64(spans));
    }

    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(RequestHead {
            source: source(r)?,
            tenant: Tenant::new(r.str()?).map_err(|_| DecodeError::Bad("tenant"))?,
            fingerprint: Fingerprint(u128::from_le_bytes(r.fixed()?)),
            config: ConfigVersion(r.varint()?),
            arrival_ns: r.varint()?,
            uptime: Uptime(r.varint()?),
            answer: TraceAnswer { accepted: r.varint()?, late: r.varint()?, future: r.varint()? },
        })
    }
}

impl Seal {
    fn encode(&self, w: &mut Writer) {
        w.fixed(self.source.to_bytes());
        self.scope.encode(w);
        w.signed(self.sealed_to_ms);
        encode_numbers(&self.numbers, w);
        w.varint(self.shards.len() as u64);
        self.shards.iter().for_each(|shard| w.varint(shard.0));
    }

    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Seal {
            source: source(r)?,
            scope: Scope::decode(r)?,
            sealed_to_ms: r.signed()?,
            numbers: numbers(r)?,
            shards: shards(r)?,
        })
    }
}

impl Standing {
    fn encode(&self, w: &mut Writer) {
        w.varint(self.sources.len() as u64);
        for SourceStanding { source, touched, sealed, numbers } in &self.sources {
            w.fixed(source.to_bytes());
            w.u8(*touched as u8);
            match sealed {
                None => w.u8(NEVER),
                Some((scope, sealed_to_ms)) => {
                    scope.encode(w);
                    w.signed(*sealed_to_ms);
                }
            }
            encode_numbers(numbers, w);
        }
        w.varint(self.unsettled.len() as u64);
        for (at, seal) in &self.unsettled {
            w.varint(at.0);
            seal.encode(w);
        }
    }

    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let sources =
            (0..r.varint()?).map(|_| SourceStanding::decode(r)).collect::<Result<_, _>>()?;
        let unsettled = (0..r.varint()?).map(|_| Ok((Index(r.varint()?), Seal::decode(r)?)));
        Ok(Standing { sources, unsettled: unsettled.collect::<Result<_, DecodeError>>()? })
    }
}

impl SourceStanding {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let source = source(r)?;
        let touched = match r.u8()? {
            0 => Touched::Not,
            1 => Touched::Cut,
            2 => Touched::Damaged,
            _ => return Err(DecodeError::Bad("touched")),
        };
        let sealed = match r.u8()? {
            NEVER => None,
            kind => Some((Scope::of_kind(kind, r)?, r.signed()?)),
        };
        Ok(SourceStanding { source, touched, sealed, numbers: numbers(r)? })
    }
}

const NEVER: u8 = 0;
const ENDED: u8 = 1;
const WHOLE: u8 = 2;
const AGAIN: u8 = 3;

impl Scope {
    /// How far behind `sealed_to` what it takes begins again; `None` where it takes all.
    pub(crate) fn ahead_ms(self) -> Option<i64> {
        match self {
            Scope::Ended { ahead_ms } | Scope::Again { ahead_ms } => Some(ahead_ms),
            Scope::Whole => None,
        }
    }

    fn encode(self, w: &mut Writer) {
        match self {
            Scope::Ended { ahead_ms } => {
                w.u8(ENDED);
                w.signed(ahead_ms);
            }
            Scope::Again { ahead_ms } => {
                w.u8(AGAIN);
                w.signed(ahead_ms);
            }
            Scope::Whole => w.u8(WHOLE),
        }
    }

    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let kind = r.u8()?;
        Scope::of_kind(kind, r)
    }

    fn of_kind(kind: u8, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match kind {
            ENDED => Ok(Scope::Ended { ahead_ms: r.signed()? }),
            WHOLE => Ok(Scope::Whole),
            AGAIN => Ok(Scope::Again { ahead_ms: r.signed()? }),
            _ => Err(DecodeError::Bad("scope of a seal")),
        }
    }
}

fn source(r: &mut Reader<'_>) -> Result<SourceId, DecodeError> {
    let bytes: [u8; SourceId::BYTES] = r.fixed()?;
    SourceId::from_bytes(&bytes).ok_or(DecodeError::Bad("source"))
}

fn shards(r: &mut Reader<'_>) -> Result<BTreeSet<ShardId>, DecodeError> {
    let mut shards = BTreeSet::new();
    for _ in 0..r.varint()? {
        let shard = u16::try_from(r.varint()?).map_err(|_| DecodeError::Bad("shard"))?;
        if shards.last() >= Some(&ShardId(shard)) {
            return Err(DecodeError::Bad("shard: out of order"));
        }
        shards.insert(ShardId(shard));
    }
    Ok(shards)
}

fn encode_numbers(numbers: &Numbers, w: &mut Writer) {
    w.varint(numbers.len() as u64);
    numbers.iter().for_each(|seq| w.varint(seq.0));
}

fn numbers(r: &mut Reader<'_>) -> Result<Numbers, DecodeError> {
    (0..r.varint()?).map(|_| r.varint().map(Seq)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tributary_proto::{BootId, EdgeId};
    use tributary_spanmetrics::{Labels, LayoutId, Slot, SpanKind, StatusCode, WindowEnd};

    fn records() -> [Record; 10] {
        let source = SourceId { edge: EdgeId([3; 16]), boot: BootId([4; 8]) };
        let numbers = vec![Seq(0), Seq(700)];
        let shards = BTreeSet::from([ShardId(0), ShardId(300)]);
        let seal = |scope| {
            let (numbers, shards) = (numbers.clone(), shards.clone());
            Seal { source, scope, sealed_to_ms: -1, numbers, shards }
        };
        let stands = |touched, sealed| {
            let numbers = numbers.clone();
            SourceStanding { source, touched, sealed, numbers }
        };
        let group = Group {
            service: "shop".into(),
            span_name: "pay".into(),
            kind: SpanKind::Server,
            status: StatusCode::Error,
            dimensions: Labels::from_pairs([("zone", "b")]),
            external: Labels::default(),
        };
        let groups = vec![Defined { number: GroupNumber(300), tenant: Tenant::default(), group }];
        let layouts = vec![Layout::explicit(10_000, vec![5, 9]).expect("ascends")];
        let head = RequestHead {
            source,
            tenant: Tenant::default(),
            fingerprint: Fingerprint(0x0102),
            config: ConfigVersion(7),
            arrival_ns: 1_700_000_000_000_000_000,
            uptime: Uptime(5000),
            answer: TraceAnswer { accepted: 1, late: 2, future: 300 },
        };
        let mut partial = Partial::new(LayoutId(1));
        let window = partial.add_window(WindowEnd(10_000));
        partial.add_cell(Slot(0), GroupNumber(300), window, 2, 12);
        let request = Record::decode(&head.record(&partial)).expect("its own");
        let content = Content::default();
        [
            Record::Boot { source },
            Record::Define(Define { source, layouts, groups }),
            request,
            Record::Samples { source, content },
            Record::Seal(seal(Scope::Ended { ahead_ms: 30_000 })),
            Record::Seal(seal(Scope::Whole)),
            Record::Seal(seal(Scope::Again { ahead_ms: 30_000 })),
            Record::Standing(Standing {
                sources: vec![
                    stands(Touched::Not, None),
                    stands(Touched::Cut, Some((Scope::Ended { ahead_ms: 1 }, -1))),
                    stands(Touched::Damaged, Some((Scope::Whole, 0))),
                ],
                unsettled: vec![(Index(500), seal(Scope::Whole))],
            }),
            Record::Standing(Standing::default()),
            Record::Closed { source },
        ]
    }

    #[test]
    fn records_round_trip() {
        for record in records() {
            assert_eq!(Record::decode(&record.encode().into()), Ok(record));
        }
    }

    #[test]
    fn the_bytes_are_pinned() {
        let hex = |record: &Record| -> String {
            record.encode().iter().map(|byte| format!("{byte:02x}")).collect()
        };
        // The source's own bytes, for the sake of the reader.
        let named = format!("{}{}", "03".repeat(16), "04".repeat(8));
        let written = records().each_ref().map(|record| hex(record).replace(&named, " source "));
        assert_eq!(written, PINNED);
    }

    #[test]
    fn a_seal_that_names_a_shard_twice_is_refused() {
        let seal = records().into_iter().find(|record| matches!(record, Record::Seal(_)));
        let mut bytes = seal.expect("there are seals").encode();
        let shards = bytes.len() - 3;
        bytes.splice(shards.., [5, 5]);
        let refused = Record::decode(&bytes.into());
        assert_eq!(refused, Err(DecodeError::Bad("shard: out of order")));
    }

    #[test]
    fn an_unknown_record_is_refused() {
        let read = |bytes: &'static [u8]| Record::decode(&Bytes::from_static(bytes));
        assert_eq!(read(&[2, 1]), Err(DecodeError::UnknownVersion(2)));
        assert_eq!(read(&[1, 99]), Err(DecodeError::Bad("record kind")));
    }

    const PINNED: [&str; 10] = [
        "0101 source ",
        "0106 source 0101904e02050401ac020764656661756c740473686f7003706179020201047a6f6e65016200",
        "0102 source 0764656661756c7402010000000000000000000000000000078080a8b1e39fe7cb17882701\
         02ac02010000000000000001a09c0101ac02040c",
        "0107 source 020100",
        "0109 source 01e0d403010200bc050200ac02",
        "0109 source 02010200bc050200ac02",
        "0109 source 03e0d403010200bc050200ac02",
        "010803 source 00000200bc05 source 010102010200bc05 source 0202000200bc0501f403 source 02010200bc050200ac02",
        "01080000",
        "0105 source ",
    ];
}
