//! The journal's records: all that an edge has to remember, in the order in which it happened.
//!
//! ```text
//! Boot(N)  Request …  Request  Seal  Request  Settled(seal, table)  …   crash
//! Boot(M)  Seal(N, whole)  Request(M) …  Settled  Closed(N)  …
//! ```
//!
//! A seal takes from the requests before it, in journal order, so where it stands says what it holds.

use tributary_proto::{Seq, SourceId};
use tributary_spanmetrics::codec::{DecodeError, Reader, Writer};
use tributary_spanmetrics::{ConfigVersion, Content};
use tributary_store::log::Index;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Record {
    /// A process started and speaks as this source.
    Boot {
        source: SourceId,
    },
    Request(Request),
    Seal(Seal),
    /// Every slice of a seal is durable in its shard. Restates the sources, so that the records before
    /// may go.
    Settled {
        seal: Index,
        sources: Vec<(SourceId, Numbers)>,
    },
    /// Every shard has closed the source.
    Closed {
        source: SourceId,
    },
}

/// What a request added, and what it was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) source: SourceId,
    /// Of tenant and body after decompression: by it a retry will be known. The node's own samples have
    /// none.
    pub(crate) fingerprint: Option<u128>,
    pub(crate) config: ConfigVersion,
    pub(crate) arrival_ns: u64,
    pub(crate) accepted: u64,
    pub(crate) late: u64,
    pub(crate) future: u64,
    pub(crate) content: Content,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seal {
    pub(crate) source: SourceId,
    pub(crate) scope: Scope,
    pub(crate) sealed_to_ms: i64,
    /// The last seq given to each shard, before this seal.
    pub(crate) numbers: Numbers,
}

/// Which of the source's open windows a seal takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Those that have ended, and those that end more than `ahead_ms` after `sealed_to`, so that a
    /// span from the future does not hold the journal.
    Ended { ahead_ms: i64 },
    /// All: the source is over.
    Whole,
}

/// The last seq given to each shard.
pub(crate) type Numbers = Vec<Seq>;

const RECORD_V1: u8 = 1;
const BOOT: u8 = 1;
const REQUEST: u8 = 2;
const SEAL: u8 = 3;
const SETTLED: u8 = 4;
const CLOSED: u8 = 5;

impl Record {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.u8(RECORD_V1);
        match self {
            Record::Boot { source } => {
                w.u8(BOOT);
                w.fixed(source.to_bytes());
            }
            Record::Request(request) => {
                w.u8(REQUEST);
                request.encode(&mut w);
            }
            Record::Seal(seal) => {
                w.u8(SEAL);
                seal.encode(&mut w);
            }
            Record::Settled { seal, sources } => {
                w.u8(SETTLED);
                w.varint(seal.0);
                w.varint(sources.len() as u64);
                for (source, numbers) in sources {
                    w.fixed(source.to_bytes());
                    encode_numbers(numbers, &mut w);
                }
            }
            Record::Closed { source } => {
                w.u8(CLOSED);
                w.fixed(source.to_bytes());
            }
        }
        w.into_bytes()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        match r.u8()? {
            RECORD_V1 => {}
            other => return Err(DecodeError::UnknownVersion(other)),
        }
        let record = match r.u8()? {
            BOOT => Record::Boot { source: source(&mut r)? },
            REQUEST => Record::Request(Request::decode(&mut r)?),
            SEAL => Record::Seal(Seal::decode(&mut r)?),
            SETTLED => {
                let seal = Index(r.varint()?);
                let sources = (0..r.varint()?).map(|_| Ok((source(&mut r)?, numbers(&mut r)?)));
                Record::Settled { seal, sources: sources.collect::<Result<_, DecodeError>>()? }
            }
            CLOSED => Record::Closed { source: source(&mut r)? },
            _ => return Err(DecodeError::Bad("record kind")),
        };
        r.finish()?;
        Ok(record)
    }
}

impl Request {
    fn encode(&self, w: &mut Writer) {
        w.fixed(self.source.to_bytes());
        w.u8(self.fingerprint.is_some().into());
        if let Some(fingerprint) = self.fingerprint {
            w.fixed(fingerprint.to_le_bytes());
        }
        w.varint(self.config.0);
        w.varint(self.arrival_ns);
        w.varint(self.accepted);
        w.varint(self.late);
        w.varint(self.future);
        w.bytes(&self.content.encode());
    }

    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Request {
            source: source(r)?,
            fingerprint: match r.u8()? {
                0 => None,
                1 => Some(u128::from_le_bytes(r.fixed()?)),
                _ => return Err(DecodeError::Bad("fingerprint")),
            },
            config: ConfigVersion(r.varint()?),
            arrival_ns: r.varint()?,
            accepted: r.varint()?,
            late: r.varint()?,
            future: r.varint()?,
            content: Content::decode(r.bytes()?)?,
        })
    }
}

