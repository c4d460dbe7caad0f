//! OTLP's JSON: its spans one after the other, read where they lie.
//!
//! ```text
//! text ─▶ Reader: resourceSpans ▸ scopeSpans ▸ spans ─▶ a span's fields, as pieces of the text
//!                                                         └ admitted? ─▶ decoded, and counted
//! ```
//!
//! There is no tree of the request. A field that is read stays a piece of the text until its span counts; then
//! it is decoded, each attribute within a limit. All other fields are passed over, and so are those that
//! nobody knows: JSON they have to be, and nothing else of them is checked. `null` is a field that is not there.

mod object;
mod reader;
mod scalar;
mod value;

use opentelemetry_proto::tonic::common::v1::AnyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use serde::Deserialize;

use super::Broken;
use super::odd::MAX_ATTRIBUTE_BYTES;
use super::resources::Resource;
use super::walk::{SpanView, Walk, group};
use crate::json::{JsonFault, json_text};
use object::{Found, Piece};
use reader::{Reader, Span};

impl Walk<'_> {
    pub(super) fn json(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        let text = json_text(bytes)?;
        let (config, wanted) = (self.config, [self.wanted, self.wanted_of_resource]);
        let reader = Reader::new(text, wanted, &config.dimensions, |resource, span, values| {
            self.json_span(text, resource, span, values)
        });
        reader.read()
    }

    fn json_span(
        &mut self,
        text: &str,
        resource: &Resource,
        span: &Span<'_>,
        values: &[Found<'_>],
    ) -> Result<(), Broken> {
        let end_ns = scalar::read(text, span.end_ns, scalar::long)?.unwrap_or(0);
        if !self.admit(end_ns) {
            return Ok(());
        }
        let name = scalar::read(text, span.name, scalar::beginning)?.unwrap_or_default();
        let view = SpanView {
            name: name.as_bytes(),
            kind: scalar::read(text, span.kind, scalar::integer)?.unwrap_or(0),
            start_ns: scalar::read(text, span.start_ns, scalar::long)?.unwrap_or(0),
            end_ns,
            status: scalar::read(text, span.status.code, scalar::integer)?.unwrap_or(0),
        };
        let values = decoded(text, values, |at| &self.config.dimensions[at])?;
        group(self.config, resource, view.name, view.kind, view.status, &values)
            .and_then(|group| self.decoded(group, &view))
    }
}

/// Values as they were found; `key` names the one that is too large.
fn decoded<'k>(
    text: &str,
    values: &[Found<'_>],
    key: impl Fn(usize) -> &'k str,
) -> Result<Vec<Option<AnyValue>>, Broken> {
    let decode = |(at, found): (usize, &Found<'_>)| {
        let Some(value) = found.flatten() else { return Ok(None) };
        if value.get().len() > MAX_ATTRIBUTE_BYTES {
            let (key, limit_bytes) = (key(at).to_owned(), MAX_ATTRIBUTE_BYTES);
            let text = large_text(value).ok_or(Broken::LargeAttribute { key, limit_bytes })?;
            return Ok(Some(AnyValue { value: Some(Value::StringValue(text)) }));
        }
        let fault = |error| JsonFault::of(&error).within(text, value.get());
        Ok(Some(value::any(value).map_err(fault)?))
    };
    values.iter().enumerate().map(decode).collect()
}

/// Of a value that has one text and nothing else, more of the text than anybody keeps.
fn large_text(value: Piece<'_>) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct OneText<'a> {
        #[serde(borrow)]
        string_value: Piece<'a>,
    }
    let OneText { string_value } = serde_json::from_str(value.get()).ok()?;
    let text = scalar::beginning(string_value.get())?;
    Some(text[..text.floor_char_boundary(MAX_ATTRIBUTE_BYTES)].to_owned())
}

#[cfg(test)]
#[path = "json_test.rs"]
mod tests;
