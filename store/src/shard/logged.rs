//! An entry as a record of the shard's log.

use bytes::Bytes;
use tributary_proto::{Digest, Entry, Seq, ShardId, Slice, SourceId};
use tributary_spanmetrics::codec::{DecodeError, Reader, Writer};

const ENTRY_V1: u8 = 1;

const SEALED: u8 = 1;
const SLICE: u8 = 2;
const CLOSE: u8 = 3;

pub(crate) fn encode(entry: &Entry) -> Bytes {
    let mut w = Writer::new();
    w.u8(ENTRY_V1);
    match entry {
        Entry::Sealed { source, after, sealed_to_ms } => {
            w.u8(SEALED);
            w.fixed(source.to_bytes());
            w.varint(after.0);
            w.signed(*sealed_to_ms);
        }
        Entry::Slice(slice) => {
            w.u8(SLICE);
            w.fixed(slice.source.to_bytes());
            w.varint(slice.seq.0);
            w.signed(slice.sealed_to_ms);
            w.fixed(slice.digest.0.to_le_bytes());
            w.raw(&slice.payload);
        }
        Entry::Close { source, last } => {
            w.u8(CLOSE);
            w.fixed(source.to_bytes());
            w.varint(last.0);
        }
    }
    w.into_bytes().into()
}

pub(crate) fn decode(shard: ShardId, record: &Bytes) -> Result<Entry, DecodeError> {
    let mut r = Reader::new(record);
    match r.u8()? {
        ENTRY_V1 => {}
        other => return Err(DecodeError::UnknownVersion(other)),
    }
    let kind = r.u8()?;
    let source: [u8; SourceId::BYTES] = r.fixed()?;
    let source = SourceId::from_bytes(&source).ok_or(DecodeError::Bad("source"))?;
    let number = Seq(r.varint()?);
    let entry = match kind {
        SEALED => Entry::Sealed { source, after: number, sealed_to_ms: r.signed()? },
        CLOSE => Entry::Close { source, last: number },
        SLICE => {
            let sealed_to_ms = r.signed()?;
            let digest = Digest(u128::from_le_bytes(r.fixed()?));
            let payload = record.slice(record.len() - r.left()..);
            let slice = Slice { source, shard, seq: number, digest, sealed_to_ms, payload };
            return Ok(Entry::Slice(slice));
        }
        _ => return Err(DecodeError::Bad("entry")),
    };
    r.finish()?;
    Ok(entry)
}

#[cfg(test)]
mod tests {
    use tributary_proto::{BootId, EdgeId};

    use super::*;

    fn entries() -> [Entry; 3] {
        let source = SourceId { edge: EdgeId([1; 16]), boot: BootId([2; 8]) };
        let slice = Slice {
            source,
            shard: ShardId(3),
            seq: Seq(300),
            digest: Digest(5),
            sealed_to_ms: 10_000,
            payload: Bytes::from_static(b"content"),
        };
        [
            Entry::Sealed { source, after: Seq(7), sealed_to_ms: -1 },
            Entry::Slice(slice),
            Entry::Close { source, last: Seq(9) },
        ]
    }

    #[test]
    fn entries_round_trip() {
        for entry in entries() {
            assert_eq!(decode(ShardId(3), &encode(&entry)), Ok(entry));
        }
    }

    #[test]
    fn the_bytes_are_pinned() {
        let named = format!("{}{}", "01".repeat(16), "02".repeat(8));
        let hex = |entry: &Entry| -> String {
            let bytes = encode(entry);
            bytes
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect::<String>()
                .replace(&named, " source ")
        };
        assert_eq!(entries().each_ref().map(hex), PINNED);
    }

    const PINNED: [&str; 3] = [
        "0101 source 0701",
        "0102 source ac02a09c0105000000000000000000000000000000636f6e74656e74",
        "0103 source 09",
    ];
}
