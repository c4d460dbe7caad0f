//! What a power cut may leave of a MANIFEST, set right before RocksDB reads it.
//!
//! RocksDB adds records to its MANIFEST and syncs it before anybody is told that a flush went well. A cut on the
//! way may leave the last record's head, and zeros for its end. RocksDB then takes the whole database for
//! damaged, though nothing is lost that anybody was promised. So such a record is cut off. Damage of any other
//! kind is refused: behind it stands what was promised.
//!
//! The form is that of RocksDB's logs: fragments of a head (CRC32C, masked; length; kind) and a payload, none over
//! the end of a block of 32 KiB, whose last bytes are left if no head fits in them. A record is one fragment, or a
//! first, some middle ones and a last.

use std::fs;
use std::io;
use std::ops::Range;
use std::path::Path;

use tracing::warn;

use crate::disk::{DiskError, ErrorKind, Result};

const BLOCK_BYTES: usize = 32 << 10;
const HEAD_BYTES: usize = 7;
/// What a disk writes whole.
const SECTOR_BYTES: usize = 512;
/// No sound record ends with so many zeros.
const ZEROS: usize = 8;

const ADVICE: &str =
    "bring the folder back from a copy, or keep it aside and start with another --data";

/// Cuts a torn last record off the MANIFEST of the database in `full`, where there is one.
pub(super) fn mend(dir: &str, full: &Path) -> Result<()> {
    let read = |name: &str| match fs::read(full.join(name)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read.map(Some).map_err(|error| DiskError::io(dir, "read manifest", &error)),
    };
    let refused = |what: String| {
        Err(DiskError::new(ErrorKind::Corrupt, dir, "open families", format!("{what}: {ADVICE}")))
    };
    let Some(current) = read("CURRENT")? else { return Ok(()) };
    let Some(name) = named(&current) else { return refused("CURRENT names no MANIFEST".into()) };
    let Some(log) = read(name)? else { return refused(format!("{name} is not there")) };
    match examine(&log) {
        Ending::Sound => Ok(()),
        Ending::Torn(at) => {
            let torn = log.len() - at;
            warn!(dir, name, at, bytes = torn, "cut off a record that a power cut had torn");
            cut(&full.join(name), at).map_err(|error| DiskError::io(dir, "cut manifest", &error))
        }
        Ending::Damaged(at) => refused(format!("{name} is damaged at byte {at}")),
    }
}

/// With what to do, where the bytes are wrong.
pub(super) fn advised(mut error: DiskError) -> DiskError {
    if error.kind == ErrorKind::Corrupt {
        error.reason += &format!(": {ADVICE}");
    }
    error
}

fn named(current: &[u8]) -> Option<&str> {
    let name = str::from_utf8(current).ok()?.strip_suffix('\n')?;
    let number = name.strip_prefix("MANIFEST-")?;
    number.bytes().all(|byte| byte.is_ascii_digit()).then_some(name)
}

fn cut(path: &Path, len: usize) -> io::Result<()> {
    let file = fs::OpenOptions::new().write(true).open(path)?;
    file.set_len(len as u64)?;
    file.sync_all()
}

#[derive(Debug, PartialEq, Eq)]
enum Ending {
    /// As far as RocksDB reads; an end in the middle of a record it leaves out by itself.
    Sound,
    /// From the start of a record on nothing is of use, and a cut explains it.
    Torn(usize),
    Damaged(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Whole,
    First,
    Middle,
    Last,
}

fn examine(log: &[u8]) -> Ending {
    let mut at = 0;
    // Where the record began whose last fragment is still to come.
    let mut begun = None;
    loop {
        at = skip_block_end(at);
        if at + HEAD_BYTES > log.len() {
            return Ending::Sound;
        }
        if log[at + 6] > 4 {
            // A kind that is not known here: RocksDB may know it.
            return Ending::Sound;
        }
        let Some((kind, fragment)) = fragment(log, at) else {
            return judge(log, begun, at);
        };
        begun = match (kind, begun) {
            (Kind::Whole, None) | (Kind::Last, Some(_)) => None,
            (Kind::First, None) => Some(at),
            (Kind::Middle, Some(begun)) => Some(begun),
            _ => return Ending::Damaged(at),
        };
        at = fragment.end;
    }
}

/// What to make of a fragment at `at` that is none.
fn judge(log: &[u8], begun: Option<usize>, at: usize) -> Ending {
    let start = begun.unwrap_or(at);
    let begins = |at: &usize| {
        log.get(at + 6).is_some_and(|kind| matches!(kind, 1 | 2)) && fragment(log, *at).is_some()
    };
    let behind = (at + 1..log.len()).find(begins);
    let is_hole = begun.is_none() && log[at..at + HEAD_BYTES].iter().all(|byte| *byte == 0);
    match behind {
        // Where nothing begins RocksDB ends by itself, but for what stands in later blocks.
        _ if is_hole && behind.is_none_or(|behind| behind / BLOCK_BYTES == at / BLOCK_BYTES) => {
            Ending::Sound
        }
        // CURRENT named it when its first record was synced.
        None if start > 0 && is_torn(log, start, at) => Ending::Torn(start),
        _ => Ending::Damaged(at),
    }
}

/// Whether the end of the log looks like sectors that were not written: a bit that flipped does not.
fn is_torn(log: &[u8], start: usize, at: usize) -> bool {
    let length = usize::from(u16::from_le_bytes([log[at + 4], log[at + 5]]));
    let ends_early = at + HEAD_BYTES + length > log.len();
    let zeros = log[start..].iter().rev().take_while(|byte| **byte == 0).count();
    let mut sectors = (start.next_multiple_of(SECTOR_BYTES)..log.len()).step_by(SECTOR_BYTES);
    let is_empty = |at: usize| log[at..].iter().take(SECTOR_BYTES).all(|byte| *byte == 0);
    ends_early || zeros >= ZEROS || sectors.any(is_empty)
}

/// The sound fragment at `at`, and where it stands.
fn fragment(log: &[u8], at: usize) -> Option<(Kind, Range<usize>)> {
    let head: &[u8; HEAD_BYTES] = log.get(at..)?.first_chunk()?;
    let kind = match head[6] {
        1 => Kind::Whole,
        2 => Kind::First,
        3 => Kind::Middle,
        4 => Kind::Last,
        _ => return None,
    };
    let end = at + HEAD_BYTES + usize::from(u16::from_le_bytes([head[4], head[5]]));
    let ends_in_block = (end - 1) / BLOCK_BYTES == at / BLOCK_BYTES;
    let checked = log.get(at + 6..end).filter(|_| ends_in_block)?;
    let stored = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
    (masked(crc32c(checked)) == stored).then_some((kind, at..end))
}

fn skip_block_end(at: usize) -> usize {
    let left = BLOCK_BYTES - at % BLOCK_BYTES;
    if left < HEAD_BYTES { at + left } else { at }
}

/// As RocksDB stores it, since a checksum of bytes that hold checksums is a poor one.
fn masked(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

fn crc32c(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = table();
    let step = |crc: u32, byte: &u8| TABLE[usize::from(crc as u8 ^ byte)] ^ (crc >> 8);
    !bytes.iter().fold(!0, step)
}

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 256 {
        let (mut crc, mut bit) = (at as u32, 0);
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
            bit += 1;
        }
        table[at] = crc;
        at += 1;
    }
    table
}

#[cfg(test)]
#[path = "manifest_test.rs"]
mod tests;
