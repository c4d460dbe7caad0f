//! Objects and lists of JSON as they are read: field by field and item by item, with nothing kept between.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::json::FieldName;

/// A value where it lies in the text.
pub(super) type Piece<'de> = &'de RawValue;
/// A wanted attribute's value: of the first attribute with its key, if it has one.
pub(super) type Found<'de> = Option<Option<Piece<'de>>>;

/// What is filled from an object's fields.
pub(super) trait Fields<'de> {
    /// Those that are read.
    const NAMES: &'static [&'static str];
    /// A field may stand twice, as the alternatives of one do: the last counts.
    const REPEAT: bool = false;

    /// Reads the value of one of them.
    fn field<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error>;
}

/// Fills `T` from an object; false: there is `null`.
pub(super) struct Object<'a, T>(pub(super) &'a mut T);

/// What a list's items are read into.
pub(super) trait Items<'de> {
    /// Reads one; false: there is none.
    fn item<A: SeqAccess<'de>>(&mut self, list: &mut A) -> Result<bool, A::Error>;
}

/// Fills `T` from a list; `null` is an empty one.
pub(super) struct List<'a, T>(pub(super) &'a mut T);

/// An item that is an object; false: there is none.
pub(super) fn object<'de, A: SeqAccess<'de>, T: Fields<'de>>(
    list: &mut A,
    item: &mut T,
) -> Result<bool, A::Error> {
    match list.next_element_seed(Object(item))? {
        Some(false) => Err(A::Error::custom("null in a list")),
        found => Ok(found.is_some()),
    }
}

impl<'de, T: Fields<'de>> DeserializeSeed<'de> for Object<'_, T> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<bool, D::Error> {
        value.deserialize_any(self)
    }
}

impl<'de, T: Fields<'de>> Visitor<'de> for Object<'_, T> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        let mut met = 0u32;
        while let Some(at) = map.next_key_seed(FieldName(T::NAMES))? {
            let Some(at) = at else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if met >> at & 1 == 1 && !T::REPEAT {
                return Err(A::Error::custom("a field stands twice"));
            }
            met |= 1 << at;
            self.0.field(T::NAMES[at], &mut map)?;
        }
        Ok(true)
    }

    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(false)
    }

    /// Without the text: it may be all of the request.
    fn visit_str<E: Error>(self, _: &str) -> Result<bool, E> {
        Err(E::custom("a text where an object belongs"))
    }
}

impl<'de, T: Items<'de>> DeserializeSeed<'de> for List<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        value.deserialize_any(self)
    }
}

impl<'de, T: Items<'de>> Visitor<'de> for List<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while self.0.item(&mut list)? {}
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Err(E::custom("a text where a list belongs"))
    }
}
