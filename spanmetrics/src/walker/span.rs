//! A span's bytes, read in one pass: the common shape.
//!
//! What is not of that shape, broken bytes included, is `None` and takes the slow road in `odd`, where the same
//! bytes mean the same and what is wrong is told. So there is one way out of here, and few branches. A span
//! is read from a slice that goes on behind it: what is short is looked at through a window of fixed size,
//! and whether anything went beyond the span's end is asked once, there.

use super::wanted::{KEY_AT, Wanted};
use crate::wire::{Cursor, FIXED64, Key, LENGTH, VARINT};

/// So many bytes must follow the span.
pub(super) const WINDOW_BYTES: usize = 160;

/// Bytes in a slice that goes on behind them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Part<'a> {
    pub(super) from: &'a [u8],
    pub(super) len: usize,
}

impl<'a> Part<'a> {
    /// Without what stands behind.
    pub(super) fn bytes(self) -> &'a [u8] {
        &self.from[..self.len]
    }
}

/// What of a span is read, as it came.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RawSpan<'a> {
    pub(super) name: Part<'a>,
    pub(super) kind: i32,
    pub(super) start_ns: u64,
    pub(super) end_ns: u64,
    pub(super) status: i32,
}

/// Fields as they are tagged by every encoder: their number and wire type in one byte.
const fn tag(field: u32, wire_type: u32) -> u8 {
    (field << 3 | wire_type) as u8
}

const TRACE_ID: u8 = tag(1, LENGTH);
const SPAN_ID: u8 = tag(2, LENGTH);
const TRACE_STATE: u8 = tag(3, LENGTH);
const PARENT_SPAN_ID: u8 = tag(4, LENGTH);
const NAME: u8 = tag(5, LENGTH);
const KIND: u8 = tag(6, VARINT);
const START: u8 = tag(7, FIXED64);
const END: u8 = tag(8, FIXED64);
const ATTRIBUTE: u8 = tag(9, LENGTH);
const EVENT: u8 = tag(11, LENGTH);
const LINK: u8 = tag(13, LENGTH);
const STATUS: u8 = tag(15, LENGTH);
/// Field 16, of four bytes: its tag takes two.
const FLAGS: u8 = 0x85;
const FLAGS_SECOND: u8 = 0x01;

const KEY_VALUE_KEY: u8 = tag(1, LENGTH);
const KEY_VALUE_VALUE: u8 = tag(2, LENGTH);

/// Trace id, span id: 16 bytes and 8, as all SDKs write them first.
const IDS_BYTES: usize = 28;
const PARENT_BYTES: usize = 10;

/// Reads the span that ends `behind` bytes before the slice does and, into `values`, the wanted attributes'
/// values as they are encoded.
#[inline(always)]
pub(super) fn read<'a>(
    span: &'a [u8],
    behind: usize,
    wanted: &Wanted,
    values: &mut [Option<Part<'a>>],
) -> Option<RawSpan<'a>> {
    let mut raw = RawSpan::default();
    let mut left = ids(span)?;
    while left.len() > behind {
        let window = left.first_chunk::<WINDOW_BYTES>()?;
        let head = u32::from_le_bytes(*window.first_chunk()?);
        if head & SHORT_ATTRIBUTE != ATTRIBUTE_HEAD {
            left = field(left, &mut raw, wanted, values)?;
            continue;
        }
        let (length, key_length) = ((head >> 8) as usize & 0x7f, (head >> 24) as usize & 0x7f);
        // Tag and length of the value, which has to end where the attribute does.
        let value = KEY_AT + key_length;
        let value_head = usize::from(u16::from_le_bytes(*window[value..].first_chunk()?));
        let value_length = length.wrapping_sub(value);
        if value_head != usize::from(KEY_VALUE_VALUE) | value_length << 8 {
            return None;
        }
        if wanted.may_have(window, key_length) {
            let value = Part { from: &left[value + 2..], len: value_length };
            want(window, key_length, value, wanted, values);
        }
        left = &left[2 + length..];
    }
    (left.len() == behind).then_some(raw)
}

/// Apart from the loop over attributes, which has registers enough without it.
#[inline(never)]
fn want<'a>(
    window: &[u8; WINDOW_BYTES],
    key_length: usize,
    value: Part<'a>,
    wanted: &Wanted,
    values: &mut [Option<Part<'a>>],
) {
    if let Some(at) = wanted.find_in(window, key_length) {
        values[at].get_or_insert(value);
    }
}

/// Passes over what most spans begin with.
#[inline(always)]
fn ids(span: &[u8]) -> Option<&[u8]> {
    let window = span.first_chunk::<WINDOW_BYTES>()?;
    if window[..2] != [TRACE_ID, 16] || window[18..20] != [SPAN_ID, 8] {
        return Some(span);
    }
    let has_parent = window[IDS_BYTES..][..2] == [PARENT_SPAN_ID, 8];
    Some(&span[if has_parent { IDS_BYTES + PARENT_BYTES } else { IDS_BYTES }..])
}

