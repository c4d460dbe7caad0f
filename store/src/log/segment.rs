//! One file of a log.

use std::sync::Arc;

use super::{Index, LogError, Result};
use crate::disk::File;

pub(super) const FORMAT: u32 = 1;
pub(super) const HEADER_BYTES: usize = 24;
const MAGIC: &[u8; 8] = b"TribLog\0";

/// How far apart the known places in a segment are: a reader skips at most so much.
const MARK_EVERY_BYTES: u64 = 64 << 10;

#[derive(Clone)]
pub(super) struct Segment {
    pub(super) path: String,
    pub(super) file: Arc<dyn File>,
    pub(super) first: Index,
    /// Behind its last record.
    pub(super) next: Index,
    /// Durable bytes.
    pub(super) len: u64,
    pub(super) marks: Marks,
    pub(super) holes: Vec<Hole>,
}

/// Lost records, from the first up to, not with, the second, and the bytes that stand there instead.
#[derive(Clone, Debug)]
pub(super) struct Hole {
    pub(super) from: Index,
    pub(super) to: Index,
    pub(super) at: u64,
    pub(super) until: u64,
}

/// Where some of the records begin.
#[derive(Clone, Default)]
pub(super) struct Marks(Vec<(Index, u64)>);

impl Marks {
    pub(super) fn note(&mut self, index: Index, at: u64) {
        if self.0.last().is_none_or(|(_, last)| at >= last + MARK_EVERY_BYTES) {
            self.0.push((index, at));
        }
    }

    pub(super) fn cut(&mut self, len: u64) {
        self.0.retain(|(_, at)| *at < len);
    }

    /// A place at or before the record.
    fn before(&self, index: Index) -> u64 {
        let behind = self.0.partition_point(|(marked, _)| *marked <= index);
        behind.checked_sub(1).map_or(HEADER_BYTES as u64, |at| self.0[at].1)
    }
}

impl Segment {
    pub(super) fn new(path: String, file: Arc<dyn File>, first: Index) -> Self {
        let (marks, holes) = (Marks::default(), Vec::new());
        Segment { path, file, first, next: first, len: 0, marks, holes }
    }

    pub(super) fn start_for(&self, index: Index) -> u64 {
        self.marks.before(index)
    }
}

pub(super) fn path(dir: &str, first: Index) -> String {
    format!("{dir}/{:020}.log", first.0)
}

/// The first index by a file's name; `None` for files that are not segments.
pub(super) fn parse_name(name: &str) -> Option<Index> {
    let digits = name.strip_suffix(".log").filter(|digits| digits.len() == 20)?;
    digits.parse().ok().map(Index).filter(|first| *first <= Index::LAST)
}

pub(super) fn encode_header(out: &mut Vec<u8>, first: Index) {
    let start = out.len();
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&FORMAT.to_le_bytes());
    out.extend_from_slice(&first.0.to_le_bytes());
    let crc = crc32fast::hash(&out[start..]);
    out.extend_from_slice(&crc.to_le_bytes());
}

/// Whether the header is whole; a whole one of another format is an error.
pub(super) fn check_header(path: &str, bytes: &[u8], first: Index) -> Result<bool> {
    let Some((head, crc)) = bytes.split_last_chunk() else {
        return Ok(false);
    };
    if bytes.len() != HEADER_BYTES
        || crc32fast::hash(head) != u32::from_le_bytes(*crc)
        || !head.starts_with(MAGIC)
    {
        return Ok(false);
    }
    let found = head[8..].first_chunk().map_or(0, |format| u32::from_le_bytes(*format));
    if found != FORMAT {
        return Err(LogError::UnknownFormat { path: path.to_owned(), found, known: FORMAT });
    }
    Ok(head[12..] == first.0.to_le_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_of_a_header_are_pinned() {
        let mut out = Vec::new();
        encode_header(&mut out, Index(3));
        assert_eq!(out[..20], *b"TribLog\0\x01\0\0\0\x03\0\0\0\0\0\0\0");
        assert!(check_header("log", &out, Index(3)).unwrap());
        assert!(!check_header("log", &out, Index(4)).unwrap());
        out[9] ^= 1;
        assert!(!check_header("log", &out, Index(3)).unwrap());
    }

    #[test]
    fn another_format_is_refused_with_what_to_do() {
        let mut out = Vec::new();
        encode_header(&mut out, Index(0));
        out[8] = 9;
        let crc = crc32fast::hash(&out[..20]);
        out[20..].copy_from_slice(&crc.to_le_bytes());
        let error = check_header("journal/0.log", &out, Index(0)).unwrap_err().to_string();
        assert!(error.contains("segment format 9 is unknown"), "{error}");
        assert!(error.contains("start the version"), "{error}");
    }

    #[test]
    fn names_sort_by_first_index() {
        let (low, high) = (path("log", Index(9)), path("log", Index(10)));
        assert!(low < high);
        assert_eq!(parse_name(low.strip_prefix("log/").unwrap()), Some(Index(9)));
        assert_eq!(parse_name("notes.log"), None);
    }
}
