//! A version before every value and a checksum behind it.

use thiserror::Error;
use tributary_spanmetrics::codec::{DecodeError, Reader, Writer};

#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(crate) enum Damaged {
    #[error("checksum does not match")]
    Checksum,
    #[error(transparent)]
    Content(#[from] DecodeError),
}

pub(crate) fn seal(version: u8, write: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut w = Writer::new();
    w.u8(version);
    write(&mut w);
    let mut bytes = w.into_bytes();
    let sum = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&sum.to_le_bytes());
    bytes
}

/// Reads all of a value; `read` gets what stands between version and checksum.
pub(crate) fn open<T>(
    version: u8,
    value: &[u8],
    read: impl FnOnce(&mut Reader<'_>) -> Result<T, DecodeError>,
) -> Result<T, Damaged> {
    let (bytes, sum) = value.split_last_chunk::<4>().ok_or(Damaged::Checksum)?;
    if crc32fast::hash(bytes) != u32::from_le_bytes(*sum) {
        return Err(Damaged::Checksum);
    }
    let mut r = Reader::new(bytes);
    let found = r.u8()?;
    if found != version {
        return Err(DecodeError::UnknownVersion(found).into());
    }
    let value = read(&mut r)?;
    r.finish()?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_is_found() {
        let value = seal(3, |w| w.str("river"));
        let read = |bytes: &[u8]| open(3, bytes, |r| r.str().map(String::from));
        assert_eq!(read(&value), Ok("river".into()));
        for at in 0..value.len() * 8 {
            let mut flipped = value.clone();
            flipped[at / 8] ^= 1 << (at % 8);
            assert!(read(&flipped).is_err(), "bit {at}");
        }
        assert_eq!(open(4, &value, |_| Ok(())), Err(DecodeError::UnknownVersion(3).into()));
    }
}
