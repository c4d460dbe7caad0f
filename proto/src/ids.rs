//! Ids. Each has a fixed binary form, used in keys and in the journal.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// An edge's installation: random, made with its folder, kept in it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EdgeId(pub [u8; 16]);

/// One start of an edge's process: random.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BootId(pub [u8; 8]);

/// Who numbers slices: an edge between two starts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId {
    pub edge: EdgeId,
    pub boot: BootId,
}

/// A fixed slice of the hash space of groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(pub u16);

/// A slice's number within its source and shard; the first is 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(pub u64);

/// What a slice says, whatever bytes it came in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub u128);

#[derive(Debug, Error, PartialEq, Eq)]
#[error("{0:?} is not an edge id of 32 hexadecimal digits")]
pub struct InvalidEdgeId(String);

impl SourceId {
    pub const BYTES: usize = 24;

    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..16].copy_from_slice(&self.edge.0);
        bytes[16..].copy_from_slice(&self.boot.0);
        bytes
    }

    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (edge, boot) = bytes.split_first_chunk::<16>()?;
        Some(SourceId { edge: EdgeId(*edge), boot: BootId(boot.try_into().ok()?) })
    }
}

impl Seq {
    pub fn next(self) -> Seq {
        Seq(self.0 + 1)
    }
}

impl FromStr for EdgeId {
    type Err = InvalidEdgeId;

    fn from_str(text: &str) -> Result<Self, InvalidEdgeId> {
        let digits_only = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
        match u128::from_str_radix(text, 16) {
            Ok(id) if digits_only => Ok(EdgeId(id.to_be_bytes())),
            _ => Err(InvalidEdgeId(text.into())),
        }
    }
}

impl fmt::Display for EdgeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Display for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

impl fmt::Display for SourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.edge, self.boot)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

macro_rules! debug_as_display {
    ($($id:ty),*) => {$(
        impl fmt::Debug for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    )*};
}
debug_as_display!(EdgeId, BootId, SourceId, Digest);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edge_id_reads_what_it_writes() {
        let id = EdgeId([7; 16]);
        assert_eq!(id.to_string().parse(), Ok(id));
        for bad in ["", "7", "+7070707070707070707070707070707", "g7070707070707070707070707070707"]
        {
            assert!(bad.parse::<EdgeId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn source_id_bytes_round_trip() {
        let id = SourceId { edge: EdgeId([1; 16]), boot: BootId([2; 8]) };
        assert_eq!(SourceId::from_bytes(&id.to_bytes()), Some(id));
        assert_eq!(SourceId::from_bytes(&[0; 23]), None);
    }
}
