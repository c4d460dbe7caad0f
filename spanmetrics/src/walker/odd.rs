//! Spans of an uncommon shape, by way of `prost`: any legal encoding.
//!
//! What is not read is not decoded here either, so that a request means the same on both roads.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use prost::Message;

use super::Broken;
use super::wanted::Wanted;
use crate::wire::{Cursor, Key, LENGTH, each_message};

/// A span without what is passed over, and its name before anybody has checked it.
#[derive(Clone, PartialEq, Message)]
pub(super) struct LeanSpan {
    #[prost(bytes = "vec", tag = "5")]
    pub(super) name: Vec<u8>,
    #[prost(int32, tag = "6")]
    pub(super) kind: i32,
    #[prost(fixed64, tag = "7")]
    pub(super) start_ns: u64,
    #[prost(fixed64, tag = "8")]
    pub(super) end_ns: u64,
    #[prost(message, optional, tag = "15")]
    pub(super) status: Option<LeanStatus>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct LeanStatus {
    #[prost(int32, tag = "3")]
    pub(super) code: i32,
}

#[derive(Clone, PartialEq, Message)]
struct LeanKey {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
}

/// An attribute that is read and is no plain text has to be smaller: decoded, it takes many times its bytes.
pub(super) const MAX_ATTRIBUTE_BYTES: usize = 64 << 10;

const KEY_VALUE_VALUE: u32 = 2;
const ANY_VALUE_STRING: u32 = 1;

pub(super) const SPAN_ATTRIBUTES: u32 = 9;
pub(super) const RESOURCE_ATTRIBUTES: u32 = 1;

pub(super) fn span(bytes: &[u8]) -> Result<LeanSpan, Broken> {
    Ok(LeanSpan::decode(bytes)?)
}

/// The wanted attributes' values, of each the first; one without a value is as one that is not there.
pub(super) fn attributes(
    message: &[u8],
    field: u32,
    wanted: &Wanted,
) -> Result<Vec<Option<AnyValue>>, Broken> {
    let mut found: Vec<Option<KeyValue>> = vec![None; wanted.len()];
    each_message::<Broken>(message, field, |attribute| {
        let LeanKey { key } = LeanKey::decode(attribute)?;
        if let Some(at) = wanted.find(&key)
            && found[at].is_none()
        {
            found[at] = Some(match large_text(attribute)? {
                Some(text) => {
                    let value = Some(AnyValue { value: Some(Value::StringValue(text)) });
                    KeyValue { value, ..KeyValue::default() }
                }
                None if attribute.len() > MAX_ATTRIBUTE_BYTES => {
                    let key = String::from_utf8_lossy(&key).into_owned();
                    return Err(Broken::LargeAttribute { key, limit_bytes: MAX_ATTRIBUTE_BYTES });
                }
                None => KeyValue::decode(attribute)?,
            });
        }
        Ok(())
    })?;
    Ok(found.into_iter().map(|attribute| attribute?.value).collect())
}

/// Of a large attribute that has one text and nothing else, more of the text than anybody keeps.
fn large_text(attribute: &[u8]) -> Result<Option<String>, Broken> {
    if attribute.len() <= MAX_ATTRIBUTE_BYTES {
        return Ok(None);
    }
    let mut values = Vec::new();
    each_message::<Broken>(attribute, KEY_VALUE_VALUE, |value| {
        values.push(value);
        Ok(())
    })?;
    let [value] = values[..] else { return Ok(None) };
    let mut fields = Cursor::new(value);
    if fields.is_empty() || fields.key()? != Key::of(ANY_VALUE_STRING, LENGTH) {
        return Ok(None);
    }
    let text = fields.bytes()?;
    if !fields.is_empty() {
        return Ok(None);
    }
    let text = str::from_utf8(text).map_err(|_| Broken::Text)?;
    Ok(Some(text[..text.floor_char_boundary(MAX_ATTRIBUTE_BYTES)].to_owned()))
}
