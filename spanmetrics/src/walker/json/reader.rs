//! The way from a request to its spans.
//!
//! A resource may stand behind the spans that it belongs to. Then the piece of text that has them is passed over
//! first, and read when their resource is known.

use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess};
use serde_json::Deserializer;

use super::super::resources::Resource;
use super::super::wanted::Wanted;
use super::super::{Broken, SERVICE_NAME};
use super::object::{Fields, Found, Items, List, Object, Piece, object};
use super::{decoded, scalar};
use crate::json::JsonFault;

/// Reads a request, and hands each span on with its resource and the wanted attributes' values.
pub(super) struct Reader<'de, F> {
    text: &'de str,
    wanted: &'de Wanted,
    wanted_of_resource: &'de Wanted,
    dimensions: &'de [String],
    take: F,
    /// Of the span under way.
    values: Vec<Found<'de>>,
    /// Why it stopped, unless the JSON is at fault.
    refused: Option<Broken>,
}

/// What of a span is read, as it came.
#[derive(Default)]
pub(super) struct Span<'de> {
    pub(super) name: Option<Piece<'de>>,
    pub(super) kind: Option<Piece<'de>>,
    pub(super) start_ns: Option<Piece<'de>>,
    pub(super) end_ns: Option<Piece<'de>>,
    pub(super) status: Status<'de>,
}

#[derive(Default)]
pub(super) struct Status<'de> {
    pub(super) code: Option<Piece<'de>>,
}

impl<'de, F> Reader<'de, F>
where
    F: FnMut(&Resource, &Span<'de>, &[Found<'de>]) -> Result<(), Broken>,
{
    /// `wanted` of the spans, and of their resources.
    pub(super) fn new(
        text: &'de str,
        [wanted, wanted_of_resource]: [&'de Wanted; 2],
        dimensions: &'de [String],
        take: F,
    ) -> Self {
        let values = vec![None; wanted.len()];
        Reader { text, wanted, wanted_of_resource, dimensions, take, values, refused: None }
    }

    pub(super) fn read(mut self) -> Result<(), Broken> {
        let mut json = Deserializer::from_str(self.text);
        let read = match Object(&mut Request(&mut self)).deserialize(&mut json) {
            // An object, and nothing behind it.
            Ok(true) => json.end(),
            Ok(false) => return Err(JsonFault::of_another_kind().into()),
            Err(error) => Err(error),
        };
        read.map_err(|error| self.refused.take().unwrap_or_else(|| JsonFault::of(&error).into()))
    }

    /// Stops with what is not a fault of the JSON, or of another piece of it.
    fn stop<T, E: Error>(&mut self, result: Result<T, Broken>) -> Result<T, E> {
        result.map_err(|broken| {
            self.refused.get_or_insert(broken);
            E::custom("refused")
        })
    }

    /// Spans that stood before their resource.
    fn waiting<E: Error>(&mut self, piece: Piece<'de>, resource: &Resource) -> Result<(), E> {
        let mut list = ScopeSpans { reader: self, resource };
        let read = List(&mut list).deserialize(&mut Deserializer::from_str(piece.get()));
        let fault = |error| JsonFault::of(&error).within(self.text, piece.get()).into();
        let read = read.map_err(fault);
        self.stop(read)
    }

    fn resource<E: Error>(&mut self, values: &[Found<'de>]) -> Result<Resource, E> {
        let dimensions = self.dimensions;
        let named = |at: usize| dimensions.get(at).map_or(SERVICE_NAME, String::as_str);
        let values = self.stop(decoded(self.text, values, named))?;
        Ok(Resource::of(&values, dimensions))
    }
}

struct Request<'r, 'de, F>(&'r mut Reader<'de, F>);

impl<'de, F> Fields<'de> for Request<'_, 'de, F>
where
    F: FnMut(&Resource, &Span<'de>, &[Found<'de>]) -> Result<(), Broken>,
{
    const NAMES: &'static [&'static str] = &["resourceSpans"];

    fn field<A: MapAccess<'de>>(&mut self, _: &str, map: &mut A) -> Result<(), A::Error> {
        map.next_value_seed(List(self))
    }
}

impl<'de, F> Items<'de> for Request<'_, 'de, F>
where
    F: FnMut(&Resource, &Span<'de>, &[Found<'de>]) -> Result<(), Broken>,
{
    fn item<A: SeqAccess<'de>>(&mut self, list: &mut A) -> Result<bool, A::Error> {
        let mut item = ResourceSpans { reader: self.0, resource: None, waiting: None };
        if !object(list, &mut item)? {
            return Ok(false);
        }
        if let ResourceSpans { waiting: Some(piece), resource, .. } = item {
            let resource = match resource {
                Some(resource) => resource,
                None => self.0.resource(&vec![None; self.0.wanted_of_resource.len()])?,
            };
            self.0.waiting(piece, &resource)?;
        }
        Ok(true)
    }
}

struct ResourceSpans<'r, 'de, F> {
    reader: &'r mut Reader<'de, F>,
    resource: Option<Resource>,
    waiting: Option<Piece<'de>>,
}

