//! A span's bytes, read in one pass: the common shape.
//!
//! What is not of that shape, broken bytes included, is `None` and takes the slow road in `odd`, where the same
//! bytes mean the same and what is wrong is told. So there is one way out of here, and few branches.

use super::wanted::Wanted;
use crate::wire::{Cursor, FIXED64, Key, LENGTH, VARINT};

/// What of a span is read, as it came.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RawSpan<'a> {
    pub(super) name: &'a [u8],
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

/// Reads a span and, into `values`, the wanted attributes' values as they are encoded.
#[inline(always)]
pub(super) fn read<'a>(
    span: &'a [u8],
    wanted: &Wanted,
    values: &mut [Option<&'a [u8]>],
) -> Option<RawSpan<'a>> {
    let mut raw = RawSpan::default();
    let mut left = span;
    while let [tag, rest @ ..] = left {
        left = match *tag {
            ATTRIBUTE => attribute(left, wanted, values)?,
            TRACE_ID | SPAN_ID | TRACE_STATE | PARENT_SPAN_ID | EVENT | LINK => split(rest)?.1,
            NAME => {
                let rest;
                (raw.name, rest) = split(left.get(1..)?)?;
                rest
            }
            START => {
                let (time, rest) = rest.split_first_chunk()?;
                raw.start_ns = u64::from_le_bytes(*time);
                rest
            }
            END => {
                let (time, rest) = rest.split_first_chunk()?;
                raw.end_ns = u64::from_le_bytes(*time);
                rest
            }
            KIND => match rest {
                [kind, rest @ ..] if *kind < 0x80 => {
                    raw.kind = i32::from(*kind);
                    rest
                }
                _ => return None,
            },
            STATUS => {
                let (status, rest) = split(rest)?;
                // In several pieces the last code stands, as it does in one.
                raw.status = status_code(status, raw.status)?;
                rest
            }
            FLAGS => match rest {
                [FLAGS_SECOND, _, _, _, _, rest @ ..] => rest,
                _ => other(left)?,
            },
            _ => other(left)?,
        };
    }
    Some(raw)
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
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    match bytes {
        [length, rest @ ..] if *length < 0x80 => rest.split_at_checked(usize::from(*length)),
        [low, high, rest @ ..] if *high < 0x80 => {
            rest.split_at_checked(usize::from(*low & 0x7f) | usize::from(*high) << 7)
        }
        _ => long_split(bytes),
    }
}

#[cold]
fn long_split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut fields = Cursor::new(bytes);
    let split = fields.bytes().ok()?;
    Some((split, fields.rest()))
}

/// An attribute and what is behind it. Nearly all are short: tag, length, tag of the key and its length are
/// then one word.
#[inline(always)]
fn attribute<'a>(
    field: &'a [u8],
    wanted: &Wanted,
    values: &mut [Option<&'a [u8]>],
) -> Option<&'a [u8]> {
    const SHORT: u32 = 0x80ff_80ff;
    const HEAD: u32 = (ATTRIBUTE as u32) | (KEY_VALUE_KEY as u32) << 16;
    let head = u32::from_le_bytes(*field.first_chunk()?);
    if head & SHORT != HEAD {
        return long_attribute(field, wanted, values);
    }
    let (length, key_length) = ((head >> 8) as usize & 0x7f, (head >> 24) as usize);
    let (attribute, rest) = field.split_at_checked(2 + length)?;
    let (key, value) = attribute.get(4..)?.split_at_checked(key_length)?;
    let [KEY_VALUE_VALUE, value_length, value @ ..] = value else { return None };
    if usize::from(*value_length) != value.len() {
        return None;
    }
    if wanted.may_have(key_length) {
        want(key, value, wanted, values);
    }
    Some(rest)
}

#[inline(never)]
fn long_attribute<'a>(
    field: &'a [u8],
    wanted: &Wanted,
    values: &mut [Option<&'a [u8]>],
) -> Option<&'a [u8]> {
    let (attribute, rest) = split(field.get(1..)?)?;
    let [KEY_VALUE_KEY, attribute @ ..] = attribute else { return None };
    let (key, attribute) = split(attribute)?;
    let [KEY_VALUE_VALUE, attribute @ ..] = attribute else { return None };
    let (value, behind) = split(attribute)?;
    if !behind.is_empty() {
        return None;
    }
    want(key, value, wanted, values);
    Some(rest)
}

#[inline(always)]
fn want<'a>(key: &[u8], value: &'a [u8], wanted: &Wanted, values: &mut [Option<&'a [u8]>]) {
    if let Some(at) = wanted.find(key) {
        values[at].get_or_insert(value);
    }
}

/// Whether it is an `AnyValue` of one text, flag, integer or double. Asked of values that are met for the first
/// time: those that are known are.
pub(super) fn is_scalar(value: &[u8]) -> bool {
    let [tag, rest @ ..] = value else { return false };
    match *tag {
        0x0a => split(rest).is_some_and(|(_, rest)| rest.is_empty()),
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
