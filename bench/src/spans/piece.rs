//! Protobuf, written by hand, and where in it the changing fields lie.
//!
//! A message inside another is written apart and then put in behind its length. The places that it marked
//! move along with it.

use super::request::Mark;

#[derive(Default)]
pub(super) struct Piece {
    pub(super) bytes: Vec<u8>,
    pub(super) marks: Vec<Mark>,
}

const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const BYTES: u32 = 2;
const FIXED32: u32 = 5;

impl Piece {
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.marks.clear();
    }

    pub(super) fn varint(&mut self, field: u32, value: u64) {
        self.tag(field, VARINT);
        self.raw_varint(value);
    }

    pub(super) fn fixed32(&mut self, field: u32, value: u32) {
        self.tag(field, FIXED32);
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// Room for a fixed64 that a stamp fills in; where it lies.
    pub(super) fn room64(&mut self, field: u32) -> u32 {
        self.tag(field, FIXED64);
        self.room(8)
    }

    /// Room for an id that a stamp fills in; where it lies.
    pub(super) fn room_bytes(&mut self, field: u32, len: usize) -> u32 {
        self.head(field, len);
        self.room(len)
    }

    pub(super) fn text(&mut self, field: u32, text: &str) {
        self.head(field, text.len());
        self.bytes.extend_from_slice(text.as_bytes());
    }

    pub(super) fn put(&mut self, field: u32, inner: &Piece) {
        self.head(field, inner.bytes.len());
        let base = self.bytes.len() as u32;
        self.bytes.extend_from_slice(&inner.bytes);
        self.marks.extend(inner.marks.iter().map(|mark| mark.moved(base)));
    }

    /// A `KeyValue` with a text.
    pub(super) fn pair(&mut self, field: u32, key: &str, value: &str) {
        self.pair_head(field, key, 1 + varint_len(value.len() as u64) + value.len());
        self.text(1, value);
    }

    /// A `KeyValue` with an integer.
    pub(super) fn pair_int(&mut self, field: u32, key: &str, value: u64) {
        self.pair_head(field, key, 1 + varint_len(value));
        self.varint(3, value);
    }

    fn pair_head(&mut self, field: u32, key: &str, value_len: usize) {
        let key_len = 1 + varint_len(key.len() as u64) + key.len();
        self.head(field, key_len + 1 + varint_len(value_len as u64) + value_len);
        self.text(1, key);
        self.head(2, value_len);
    }

    fn head(&mut self, field: u32, len: usize) {
        self.tag(field, BYTES);
        self.raw_varint(len as u64);
    }

    fn tag(&mut self, field: u32, wire: u32) {
        self.raw_varint(u64::from(field << 3 | wire));
    }

    fn raw_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    fn room(&mut self, len: usize) -> u32 {
        let at = self.bytes.len() as u32;
        self.bytes.resize(self.bytes.len() + len, 0);
        at
    }
}

fn varint_len(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}