impl<'de, F> Fields<'de> for ResourceSpans<'_, 'de, F>
where
    F: FnMut(&Resource, &Span<'de>, &[Found<'de>]) -> Result<(), Broken>,
{
    const NAMES: &'static [&'static str] = &["resource", "scopeSpans"];

    fn field<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match (name, &self.resource) {
            ("resource", _) => {
                let wanted = self.reader.wanted_of_resource;
                let mut values = vec![None; wanted.len()];
                map.next_value_seed(Object(&mut WithAttributes(wanted, &mut values)))?;
                self.resource = Some(self.reader.resource(&values)?);
            }
            (_, Some(resource)) => {
                let mut list = ScopeSpans { reader: self.reader, resource };
                map.next_value_seed(List(&mut list))?;
            }
            (_, None) => self.waiting = map.next_value()?,
        }
        Ok(())
    }
}

struct ScopeSpans<'r, 'de, F> {
    reader: &'r mut Reader<'de, F>,
    resource: &'r Resource,
}

impl<'de, F> Items<'de> for ScopeSpans<'_, 'de, F>
where
    F: FnMut(&Resource, &Span<'de>, &[Found<'de>]) -> Result<(), Broken>,
{
    fn item<A: SeqAccess<'de>>(&mut self, list: &mut A) -> Result<bool, A::Error> {
        object(list, &mut Spans { reader: self.reader, resource: self.resource })
    }
}

/// The spans of a scope, which says nothing else.
struct Spans<'r, 'de, F> {
    reader: &'r mut Reader<'de, F>,
    resource: &'r Resource,
}

impl<'de, F> Fields<'de> for Spans<'_, 'de, F>
where
    F: FnMut(&Resource, &Span<'de>, &[Found<'de>]) -> Result<(), Broken>,
{
    const NAMES: &'static [&'static str] = &["spans"];

    fn field<A: MapAccess<'de>>(&mut self, _: &str, map: &mut A) -> Result<(), A::Error> {
        map.next_value_seed(List(self))
    }
}

impl<'de, F> Items<'de> for Spans<'_, 'de, F>
where
    F: FnMut(&Resource, &Span<'de>, &[Found<'de>]) -> Result<(), Broken>,
{
    fn item<A: SeqAccess<'de>>(&mut self, list: &mut A) -> Result<bool, A::Error> {
        let Reader { wanted, values, .. } = &mut *self.reader;
        values.fill(None);
        let mut span =
            SpanFields { span: Span::default(), of_span: WithAttributes(wanted, values) };
        if !object(list, &mut span)? {
            return Ok(false);
        }
        let span = span.span;
        let counted = (self.reader.take)(self.resource, &span, &self.reader.values);
        self.reader.stop(counted)?;
        Ok(true)
    }
}

struct SpanFields<'r, 'de> {
    span: Span<'de>,
    of_span: WithAttributes<'r, 'de>,
}

impl<'de> Fields<'de> for SpanFields<'_, 'de> {
    const NAMES: &'static [&'static str] =
        &["name", "kind", "startTimeUnixNano", "endTimeUnixNano", "attributes", "status"];

    fn field<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "name" => self.span.name = map.next_value()?,
            "kind" => self.span.kind = map.next_value()?,
            "startTimeUnixNano" => self.span.start_ns = map.next_value()?,
            "endTimeUnixNano" => self.span.end_ns = map.next_value()?,
            "attributes" => self.of_span.field(name, map)?,
            _ => _ = map.next_value_seed(Object(&mut self.span.status))?,
        }
        Ok(())
    }
}

impl<'de> Fields<'de> for Status<'de> {
    const NAMES: &'static [&'static str] = &["code"];

    fn field<A: MapAccess<'de>>(&mut self, _: &str, map: &mut A) -> Result<(), A::Error> {
        self.code = map.next_value()?;
        Ok(())
    }
}

/// The values of an object's wanted attributes.
struct WithAttributes<'r, 'de>(&'r Wanted, &'r mut [Found<'de>]);

impl<'de> Fields<'de> for WithAttributes<'_, 'de> {
    const NAMES: &'static [&'static str] = &["attributes"];

    fn field<A: MapAccess<'de>>(&mut self, _: &str, map: &mut A) -> Result<(), A::Error> {
        map.next_value_seed(List(self))
    }
}

impl<'de> Items<'de> for WithAttributes<'_, 'de> {
    fn item<A: SeqAccess<'de>>(&mut self, list: &mut A) -> Result<bool, A::Error> {
        let mut attribute = Attribute::default();
        if !object(list, &mut attribute)? {
            return Ok(false);
        }
        let key = attribute.key.map(|key| {
            let of_kind = scalar::beginning(key.get());
            of_kind.ok_or_else(|| A::Error::custom("a key that is no text"))
        });
        if let Some(at) = self.0.find(key.transpose()?.unwrap_or_default().as_bytes()) {
            self.1[at].get_or_insert(attribute.value);
        }
        Ok(true)
    }
}

#[derive(Default)]
struct Attribute<'de> {
    key: Option<Piece<'de>>,
    value: Option<Piece<'de>>,
}

impl<'de> Fields<'de> for Attribute<'de> {
    const NAMES: &'static [&'static str] = &["key", "value"];

    fn field<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        let piece = map.next_value()?;
        match name {
            "key" => self.key = piece,
            _ => self.value = piece,
        }
        Ok(())
    }
}
