//! What holds for OTLP's JSON whatever it carries: how deep it may be, how fields are known, and what is told of
//! a fault in it.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Visitor};
use serde_json::error::{Category, Error};
use thiserror::Error;

/// As far as serde_json descends where something is read.
const MAX_LEVELS: usize = 127;

/// Says where and what kind, and repeats nothing of the text: serde's own messages may repeat all of it.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum JsonFault {
    #[error("the JSON is not UTF-8")]
    Text,
    #[error("the JSON is nested deeper than {MAX_LEVELS} levels")]
    Deep,
    /// Columns count bytes, from one.
    #[error("{what}, at line {line}, column {column}")]
    At { what: &'static str, line: usize, column: usize },
}

/// A field's name to its place among those that are read.
pub struct FieldName(pub &'static [&'static str]);

impl<'de> DeserializeSeed<'de> for FieldName {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, name: D) -> Result<Option<usize>, D::Error> {
        name.deserialize_str(self)
    }
}

impl Visitor<'_> for FieldName {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field's name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Option<usize>, E> {
        Ok(self.0.iter().position(|known| *known == name))
    }
}

impl JsonFault {
    pub fn of(error: &Error) -> Self {
        let what = match error.classify() {
            Category::Eof => "the JSON ends too early",
            Category::Data => {
                "a value of another kind than its field's, or a field that stands twice"
            }
            Category::Syntax | Category::Io => "no JSON",
        };
        JsonFault::At { what, line: error.line(), column: error.column() }
    }

    /// A fault in `piece`, by its place in the `text` that the piece is of.
    pub(crate) fn within(self, text: &str, piece: &str) -> Self {
        let JsonFault::At { what, line, column } = self else { return self };
        let begin = piece.as_ptr().addr().saturating_sub(text.as_ptr().addr());
        let before = text.as_bytes().get(..begin).unwrap_or_default();
        let lines = before.iter().filter(|byte| **byte == b'\n').count();
        let of_line = before.iter().rev().take_while(|byte| **byte != b'\n').count();
        let column = if line <= 1 { of_line + column } else { column };
        JsonFault::At { what, line: lines + line.max(1), column }
    }

    pub(crate) fn of_another_kind() -> Self {
        JsonFault::At { what: "a value of another kind than its field's", line: 1, column: 1 }
    }
}

/// The bytes as a text that serde_json may be given: it passes over any depth, and takes a byte of memory for
/// each level.
pub fn json_text(bytes: &[u8]) -> Result<&str, JsonFault> {
    if is_deep(bytes) {
        return Err(JsonFault::Deep);
    }
    str::from_utf8(bytes).map_err(|_| JsonFault::Text)
}

fn is_deep(json: &[u8]) -> bool {
    let (mut levels, mut bytes) = (0usize, json.iter());
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => pass_text(&mut bytes),
            b'{' | b'[' => {
                levels += 1;
                if levels > MAX_LEVELS {
                    return true;
                }
            }
            b'}' | b']' => levels = levels.saturating_sub(1),
            _ => {}
        }
    }
    false
}

#[inline(always)]
fn pass_text(bytes: &mut std::slice::Iter<'_, u8>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => _ = bytes.next(),
            b'"' => return,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_those_outside_of_texts() {
        let nested = |levels| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
        assert!(json_text(nested(MAX_LEVELS).as_bytes()).is_ok());
        assert_eq!(json_text(nested(MAX_LEVELS + 1).as_bytes()), Err(JsonFault::Deep));
        let wide = format!("[{}]", "[{}],".repeat(1000));
        let in_texts = format!(r#"["\"{}\\","{}"]"#, "[".repeat(1000), "{".repeat(1000));
        assert!([wide, in_texts].iter().all(|json| json_text(json.as_bytes()).is_ok()));
        let behind_text = format!(r#"{{"a\"{{":{}"#, "[".repeat(MAX_LEVELS));
        assert_eq!(json_text(behind_text.as_bytes()), Err(JsonFault::Deep));
    }

    #[test]
    fn serde_descends_as_far() {
        let nested = |levels| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
        let read = |json: &str| serde_json::from_str::<serde_json::Value>(json).is_ok();
        assert_eq!([MAX_LEVELS, MAX_LEVELS + 1].map(|n| read(&nested(n))), [true, false]);
    }

    #[test]
    fn a_fault_in_a_piece_is_where_it_is_in_the_text() {
        let text = "{\n\n  \"a\": [1,\n2 3]}";
        let piece = text.find('[').map(|at| &text[at..text.len() - 1]).expect("it is there");
        let of = |json: &str| serde_json::from_str::<Vec<u8>>(json).expect_err("two numbers");
        let JsonFault::At { what, line, column } = JsonFault::of(&of(piece)).within(text, piece)
        else {
            panic!("a fault with a place")
        };
        assert_eq!((what, line, column), ("no JSON", 4, 3));
        let first_line = JsonFault::of_another_kind().within(text, piece);
        let expected = JsonFault::of_another_kind()
            .to_string()
            .replace("line 1, column 1", "line 3, column 8");
        assert_eq!(first_line.to_string(), expected);
    }
}
