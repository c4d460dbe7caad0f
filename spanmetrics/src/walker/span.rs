//! A span's bytes, read in one pass: the common shape.
//!
//! What is not of that shape is [`Shape::Odd`] and takes the slow road in `odd`, where the same bytes mean the
//! same. Odd are attributes that are not key and value, once each and in that order, and values that
//! are read and are not a text, a number or a flag.

use super::wanted::Wanted;
use crate::wire::{BrokenWire, Cursor, FIXED64, Key, LENGTH, VARINT};

/// What of a span is read, as it came.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RawSpan<'a> {
    pub(super) name: &'a [u8],
    pub(super) kind: i32,
    pub(super) start_ns: u64,
    pub(super) end_ns: u64,
    pub(super) status: i32,
}

pub(super) enum Shape<'a> {
    Common(RawSpan<'a>),
    Odd,
}

const NAME: Key = Key::of(5, LENGTH);
const KIND: Key = Key::of(6, VARINT);
const START: Key = Key::of(7, FIXED64);
const END: Key = Key::of(8, FIXED64);
const ATTRIBUTE: Key = Key::of(9, LENGTH);
const STATUS: Key = Key::of(15, LENGTH);
const STATUS_CODE: Key = Key::of(3, VARINT);

/// Reads a span and, into `values`, the wanted attributes' values as they are encoded.
#[inline(always)]
pub(super) fn read<'a>(
    span: &'a [u8],
    wanted: &Wanted,
    values: &mut [Option<&'a [u8]>],
) -> Result<Shape<'a>, BrokenWire> {
    let mut raw = RawSpan::default();
    let mut fields = Cursor::new(span);
    while !fields.is_empty() {
        let key = fields.key()?;
        match key {
            ATTRIBUTE => {
                if attribute(fields.bytes()?, wanted, values).is_none() {
                    return Ok(Shape::Odd);
                }
            }
            NAME => raw.name = fields.bytes()?,
            KIND => raw.kind = fields.varint()? as i32,
            START => raw.start_ns = fields.fixed64()?,
            END => raw.end_ns = fields.fixed64()?,
            // In several pieces the last code stands, as it does in one.
            STATUS => raw.status = status(fields.bytes()?, raw.status)?,
            _ => {
                if matches!(key.field(), 5..=9 | 15) {
                    return Err(BrokenWire::WireType(key.field()));
                }
                fields.skip(key)?;
            }
        }
    }
    Ok(Shape::Common(raw))
}

fn status(status: &[u8], mut code: i32) -> Result<i32, BrokenWire> {
    let mut fields = Cursor::new(status);
    while !fields.is_empty() {
        match fields.key()? {
            STATUS_CODE => code = fields.varint()? as i32,
            key if key.field() == STATUS_CODE.field() => {
                return Err(BrokenWire::WireType(key.field()));
            }
            key => fields.skip(key)?,
        }
    }
    Ok(code)
}

/// `None`: it is not of the common shape.
#[inline(always)]
fn attribute<'a>(
    attribute: &'a [u8],
    wanted: &Wanted,
    values: &mut [Option<&'a [u8]>],
) -> Option<()> {
    let mut fields = Cursor::new(attribute);
    let is = |key: u8, fields: &mut Cursor<'a>| {
        fields.varint().ok().filter(|found| *found == u64::from(key))
    };
    is(0x0a, &mut fields)?;
    let key = fields.bytes().ok()?;
    is(0x12, &mut fields)?;
    let value = fields.bytes().ok()?;
    if !fields.is_empty() {
        return None;
    }
    if let Some(at) = wanted.find(key) {
        is_scalar(value)?;
        values[at].get_or_insert(value);
    }
    Some(())
}

/// An `AnyValue` of one text, flag, integer or double.
#[inline(always)]
fn is_scalar(value: &[u8]) -> Option<()> {
    let mut fields = Cursor::new(value);
    match fields.varint().ok()? {
        0x0a => drop(fields.bytes().ok()?),
        0x10 | 0x18 => drop(fields.varint().ok()?),
        0x21 => drop(fields.fixed64().ok()?),
        _ => return None,
    }
    fields.is_empty().then_some(())
}
