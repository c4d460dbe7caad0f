//! Protobuf's wire format, read from a slice: nothing is copied, nothing is allocated.
//!
//! Reads any legal encoding, as `prost` does: overlong varints, unknown fields and groups are passed over,
//! and what `prost` refuses is refused.

use std::ops::Range;

use thiserror::Error;

#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(crate) enum BrokenWire {
    #[error("a field ends beyond its message")]
    Truncated,
    #[error("an integer of more than 64 bits")]
    Varint,
    #[error("{0} is no field's key")]
    Key(u64),
    #[error("a group is not ended as it began")]
    Group,
    #[error("groups are nested deeper than {MAX_GROUPS}")]
    Nested,
    #[error("field {0} is not of the type that it has")]
    WireType(u32),
}

type Result<T> = std::result::Result<T, BrokenWire>;

/// Unknown groups within groups; the limit is `prost`'s.
const MAX_GROUPS: usize = 100;

/// A field's number and wire type, as they stand before its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key(u32);

pub(crate) const VARINT: u32 = 0;
pub(crate) const FIXED64: u32 = 1;
pub(crate) const LENGTH: u32 = 2;
const GROUP: u32 = 3;
const GROUP_END: u32 = 4;
const FIXED32: u32 = 5;

impl Key {
    pub(crate) const fn of(field: u32, wire_type: u32) -> Key {
        Key(field << 3 | wire_type)
    }

    pub(crate) fn field(self) -> u32 {
        self.0 >> 3
    }

    fn wire_type(self) -> u32 {
        self.0 & 7
    }
}

/// What is left of a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    pub(crate) fn new(message: &'a [u8]) -> Self {
        Cursor(message)
    }

    pub(crate) fn rest(self) -> &'a [u8] {
        self.0
    }

    #[inline(always)]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    #[inline(always)]
    pub(crate) fn varint(&mut self) -> Result<u64> {
        match self.0 {
            [byte, rest @ ..] if *byte < 0x80 => {
                self.0 = rest;
                Ok(u64::from(*byte))
            }
            [low, high, rest @ ..] if *high < 0x80 => {
                self.0 = rest;
                Ok(u64::from(*low & 0x7f) | u64::from(*high) << 7)
            }
            _ => self.long_varint(),
        }
    }

    #[cold]
    fn long_varint(&mut self) -> Result<u64> {
        let mut value = 0;
        for (at, byte) in self.0.iter().enumerate().take(10) {
            if at == 9 && *byte > 1 {
                return Err(BrokenWire::Varint);
            }
            value |= u64::from(*byte & 0x7f) << (7 * at);
            if *byte < 0x80 {
                self.0 = &self.0[at + 1..];
                return Ok(value);
            }
        }
        Err(if self.0.len() < 10 { BrokenWire::Truncated } else { BrokenWire::Varint })
    }

    /// The next field's key, of a legal number and wire type.
    #[inline(always)]
    pub(crate) fn key(&mut self) -> Result<Key> {
        let raw = self.varint()?;
        match u32::try_from(raw) {
            Ok(key) if key >= 8 && key & 7 <= FIXED32 => Ok(Key(key)),
            _ => Err(BrokenWire::Key(raw)),
        }
    }

    /// The next field's key, which mostly is this one, of one byte.
    #[inline(always)]
    fn key_or(&mut self, expected: Key) -> Result<Key> {
        match self.0 {
            [byte, rest @ ..] if u32::from(*byte) == expected.0 && expected.0 < 0x80 => {
                self.0 = rest;
                Ok(expected)
            }
            _ => self.key(),
        }
    }

    #[inline(always)]
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8]> {
        let len = self.varint()?;
        let split = usize::try_from(len).ok().and_then(|len| self.0.split_at_checked(len));
        let (bytes, rest) = split.ok_or(BrokenWire::Truncated)?;
        self.0 = rest;
        Ok(bytes)
    }

    #[inline(always)]
    pub(crate) fn fixed64(&mut self) -> Result<u64> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or(BrokenWire::Truncated)?;
        self.0 = rest;
        Ok(u64::from_le_bytes(*bytes))
    }

    /// Passes over the value of an unknown field.
    #[inline(always)]
    pub(crate) fn skip(&mut self, key: Key) -> Result<()> {
        match key.wire_type() {
            LENGTH => self.bytes().map(drop),
            VARINT => self.varint().map(drop),
            FIXED64 => self.fixed64().map(drop),
            _ => self.skip_rare(key),
        }
    }

    #[cold]
    fn skip_rare(&mut self, key: Key) -> Result<()> {
        match key.wire_type() {
            FIXED32 => {
                self.0 = self.0.get(4..).ok_or(BrokenWire::Truncated)?;
                Ok(())
            }
            GROUP => self.skip_group(key.field()),
            _ => Err(BrokenWire::Group),
        }
    }

    fn skip_group(&mut self, field: u32) -> Result<()> {
        let mut open = vec![field];
        while let Some(&innermost) = open.last() {
            let key = self.key()?;
            match key.wire_type() {
                GROUP if open.len() == MAX_GROUPS => return Err(BrokenWire::Nested),
                GROUP => open.push(key.field()),
                GROUP_END if key.field() == innermost => {
                    open.pop();
                }
                GROUP_END => return Err(BrokenWire::Group),
                _ => self.skip(key)?,
            }
        }
        Ok(())
    }
}

