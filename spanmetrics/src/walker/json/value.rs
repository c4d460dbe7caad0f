//! An attribute's value as the tree that its text is made of: small, since attributes that are read are.

use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList};
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess};
use serde_json::Deserializer;

use super::object::{Fields, Items, List, Object, Piece, object};
use super::scalar;

pub(super) fn any(piece: Piece<'_>) -> Result<AnyValue, serde_json::Error> {
    let mut any = Any::default();
    Object(&mut any).deserialize(&mut Deserializer::from_str(piece.get()))?;
    Ok(AnyValue { value: any.0 })
}

/// Of several kinds the last that is not `null` counts, as in protobuf.
#[derive(Default)]
struct Any(Option<Value>);

impl<'de> Fields<'de> for Any {
    const NAMES: &'static [&'static str] = &[
        "stringValue",
        "boolValue",
        "intValue",
        "doubleValue",
        "arrayValue",
        "kvlistValue",
        "bytesValue",
        "stringValueStrindex",
    ];
    const REPEAT: bool = true;

    fn field<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        let value = match name {
            "stringValue" => {
                scalar(map, |text| Some(Value::StringValue(scalar::text(text)?.into())))
            }
            "boolValue" => scalar(map, |flag| scalar::flag(flag).map(Value::BoolValue)),
            "intValue" => scalar(map, |number| scalar::long(number).map(Value::IntValue)),
            "doubleValue" => scalar(map, |number| scalar::double(number).map(Value::DoubleValue)),
            "bytesValue" => scalar(map, |text| bytes(text).map(Value::BytesValue)),
            "arrayValue" => {
                let mut list = Values::default();
                let is_there = map.next_value_seed(Object(&mut list))?;
                Ok(is_there.then_some(Value::ArrayValue(ArrayValue { values: list.0 })))
            }
            "kvlistValue" => {
                let mut list = Pairs::default();
                let is_there = map.next_value_seed(Object(&mut list))?;
                Ok(is_there.then_some(Value::KvlistValue(KeyValueList { values: list.0 })))
            }
            _ => scalar(map, |at| scalar::integer(at).map(Value::StringValueStrindex)),
        };
        if let Some(value) = value? {
            self.0 = Some(value);
        }
        Ok(())
    }
}

fn scalar<'de, A: MapAccess<'de>, T>(
    map: &mut A,
    as_kind: impl Fn(&'de str) -> Option<T>,
) -> Result<Option<T>, A::Error> {
    let Some(piece) = map.next_value::<Option<Piece<'de>>>()? else { return Ok(None) };
    let value = as_kind(piece.get());
    value.map(Some).ok_or_else(|| A::Error::custom("of another kind than its field's"))
}

/// In either alphabet, padded or not.
fn bytes(piece: &str) -> Option<Vec<u8>> {
    const CONFIG: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    const OF_MIME: GeneralPurpose = GeneralPurpose::new(&STANDARD, CONFIG);
    const OF_URLS: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, CONFIG);
    let text = scalar::text(piece)?;
    let engine = if text.contains(['-', '_']) { OF_URLS } else { OF_MIME };
    engine.decode(text.as_bytes()).ok()
}

/// The object around a list.
#[derive(Default)]
struct Values(Vec<AnyValue>);

impl<'de> Fields<'de> for Values {
    const NAMES: &'static [&'static str] = &["values"];

    fn field<A: MapAccess<'de>>(&mut self, _: &str, map: &mut A) -> Result<(), A::Error> {
        map.next_value_seed(List(self))
    }
}

impl<'de> Items<'de> for Values {
    fn item<A: SeqAccess<'de>>(&mut self, list: &mut A) -> Result<bool, A::Error> {
        let mut any = Any::default();
        let is_there = object(list, &mut any)?;
        self.0.extend(is_there.then_some(AnyValue { value: any.0 }));
        Ok(is_there)
    }
}

#[derive(Default)]
struct Pairs(Vec<KeyValue>);

impl<'de> Fields<'de> for Pairs {
    const NAMES: &'static [&'static str] = &["values"];

    fn field<A: MapAccess<'de>>(&mut self, _: &str, map: &mut A) -> Result<(), A::Error> {
        map.next_value_seed(List(self))
    }
}

impl<'de> Items<'de> for Pairs {
    fn item<A: SeqAccess<'de>>(&mut self, list: &mut A) -> Result<bool, A::Error> {
        let mut pair = Pair::default();
        let is_there = object(list, &mut pair)?;
        self.0.extend(is_there.then_some(pair.0));
        Ok(is_there)
    }
}

#[derive(Default)]
struct Pair(KeyValue);

impl<'de> Fields<'de> for Pair {
    const NAMES: &'static [&'static str] = &["key", "value"];

    fn field<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        if name == "key" {
            self.0.key = scalar(map, scalar::text)?.unwrap_or_default().into_owned();
            return Ok(());
        }
        let mut any = Any::default();
        let is_there = map.next_value_seed(Object(&mut any))?;
        self.0.value = is_there.then_some(AnyValue { value: any.0 });
        Ok(())
    }
}
