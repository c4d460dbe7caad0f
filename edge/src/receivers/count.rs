//! How many points or records a request holds that is rejected as a whole.
//!
//! The walk keeps nothing: a request of many tiny parts costs no memory. It reads the way down to the
//! items, not the items themselves, so it finds a request broken above them.

use std::fmt;
use std::marker::PhantomData;

use prost::DecodeError;
use prost::encoding::{
    DecodeContext, WireType, check_wire_type, decode_key, decode_varint, skip_field,
};
use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use tributary_spanmetrics::Encoding;

use super::fault::Fault;

/// Data points of an `ExportMetricsServiceRequest`.
pub(crate) fn data_points(bytes: &[u8], encoding: Encoding) -> Result<u64, Fault> {
    // resource_metrics, scope_metrics, metrics, the five kinds of data, data_points.
    const PATH: &[&[u32]] = &[&[1], &[2], &[2], &[5, 7, 9, 10, 11], &[1]];
    count::<Metrics>(bytes, encoding, PATH, "metrics")
}

/// Records of an `ExportLogsServiceRequest`.
pub(crate) fn log_records(bytes: &[u8], encoding: Encoding) -> Result<u64, Fault> {
    // resource_logs, scope_logs, log_records.
    const PATH: &[&[u32]] = &[&[1], &[2], &[2]];
    count::<Logs>(bytes, encoding, PATH, "logs")
}

fn count<'de, J: Deserialize<'de> + Counted>(
    bytes: &'de [u8],
    encoding: Encoding,
    path: &[&[u32]],
    what: &str,
) -> Result<u64, Fault> {
    let bad = |error: String| Fault::BadData(format!("not an OTLP {what} request: {error}"));
    match encoding {
        Encoding::Protobuf => in_protobuf(bytes, path).map_err(bad),
        Encoding::Json => serde_json::from_slice(bytes)
            .map(|request: J| request.count())
            .map_err(|error| bad(error.to_string())),
    }
}

/// Messages at the end of a path of field numbers.
fn in_protobuf(mut message: &[u8], path: &[&[u32]]) -> Result<u64, String> {
    let Some((fields, below)) = path.split_first() else { return Ok(1) };
    let text = |error: DecodeError| error.to_string();
    let mut total = 0;
    while !message.is_empty() {
        let (field, wire_type) = decode_key(&mut message).map_err(text)?;
        if !fields.contains(&field) {
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

trait Counted {
    fn count(&self) -> u64;
}

/// A list of which only the number of items is kept.
struct Sum<T>(u64, PhantomData<T>);

impl<T> Default for Sum<T> {
    fn default() -> Self {
        Sum(0, PhantomData)
    }
}

impl<'de, T: Deserialize<'de> + Counted> Deserialize<'de> for Sum<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Sum::default())
    }
}

impl<'de, T: Deserialize<'de> + Counted> Visitor<'de> for Sum<T> {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<Self, A::Error> {
        while let Some(item) = items.next_element::<T>()? {
            self.0 += item.count();
        }
        Ok(self)
    }

    /// `null` stands for the default in JSON's mapping of protobuf.
    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }
}

struct One;

impl<'de> Deserialize<'de> for One {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| One)
    }
}

impl Counted for One {
    fn count(&self) -> u64 {
        1
    }
}

/// Structs of JSON of which the lists below are all that matters.
macro_rules! counted {
    ($($name:ident { $($field:ident: $of:ty),+ })+) => {$(
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct $name {
            $(#[serde(default)] $field: $of,)+
        }

        impl Counted for $name {
            fn count(&self) -> u64 {
                0 $(+ self.$field.count())+
            }
        }
    )+};
}

counted! {
    Metrics { resource_metrics: Sum<ResourceMetrics> }
    ResourceMetrics { scope_metrics: Sum<ScopeMetrics> }
    ScopeMetrics { metrics: Sum<Metric> }
    Metric {
        gauge: Option<Points>,
        sum: Option<Points>,
        histogram: Option<Points>,
        exponential_histogram: Option<Points>,
        summary: Option<Points>
    }
    Points { data_points: Sum<One> }
    Logs { resource_logs: Sum<ResourceLogs> }
    ResourceLogs { scope_logs: Sum<ScopeLogs> }
    ScopeLogs { log_records: Sum<One> }
}

impl<T> Counted for Sum<T> {
    fn count(&self) -> u64 {
        self.0
    }
}

impl<T: Counted> Counted for Option<T> {
    fn count(&self) -> u64 {
        self.as_ref().map_or(0, Counted::count)
    }
}

#[cfg(test)]
#[path = "count_test.rs"]
mod tests;