/// Hands over the bytes of each sub-message under `wanted`.
pub(crate) fn each_message<'a, E: From<BrokenWire>>(
    message: &'a [u8],
    wanted: u32,
    mut visit: impl FnMut(&'a [u8]) -> std::result::Result<(), E>,
) -> std::result::Result<(), E> {
    each_place(message, 0..message.len(), wanted, |place| visit(&message[place]))
}

/// Hands over where in `bytes` each sub-message under `wanted` stands of the message that stands at `place`.
#[inline(always)]
pub(crate) fn each_place<E: From<BrokenWire>>(
    bytes: &[u8],
    place: Range<usize>,
    wanted: u32,
    mut visit: impl FnMut(Range<usize>) -> std::result::Result<(), E>,
) -> std::result::Result<(), E> {
    let end = place.end;
    let mut fields = Cursor::new(&bytes[place]);
    while !fields.is_empty() {
        let key = fields.key_or(Key::of(wanted, LENGTH))?;
        if key == Key::of(wanted, LENGTH) {
            let len = fields.bytes()?.len();
            let behind = end - fields.0.len();
            visit(behind - len..behind)?;
        } else if key.field() == wanted {
            return Err(BrokenWire::WireType(wanted).into());
        } else {
            fields.skip(key)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skipped(bytes: &[u8]) -> Result<usize> {
        let mut cursor = Cursor::new(bytes);
        let key = cursor.key()?;
        cursor.skip(key)?;
        Ok(bytes.len() - cursor.0.len())
    }

    #[test]
    fn varints_of_any_length_up_to_ten_bytes_are_read() {
        let read = |bytes: &[u8]| Cursor::new(bytes).varint();
        assert_eq!(read(&[0x81, 0x80, 0x80, 0x00]), Ok(1));
        assert_eq!(read(&[0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00]), Ok(1));
        assert_eq!(read(&[0xff; 9]), Err(BrokenWire::Truncated));
        let largest = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert_eq!(read(&largest), Ok(u64::MAX));
        assert_eq!(read(&[0xff; 11]), Err(BrokenWire::Varint));
    }

    #[test]
    fn unknown_fields_and_groups_are_passed_over() {
        assert_eq!(skipped(&[0x08, 0x96, 0x01, 0xff]), Ok(3));
        assert_eq!(skipped(&[0x0d, 1, 2, 3, 4, 5]), Ok(5));
        // Group 1 { group 2 {} varint 3 }.
        assert_eq!(skipped(&[0x0b, 0x13, 0x14, 0x18, 0x05, 0x0c, 0xff]), Ok(6));
    }

    #[test]
    fn what_is_no_message_is_refused() {
        assert_eq!(skipped(&[0x0b, 0x13, 0x0c]), Err(BrokenWire::Group));
        assert_eq!(skipped(&[0x0c]), Err(BrokenWire::Group));
        assert_eq!(skipped(&[0x0e, 0]), Err(BrokenWire::Key(0x0e)));
        assert_eq!(skipped(&[0x02, 0]), Err(BrokenWire::Key(0x02)));
        assert_eq!(skipped(&[0x0a, 0x02, 0x00]), Err(BrokenWire::Truncated));
        assert_eq!(skipped(&[0x0b; 200]), Err(BrokenWire::Nested));
    }
}
