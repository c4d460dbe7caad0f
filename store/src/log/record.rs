//! One record as bytes.

use bytes::Bytes;

use super::Index;
use super::window::Window;
use crate::disk;

/// A longer payload is refused, and a longer length read back is garbage: it must not allocate.
pub const MAX_RECORD_BYTES: usize = (64 << 20) + (64 << 10);

pub(super) const HEAD_BYTES: usize = 24;

pub(super) struct Record {
    pub(super) index: Index,
    /// Everything below was synced before this record's batch was written.
    pub(super) vouched: Index,
    pub(super) payload: Bytes,
}

impl Record {
    /// Bytes on disk.
    pub(super) fn size(&self) -> u64 {
        (HEAD_BYTES + self.payload.len()) as u64
    }
}

pub(super) struct Head {
    crc: u32,
    pub(super) len: usize,
    pub(super) index: Index,
    pub(super) vouched: Index,
}

impl Head {
    /// `None` for fewer bytes than a head has.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let (crc, rest) = bytes.split_first_chunk()?;
        let (len, rest) = rest.split_first_chunk()?;
        let (index, rest) = rest.split_first_chunk()?;
        let (vouched, _) = rest.split_first_chunk()?;
        Some(Head {
            crc: u32::from_le_bytes(*crc),
            len: u32::from_le_bytes(*len) as usize,
            index: Index(u64::from_le_bytes(*index)),
            vouched: Index(u64::from_le_bytes(*vouched)),
        })
    }

    /// Whether somebody may have written it, whatever its checksum says.
    pub(super) fn is_plausible(&self) -> bool {
        self.len <= MAX_RECORD_BYTES && self.vouched <= self.index && self.index <= Index::LAST
    }
}

/// What a record is to hold, in one piece or in two, so that who puts something before the bytes of others
/// need not copy them.
pub(super) trait Payload: Sync {
    fn parts(&self) -> [&[u8]; 2];

    fn size(&self) -> usize {
        self.parts().iter().map(|part| part.len()).sum()
    }
}

impl Payload for Bytes {
    fn parts(&self) -> [&[u8]; 2] {
        [self, &[]]
    }
}

impl Payload for [Bytes; 2] {
    fn parts(&self) -> [&[u8]; 2] {
        [&self[0], &self[1]]
    }
}

pub(super) fn encode(out: &mut Vec<u8>, index: Index, vouched: Index, parts: [&[u8]; 2]) {
    let start = out.len();
    let len = parts.iter().map(|part| part.len()).sum::<usize>();
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&(len as u32).to_le_bytes());
    out.extend_from_slice(&index.0.to_le_bytes());
    out.extend_from_slice(&vouched.0.to_le_bytes());
    out.extend_from_slice(parts[0]);
    out.extend_from_slice(parts[1]);
    let crc = crc32fast::hash(&out[start + 4..]);
    out[start..start + 4].copy_from_slice(&crc.to_le_bytes());
}

/// The whole record at the window's place; `None` when what stands there is not one.
pub(super) async fn read(window: &mut Window) -> disk::Result<Option<Record>> {
    let Some(head) = Head::parse(&window.peek(HEAD_BYTES).await?) else {
        return Ok(None);
    };
    if !head.is_plausible() || (HEAD_BYTES + head.len) as u64 > window.left() {
        return Ok(None);
    }
    Ok(parse(&window.peek(HEAD_BYTES + head.len).await?))
}

/// The record that these bytes begin with, if it is whole.
pub(super) fn parse(bytes: &Bytes) -> Option<Record> {
    let head = Head::parse(bytes)?;
    let end = HEAD_BYTES + head.len;
    if bytes.len() < end || crc32fast::hash(&bytes[4..end]) != head.crc {
        return None;
    }
    let payload = bytes.slice(HEAD_BYTES..end);
    Some(Record { index: head.index, vouched: head.vouched, payload })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_of_a_record_are_pinned() {
        let mut out = Vec::new();
        encode(&mut out, Index(7), Index(5), [b"ab", b"c"]);
        let pinned: &[u8] = &[
            0x03, 0, 0, 0, // length
            7, 0, 0, 0, 0, 0, 0, 0, // index
            5, 0, 0, 0, 0, 0, 0, 0, // vouched
            b'a', b'b', b'c',
        ];
        assert_eq!(&out[4..], pinned);
        assert_eq!(out[..4], crc32fast::hash(pinned).to_le_bytes());
    }

    #[test]
    fn zeros_are_no_record() {
        let head = Head::parse(&[0; HEAD_BYTES]).unwrap();
        assert_ne!(head.crc, crc32fast::hash(&[0; HEAD_BYTES - 4]));
    }
}
