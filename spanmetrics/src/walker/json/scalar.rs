//! Numbers and texts out of pieces of JSON.
//!
//! The piece was passed over before, so it is a value by JSON's grammar; whether it is one of its field's kind
//! is seen here.

use std::borrow::Cow;
use std::str::FromStr;

use super::super::Broken;
use super::object::Piece;
use crate::json::JsonFault;

/// A text that is cut is not read beyond this.
const LONG_BYTES: usize = 8 << 10;

/// A field's value, if it is there.
pub(super) fn read<'de, T>(
    text: &str,
    piece: Option<Piece<'de>>,
    as_kind: impl Fn(&'de str) -> Option<T>,
) -> Result<Option<T>, Broken> {
    let Some(piece) = piece else { return Ok(None) };
    let fault = || JsonFault::of_another_kind().within(text, piece.get());
    Ok(Some(as_kind(piece.get()).ok_or_else(fault)?))
}

/// Of 32 bits, an enum's too: a number, never a text.
pub(super) fn integer(piece: &str) -> Option<i32> {
    piece.parse().ok()
}

/// Of 64 bits: a number, or the same as a text.
pub(super) fn long<T: FromStr>(piece: &str) -> Option<T> {
    match text(piece) {
        Some(digits) => digits.parse().ok(),
        None => piece.parse().ok(),
    }
}

pub(super) fn double(piece: &str) -> Option<f64> {
    let number = text(piece).unwrap_or(Cow::Borrowed(piece));
    match &*number {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        number => number.parse().ok().filter(|number: &f64| number.is_finite()),
    }
}

pub(super) fn flag(piece: &str) -> Option<bool> {
    piece.parse().ok()
}

pub(super) fn text(piece: &str) -> Option<Cow<'_, str>> {
    let inside = piece.strip_prefix('"')?.strip_suffix('"')?;
    if !inside.contains('\\') {
        return Some(Cow::Borrowed(inside));
    }
    serde_json::from_str(piece).ok().map(Cow::Owned)
}

/// A text of which the end does not matter: with escapes in it, a long one is not copied whole.
pub(super) fn beginning(piece: &str) -> Option<Cow<'_, str>> {
    if piece.len() <= LONG_BYTES || !piece.starts_with('"') || !piece.contains('\\') {
        return text(piece);
    }
    // A character takes at most twelve bytes, so one of these does not cut one in two.
    let ends = (LONG_BYTES - 12..=LONG_BYTES).rev();
    let mut beginnings = ends.filter_map(|end| piece.get(..end));
    let first = beginnings.find_map(|first| serde_json::from_str(&format!("{first}\"")).ok());
    first.map(Cow::Owned)
}