const ENDED: u8 = 1;
const WHOLE: u8 = 2;

impl Seal {
    fn encode(&self, w: &mut Writer) {
        w.fixed(self.source.to_bytes());
        match self.scope {
            Scope::Ended { ahead_ms } => {
                w.u8(ENDED);
                w.signed(ahead_ms);
            }
            Scope::Whole => w.u8(WHOLE),
        }
        w.signed(self.sealed_to_ms);
        encode_numbers(&self.numbers, w);
    }

    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let source = source(r)?;
        let scope = match r.u8()? {
            ENDED => Scope::Ended { ahead_ms: r.signed()? },
            WHOLE => Scope::Whole,
            _ => return Err(DecodeError::Bad("scope of a seal")),
        };
        Ok(Seal { source, scope, sealed_to_ms: r.signed()?, numbers: numbers(r)? })
    }
}

fn source(r: &mut Reader<'_>) -> Result<SourceId, DecodeError> {
    let bytes: [u8; SourceId::BYTES] = r.fixed()?;
    SourceId::from_bytes(&bytes).ok_or(DecodeError::Bad("source"))
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

    #[test]
    fn records_round_trip() {
        let source = SourceId { edge: EdgeId([3; 16]), boot: BootId([4; 8]) };
        let numbers = vec![Seq(0), Seq(700)];
        let seal = |scope| Seal { source, scope, sealed_to_ms: -1, numbers: numbers.clone() };
        let request = Request {
            source,
            fingerprint: Some(u128::MAX),
            config: ConfigVersion(7),
            arrival_ns: u64::MAX,
            accepted: 1,
            late: 2,
            future: 3,
            content: Content::default(),
        };
        for record in [
            Record::Boot { source },
            Record::Request(request),
            Record::Seal(seal(Scope::Ended { ahead_ms: 30_000 })),
            Record::Seal(seal(Scope::Whole)),
            Record::Settled { seal: Index(5), sources: vec![(source, numbers.clone())] },
            Record::Closed { source },
        ] {
            assert_eq!(Record::decode(&record.encode()), Ok(record));
        }
    }

    #[test]
    fn the_bytes_are_pinned() {
        let source = SourceId { edge: EdgeId([3; 16]), boot: BootId([4; 8]) };
        let numbers = vec![Seq(0), Seq(700)];
        let seal = |scope| Seal { source, scope, sealed_to_ms: -1, numbers: numbers.clone() };
        let request = |fingerprint| Request {
            source,
            fingerprint,
            config: ConfigVersion(7),
            arrival_ns: 1_700_000_000_000_000_000,
            accepted: 1,
            late: 2,
            future: 300,
            content: Content::default(),
        };
        let records = [
            Record::Boot { source },
            Record::Request(request(Some(0x0102))),
            Record::Request(request(None)),
            Record::Seal(seal(Scope::Ended { ahead_ms: 30_000 })),
            Record::Seal(seal(Scope::Whole)),
            Record::Settled { seal: Index(500), sources: vec![(source, numbers.clone())] },
            Record::Closed { source },
        ];
        let hex = |record: &Record| -> String {
            record.encode().iter().map(|byte| format!("{byte:02x}")).collect()
        };
        // The source's own bytes, for the sake of the reader.
        let named = format!("{}{}", "03".repeat(16), "04".repeat(8));
        let written = records.each_ref().map(|record| hex(record).replace(&named, " source "));
        assert_eq!(written, PINNED);
    }

    #[test]
    fn an_unknown_record_is_refused() {
        assert_eq!(Record::decode(&[2, 1]), Err(DecodeError::UnknownVersion(2)));
        assert_eq!(Record::decode(&[1, 99]), Err(DecodeError::Bad("record kind")));
    }

    const PINNED: [&str; 7] = [
        "0101 source ",
        "0102 source 0102010000000000000000000000000000078080a8b1e39fe7cb170102ac02020100",
        "0102 source 00078080a8b1e39fe7cb170102ac02020100",
        "0103 source 01e0d403010200bc05",
        "0103 source 02010200bc05",
        "0104f40301 source 0200bc05",
        "0105 source ",
    ];
}
