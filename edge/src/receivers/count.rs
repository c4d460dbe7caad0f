//! How many points or records a request holds that is rejected as a whole.
//!
//! The walk keeps nothing: a request of many tiny parts costs no memory. It reads the way down to the
//! items, not the items themselves, so it finds a request broken above them.

use std::fmt;

use prost::DecodeError;
use prost::encoding::{
    DecodeContext, WireType, check_wire_type, decode_key, decode_varint, skip_field,
};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use tributary_spanmetrics::{Encoding, FieldName, JsonFault, json_text};

use super::fault::Fault;

/// A step on the way down: fields of one message, by number and by name.
struct Step {
    numbers: &'static [u32],
    names: &'static [&'static str],
    is_list: bool,
}

impl Step {
    const fn list(numbers: &'static [u32], names: &'static [&'static str]) -> Self {
        Step { numbers, names, is_list: true }
    }
}

/// Data points of an `ExportMetricsServiceRequest`.
pub(crate) fn data_points(bytes: &[u8], encoding: Encoding) -> Result<u64, Fault> {
    const KINDS: Step = Step {
        numbers: &[5, 7, 9, 10, 11],
        names: &["gauge", "sum", "histogram", "exponentialHistogram", "summary"],
        is_list: false,
    };
    const PATH: &[Step] = &[
        Step::list(&[1], &["resourceMetrics"]),
        Step::list(&[2], &["scopeMetrics"]),
        Step::list(&[2], &["metrics"]),
        KINDS,
        Step::list(&[1], &["dataPoints"]),
    ];
    count(bytes, encoding, PATH, "metrics")
}

/// Records of an `ExportLogsServiceRequest`.
pub(crate) fn log_records(bytes: &[u8], encoding: Encoding) -> Result<u64, Fault> {
    const PATH: &[Step] = &[
        Step::list(&[1], &["resourceLogs"]),
        Step::list(&[2], &["scopeLogs"]),
        Step::list(&[2], &["logRecords"]),
    ];
    count(bytes, encoding, PATH, "logs")
}

fn count(bytes: &[u8], encoding: Encoding, path: &[Step], what: &str) -> Result<u64, Fault> {
    let bad = |error: String| Fault::BadData(format!("not an OTLP {what} request: {error}"));
    match encoding {
        Encoding::Protobuf => in_protobuf(bytes, path).map_err(bad),
        Encoding::Json => in_json(bytes, path).map_err(|fault| bad(fault.to_string())),
    }
}

/// Messages at the end of a path.
fn in_protobuf(mut message: &[u8], path: &[Step]) -> Result<u64, String> {
    let Some((step, below)) = path.split_first() else { return Ok(1) };
    let text = |error: DecodeError| error.to_string();
    let mut total = 0;
    while !message.is_empty() {
        let (field, wire_type) = decode_key(&mut message).map_err(text)?;
        if !step.numbers.contains(&field) {
            skip_field(wire_type, field, &mut message, DecodeContext::default()).map_err(text)?;
            continue;
        }
        check_wire_type(WireType::LengthDelimited, wire_type).map_err(text)?;
        let length = decode_varint(&mut message).map_err(text)?;
        let (inner, rest) = usize::try_from(length)
            .ok()
            .and_then(|length| message.split_at_checked(length))
            .ok_or_else(|| format!("field {field} is longer than what holds it"))?;
        total += in_protobuf(inner, below)?;
        message = rest;
    }
    Ok(total)
}

/// Items at the end of a path; `null` stands for what is not there, in JSON's mapping of protobuf.
fn in_json(bytes: &[u8], path: &[Step]) -> Result<u64, JsonFault> {
    let mut json = serde_json::Deserializer::from_str(json_text(bytes)?);
    let total = Below { path, shape: Shape::Item }.deserialize(&mut json);
    let total = total.and_then(|total| json.end().map(|()| total));
    total.map_err(|error| JsonFault::of(&error))
}

/// An object from which the path leads on, or a list of them.
#[derive(Clone, Copy)]
struct Below<'p> {
    path: &'p [Step],
    shape: Shape,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    List,
    /// An object, or `null`.
    Field,
    /// An object.
    Item,
}

impl<'de> DeserializeSeed<'de> for Below<'_> {
    type Value = u64;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<u64, D::Error> {
        if self.path.is_empty() && self.shape == Shape::Item {
            return value.deserialize_ignored_any(IgnoredAny).map(|_| 1);
        }
        value.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Below<'_> {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.shape == Shape::List { "a list" } else { "an object" })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<u64, A::Error> {
        if self.shape != Shape::List {
            return Err(A::Error::custom("a list where an object belongs"));
        }
        let mut total = 0;
        while let Some(count) = items.next_element_seed(Below { shape: Shape::Item, ..self })? {
            total += count;
        }
        Ok(total)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<u64, A::Error> {
        let Some((step, path)) = self.path.split_first().filter(|_| self.shape != Shape::List)
        else {
            return Err(A::Error::custom("an object where a list belongs"));
        };
        let shape = if step.is_list { Shape::List } else { Shape::Field };
        let (mut total, mut met) = (0, 0u32);
        while let Some(at) = fields.next_key_seed(FieldName(step.names))? {
            let Some(at) = at else {
                fields.next_value::<IgnoredAny>()?;
                continue;
            };
            if met >> at & 1 == 1 {
                return Err(A::Error::custom("a field stands twice"));
            }
            met |= 1 << at;
            total += fields.next_value_seed(Below { path, shape })?;
        }
        Ok(total)
    }

    fn visit_unit<E: Error>(self) -> Result<u64, E> {
        match self.shape {
            Shape::List | Shape::Field => Ok(0),
            Shape::Item => Err(E::custom("null where an object belongs")),
        }
    }

    /// Without the text: it may be all of the request.
    fn visit_str<E: Error>(self, _: &str) -> Result<u64, E> {
        Err(E::custom("a text where an object or a list belongs"))
    }
}

#[cfg(test)]
#[path = "count_test.rs"]
mod tests;