/// A field that is not a short attribute; answers what is behind it.
#[inline(always)]
fn field<'a>(
    field: &'a [u8],
    raw: &mut RawSpan<'a>,
    wanted: &Wanted,
    values: &mut [Option<Part<'a>>],
) -> Option<&'a [u8]> {
    let (tag, rest) = field.split_first()?;
    match *tag {
        NAME => {
            let rest;
            (raw.name, rest) = split(field.get(1..)?)?;
            Some(times(rest, raw))
        }
        ATTRIBUTE => long_attribute(field, wanted, values),
        TRACE_ID | SPAN_ID | TRACE_STATE | PARENT_SPAN_ID | EVENT | LINK => Some(split(rest)?.1),
        START => {
            let (time, rest) = rest.split_first_chunk()?;
            raw.start_ns = u64::from_le_bytes(*time);
            Some(rest)
        }
        END => {
            let (time, rest) = rest.split_first_chunk()?;
            raw.end_ns = u64::from_le_bytes(*time);
            Some(rest)
        }
        KIND => match rest {
            [kind, rest @ ..] if *kind < 0x80 => {
                raw.kind = i32::from(*kind);
                Some(rest)
            }
            _ => None,
        },
        STATUS => {
            let (status, rest) = split(rest)?;
            // In several pieces the last code stands, as it does in one.
            raw.status = status_code(status.bytes(), raw.status)?;
            Some(rest)
        }
        FLAGS => match rest {
            [FLAGS_SECOND, _, _, _, _, rest @ ..] => Some(rest),
            _ => other(field),
        },
        _ => other(field),
    }
}

/// Kind and times behind the name, if they are there.
#[inline(always)]
fn times<'a>(left: &'a [u8], raw: &mut RawSpan<'a>) -> &'a [u8] {
    match left {
        [
            KIND,
            kind,
            START,
            s0,
            s1,
            s2,
            s3,
            s4,
            s5,
            s6,
            s7,
            END,
            e0,
            e1,
            e2,
            e3,
            e4,
            e5,
            e6,
            e7,
            rest @ ..,
        ] if *kind < 0x80 => {
            raw.kind = i32::from(*kind);
            raw.start_ns = u64::from_le_bytes([*s0, *s1, *s2, *s3, *s4, *s5, *s6, *s7]);
            raw.end_ns = u64::from_le_bytes([*e0, *e1, *e2, *e3, *e4, *e5, *e6, *e7]);
            rest
        }
        _ => left,
    }
}

/// A field of another number, or one whose tag is written in another way.
#[inline(never)]
fn other(field: &[u8]) -> Option<&[u8]> {
    let mut fields = Cursor::new(field);
    let key = fields.key().ok()?;
    if matches!(key.field(), 5..=9 | 15) {
        return None;
    }
    fields.skip(key).ok()?;
    Some(fields.rest())
}

/// The bytes that a length before them covers, and what is behind.
#[inline(always)]
fn split(bytes: &[u8]) -> Option<(Part<'_>, &[u8])> {
    let (len, from) = match bytes {
        [length, rest @ ..] if *length < 0x80 => (usize::from(*length), rest),
        [low, high, rest @ ..] if *high < 0x80 => {
            (usize::from(*low & 0x7f) | usize::from(*high) << 7, rest)
        }
        _ => return long_split(bytes),
    };
    Some((Part { from, len }, from.get(len..)?))
}

#[cold]
fn long_split(bytes: &[u8]) -> Option<(Part<'_>, &[u8])> {
    let mut fields = Cursor::new(bytes);
    let len = usize::try_from(fields.varint().ok()?).ok()?;
    let from = fields.rest();
    Some((Part { from, len }, from.get(len..)?))
}

/// Nearly all attributes are short: tag, length, tag of the key and its length are then one word.
const SHORT_ATTRIBUTE: u32 = 0x80ff_80ff;
const ATTRIBUTE_HEAD: u32 = (ATTRIBUTE as u32) | (KEY_VALUE_KEY as u32) << 16;

#[inline(never)]
fn long_attribute<'a>(
    field: &'a [u8],
    wanted: &Wanted,
    values: &mut [Option<Part<'a>>],
) -> Option<&'a [u8]> {
    let (attribute, rest) = split(field.get(1..)?)?;
    let [KEY_VALUE_KEY, key @ ..] = attribute.from else { return None };
    let (key, behind_key) = split(key)?;
    let [KEY_VALUE_VALUE, value @ ..] = behind_key else { return None };
    let (value, behind) = split(value)?;
    if behind.len() != rest.len() {
        return None;
    }
    if let Some(at) = wanted.find(key.bytes()) {
        values[at].get_or_insert(value);
    }
    Some(rest)
}

/// Whether it is an `AnyValue` of one text, flag, integer or double. Asked of values that are met for the first
/// time: those that are known are.
pub(super) fn is_scalar(value: &[u8]) -> bool {
    let [tag, rest @ ..] = value else { return false };
    match *tag {
        0x0a => split(rest).is_some_and(|(_, behind)| behind.is_empty()),
        0x10 | 0x18 => match rest {
            [.., last] if rest.len() <= 10 => {
                *last < 0x80 && rest[..rest.len() - 1].iter().all(|byte| *byte >= 0x80)
            }
            _ => false,
        },
        0x21 => rest.len() == 8,
        _ => false,
    }
}

#[inline(always)]
fn status_code(status: &[u8], code: i32) -> Option<i32> {
    match status {
        [] => Some(code),
        [0x18, code] if *code < 0x80 => Some(i32::from(*code)),
        _ => long_status_code(status, code),
    }
}

#[inline(never)]
fn long_status_code(status: &[u8], mut code: i32) -> Option<i32> {
    const CODE: Key = Key::of(3, VARINT);
    let mut fields = Cursor::new(status);
    while !fields.is_empty() {
        match fields.key().ok()? {
            CODE => code = fields.varint().ok()? as i32,
            key if key.field() == CODE.field() => return None,
            key => fields.skip(key).ok()?,
        }
    }
    Some(code)
}
