//! The primitives of our binary forms: LEB128 integers and length-prefixed bytes.
//!
//! A value has one encoding only: an overlong integer is refused, so that equal content has equal
//! bytes and a digest over them.

use thiserror::Error;

#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum DecodeError {
    #[error("the bytes end in the middle of a value")]
    Truncated,
    #[error("{0} bytes are left over behind the last value")]
    Trailing(usize),
    #[error("format version {0} is unknown to this build")]
    UnknownVersion(u8),
    #[error("bad {0}")]
    Bad(&'static str),
}

#[derive(Debug, Default)]
pub struct Writer(Vec<u8>);

impl Writer {
    pub fn new() -> Self {
        Writer::default()
    }

    /// Writes behind `bytes`, in their capacity.
    pub fn onto(bytes: Vec<u8>) -> Self {
        Writer(bytes)
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    pub fn varint(&mut self, value: impl Into<u128>) {
        let mut value = value.into();
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    /// As `varint`, where it counts: arithmetic of 128 bits takes its time.
    #[inline]
    pub fn varint_u64(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    /// Signed, small in both directions.
    pub fn signed(&mut self, value: i64) {
        self.varint_u64(((value << 1) ^ (value >> 63)) as u64);
    }

    /// Bytes that say themselves where they end.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub fn fixed<const N: usize>(&mut self, bytes: [u8; N]) {
        self.0.extend_from_slice(&bytes);
    }

    pub fn bytes(&mut self, bytes: &[u8]) {
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    pub fn str(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }
}

#[derive(Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader(bytes)
    }

    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        let (&first, rest) = self.0.split_first().ok_or(DecodeError::Truncated)?;
        self.0 = rest;
        Ok(first)
    }

    pub fn varint_u128(&mut self) -> Result<u128, DecodeError> {
        let mut value = 0u128;
        let mut shift = 0;
        loop {
            let byte = self.u8()?;
            let part = u128::from(byte & 0x7f);
            if shift > 126 || (shift == 126 && part > 3) {
                return Err(DecodeError::Bad("integer: more than 128 bits"));
            }
            value |= part << shift;
            if byte < 0x80 {
                if byte == 0 && shift > 0 {
                    return Err(DecodeError::Bad("integer: overlong"));
                }
                return Ok(value);
            }
            shift += 7;
        }
    }

    pub fn varint(&mut self) -> Result<u64, DecodeError> {
        self.varint_u128()?.try_into().map_err(|_| DecodeError::Bad("integer: more than 64 bits"))
    }

    pub fn signed(&mut self) -> Result<i64, DecodeError> {
        let raw = self.varint()?;
        Ok((raw >> 1) as i64 ^ -((raw & 1) as i64))
    }

    pub fn fixed<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (first, rest) = self.0.split_first_chunk::<N>().ok_or(DecodeError::Truncated)?;
        self.0 = rest;
        Ok(*first)
    }

    /// So many bytes, which the caller knows.
    pub fn raw(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let (first, rest) = self.0.split_at_checked(len).ok_or(DecodeError::Truncated)?;
        self.0 = rest;
        Ok(first)
    }

    pub fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let len = usize::try_from(self.varint()?).map_err(|_| DecodeError::Truncated)?;
        self.raw(len)
    }

    pub fn str(&mut self) -> Result<&'a str, DecodeError> {
        str::from_utf8(self.bytes()?).map_err(|_| DecodeError::Bad("text: not UTF-8"))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Bytes that are left.
    pub fn left(&self) -> usize {
        self.0.len()
    }

    pub fn finish(self) -> Result<(), DecodeError> {
        match self.0.len() {
            0 => Ok(()),
            left => Err(DecodeError::Trailing(left)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn values_round_trip(a: u128, b: i64, text in ".*") {
            let mut w = Writer::new();
            w.varint(a);
            w.signed(b);
            w.str(&text);
            let bytes = w.into_bytes();
            let mut r = Reader::new(&bytes);
            prop_assert_eq!(r.varint_u128(), Ok(a));
            prop_assert_eq!(r.signed(), Ok(b));
            prop_assert_eq!(r.str(), Ok(text.as_str()));
            prop_assert_eq!(r.finish(), Ok(()));
        }
    }

    #[test]
    fn a_second_encoding_of_a_value_is_refused() {
        let overlong = Reader::new(&[0x81, 0x00]).varint();
        assert_eq!(overlong, Err(DecodeError::Bad("integer: overlong")));
        let too_long = Reader::new(&[0xff; 20]).varint_u128();
        assert_eq!(too_long, Err(DecodeError::Bad("integer: more than 128 bits")));
        let cut = Reader::new(&[0x05, b'a']).bytes();
        assert_eq!(cut, Err(DecodeError::Truncated));
    }
}
