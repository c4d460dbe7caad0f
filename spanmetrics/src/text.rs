//! An attribute's value as a label's text, as the Collector has it: lists and maps as JSON, bytes in base64.

use std::fmt::Write;

use opentelemetry_proto::tonic::common::v1::AnyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;

pub(crate) fn text(value: &AnyValue) -> String {
    match &value.value {
        None => String::new(),
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::BoolValue(flag)) => flag.to_string(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::DoubleValue(number)) => double(*number),
        Some(Value::BytesValue(bytes)) => base64(bytes),
        Some(list_or_map) => {
            let mut text = String::new();
            json(list_or_map, &mut text);
            text
        }
    }
}

fn json(value: &Value, out: &mut String) {
    match value {
        Value::StringValue(text) => quoted(text, out),
        Value::BytesValue(bytes) => quoted(&base64(bytes), out),
        Value::BoolValue(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Value::IntValue(number) => {
            let _ = write!(out, "{number}");
        }
        Value::DoubleValue(number) => out.push_str(&double(*number)),
        Value::ArrayValue(list) => {
            out.push('[');
            for (at, item) in list.values.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                any(item, out);
            }
            out.push(']');
        }
        Value::KvlistValue(map) => {
            // Sorted, and of a key that stands twice the last counts.
            let sorted: std::collections::BTreeMap<&str, Option<&AnyValue>> =
                map.values.iter().map(|pair| (pair.key.as_str(), pair.value.as_ref())).collect();
            out.push('{');
            for (at, (key, item)) in sorted.into_iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                quoted(key, out);
                out.push(':');
                any(item.unwrap_or(&AnyValue { value: None }), out);
            }
            out.push('}');
        }
        // A reference into a table that traces do not have.
        _ => out.push_str("null"),
    }
}

fn any(value: &AnyValue, out: &mut String) {
    match &value.value {
        Some(value) => json(value, out),
        None => out.push_str("null"),
    }
}

fn quoted(text: &str, out: &mut String) {
    out.push_str(&serde_json::to_string(text).expect("a text serialises"));
}

/// Plain digits where they are few, an exponent where they are many.
fn double(number: f64) -> String {
    let size = number.abs();
    if size == 0.0 || !size.is_finite() || (1e-6..1e21).contains(&size) {
        return number.to_string();
    }
    let text = format!("{number:e}");
    if text.contains("e-") { text } else { text.replace('e', "e+") }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for part in bytes.chunks(3) {
        let bits = part
            .iter()
            .enumerate()
            .fold(0u32, |bits, (at, byte)| bits | u32::from(*byte) << (16 - 8 * at));
        for at in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * at)) as usize & 63];
            text.push(if at <= part.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::common::v1::{ArrayValue, KeyValue, KeyValueList};

    use super::*;

    fn of(value: Value) -> AnyValue {
        AnyValue { value: Some(value) }
    }

    #[test]
    fn lists_and_maps_are_json() {
        let list = ArrayValue { values: vec![of(Value::IntValue(1)), AnyValue { value: None }] };
        let pair = |key: &str, value| KeyValue {
            key: key.into(),
            value: Some(of(value)),
            ..Default::default()
        };
        let map = KeyValueList {
            values: vec![
                pair("b", Value::ArrayValue(list)),
                pair("a", Value::StringValue("say \"no\"".into())),
                pair("c", Value::BytesValue(b"any".to_vec())),
            ],
        };
        let expected = r#"{"a":"say \"no\"","b":[1,null],"c":"YW55"}"#;
        assert_eq!(text(&of(Value::KvlistValue(map))), expected);
    }

    #[test]
    fn numbers_read_as_the_collectors() {
        let cases =
            [(200.0, "200"), (0.5, "0.5"), (1e21, "1e+21"), (-2.5e-9, "-2.5e-9"), (0.0, "0")];
        for (number, expected) in cases {
            assert_eq!(double(number), expected);
        }
    }

    #[test]
    fn base64_pads_to_fours() {
        let cases =
            [("", ""), ("a", "YQ=="), ("ab", "YWI="), ("abc", "YWJj"), ("abcd", "YWJjZA==")];
        for (bytes, expected) in cases {
            assert_eq!(base64(bytes.as_bytes()), expected);
        }
    }
}
