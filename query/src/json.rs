//! The `data` object of a Prometheus response.
//!
//! Values are strings, so that NaN and the infinities survive JSON; times are seconds as numbers,
//! with up to three decimals.

use std::fmt::{self, Write};

use serde::ser::{SerializeMap, SerializeSeq, SerializeStruct};
use serde::{Serialize, Serializer};
use tributary_spanmetrics::Labels;

use crate::answer::{RangeSeries, Sample, Value};
use crate::source::TimeMs;

/// Serialises a value as `{"resultType": …, "result": …}`.
#[derive(Clone, Copy, Debug)]
pub struct Data<'a>(pub &'a Value);

/// Writes a float as Prometheus does: the shortest digits that read back, never an exponent.
#[derive(Clone, Copy, Debug)]
pub struct Float(pub f64);

/// Serialises a label set as an object.
#[derive(Clone, Copy, Debug)]
pub struct Metric<'a>(pub &'a Labels);

struct Seconds(TimeMs);
struct Point(TimeMs, f64);

impl Serialize for Data<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut data = serializer.serialize_struct("Data", 2)?;
        let result_type = match self.0 {
            Value::Scalar(..) => "scalar",
            Value::String(..) => "string",
            Value::Vector(_) => "vector",
            Value::Matrix(_) => "matrix",
        };
        data.serialize_field("resultType", result_type)?;
        match self.0 {
            Value::Scalar(time, value) => data.serialize_field("result", &Point(*time, *value))?,
            Value::String(time, text) => data.serialize_field("result", &(Seconds(*time), text))?,
            Value::Vector(samples) => data.serialize_field("result", samples)?,
            Value::Matrix(series) => data.serialize_field("result", series)?,
        }
        data.end()
    }
}

impl Serialize for Sample {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut sample = serializer.serialize_struct("Sample", 2)?;
        sample.serialize_field("metric", &Metric(&self.labels))?;
        sample.serialize_field("value", &Point(self.time, self.value))?;
        sample.end()
    }
}

impl Serialize for RangeSeries {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Points<'a>(&'a [(TimeMs, f64)]);
        impl Serialize for Points<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_seq(self.0.iter().map(|&(time, value)| Point(time, value)))
            }
        }
        let mut series = serializer.serialize_struct("RangeSeries", 2)?;
        series.serialize_field("metric", &Metric(&self.labels))?;
        series.serialize_field("values", &Points(&self.points))?;
        series.end()
    }
}

impl Serialize for Metric<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut metric = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in self.0.iter() {
            metric.serialize_entry(name, value)?;
        }
        metric.end()
    }
}

impl Serialize for Point {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut pair = serializer.serialize_seq(Some(2))?;
        pair.serialize_element(&Seconds(self.0))?;
        pair.serialize_element(&Float(self.1))?;
        pair.end()
    }
}

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 % 1_000 {
            0 => serializer.serialize_i64(self.0 / 1_000),
            _ => serializer.serialize_f64(self.0 as f64 / 1_000.0),
        }
    }
}

impl Serialize for Float {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for Float {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            v if v.is_nan() => f.write_str("NaN"),
            v if v.is_infinite() => {
                f.write_char(if v > 0.0 { '+' } else { '-' })?;
                f.write_str("Inf")
            }
            // Rust's own form is the shortest that reads back, and without an exponent.
            v => write!(f, "{v}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(value: &Value) -> String {
        serde_json::to_string(&Data(value)).expect("serialises")
    }

    #[test]
    fn floats_are_written_without_exponents() {
        let written = |v: f64| Float(v).to_string();
        assert_eq!(written(f64::NAN), "NaN");
        assert_eq!(written(f64::INFINITY), "+Inf");
        assert_eq!(written(f64::NEG_INFINITY), "-Inf");
        assert_eq!(written(-0.0), "-0");
        assert_eq!(written(0.1 + 0.2), "0.30000000000000004");
        assert_eq!(written(1e21), "1000000000000000000000");
        assert_eq!(written(1e-7), "0.0000001");
    }

    #[test]
    fn times_are_seconds_with_decimals_only_where_needed() {
        assert_eq!(
            json(&Value::Scalar(1_700_004_200_500, 1.0)),
            r#"{"resultType":"scalar","result":[1700004200.5,"1"]}"#
        );
        assert_eq!(
            json(&Value::String(1_700_004_200_000, "a\"b".into())),
            r#"{"resultType":"string","result":[1700004200,"a\"b"]}"#
        );
    }

    #[test]
    fn vectors_and_matrices_have_prometheus_shape() {
        let labels = Labels::from_pairs([("__name__", "up"), ("job", "edge")]);
        let sample = Sample { labels: labels.clone(), time: 1_500, value: 2.5 };
        assert_eq!(
            json(&Value::Vector(vec![sample])),
            r#"{"resultType":"vector","result":[{"metric":{"__name__":"up","job":"edge"},"value":[1.5,"2.5"]}]}"#
        );
        let series = RangeSeries { labels, points: vec![(0, f64::NAN), (10_000, 3.0)] };
        assert_eq!(
            json(&Value::Matrix(vec![series])),
            r#"{"resultType":"matrix","result":[{"metric":{"__name__":"up","job":"edge"},"values":[[0,"NaN"],[10,"3"]]}]}"#
        );
        assert_eq!(json(&Value::Vector(vec![])), r#"{"resultType":"vector","result":[]}"#);
    }
}
