//! The spans of an OTLP protobuf request, one at a time. Builds no tree of them: what a span metric does
//! not read (events, links, other attributes) is passed over.
//!
//! Reads any legal encoding: fields in any order (a resource after its spans), sub-messages in several
//! pieces, unknown fields and groups. Invalid text in what is read is bad data.

use opentelemetry_proto::tonic::common::v1::KeyValue;
use prost::bytes::Buf;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
use prost::{DecodeError, Message};
use thiserror::Error;

#[derive(Debug, Error)]
pub(crate) enum Broken {
    #[error(transparent)]
    Field(#[from] DecodeError),
    #[error("field {0} is a number where a message belongs")]
    NotAMessage(u32),
    #[error("field {0} ends beyond its message")]
    Truncated(u32),
    #[error(
        "attribute {0:?} is larger than {MAX_ATTRIBUTE_BYTES} bytes, and it is one that is read"
    )]
    LargeAttribute(String),
}

/// What of a span is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SpanView<'a> {
    pub(crate) name: &'a str,
    pub(crate) kind: i32,
    pub(crate) start_ns: u64,
    pub(crate) end_ns: u64,
    pub(crate) status: i32,
    pub(crate) attributes: &'a [KeyValue],
}

/// An attribute that is read has to be smaller: decoded, it takes many times its bytes.
const MAX_ATTRIBUTE_BYTES: usize = 64 << 10;

const REQUEST_RESOURCE_SPANS: u32 = 1;
const RESOURCE_SPANS_RESOURCE: u32 = 1;
const RESOURCE_ATTRIBUTES: u32 = 1;
const RESOURCE_SPANS_SCOPE_SPANS: u32 = 2;
const SCOPE_SPANS_SPANS: u32 = 2;
const SPAN_ATTRIBUTES: u32 = 9;

/// A span without what is passed over.
#[derive(Clone, PartialEq, Message)]
struct LeanSpan {
    #[prost(string, tag = "5")]
    name: String,
    #[prost(int32, tag = "6")]
    kind: i32,
    #[prost(fixed64, tag = "7")]
    start_ns: u64,
    #[prost(fixed64, tag = "8")]
    end_ns: u64,
    #[prost(message, optional, tag = "15")]
    status: Option<LeanStatus>,
}

#[derive(Clone, PartialEq, Message)]
struct LeanStatus {
    #[prost(int32, tag = "3")]
    code: i32,
}

#[derive(Clone, PartialEq, Message)]
struct LeanKey {
    #[prost(string, tag = "1")]
    key: String,
}

/// Visits every span with the attributes that are wanted of its resource and of itself, in their order.
pub(crate) fn each_span(
    request: &[u8],
    wanted_of_resource: &[&str],
    wanted_of_span: &[&str],
    mut visit: impl FnMut(&[KeyValue], SpanView<'_>),
) -> Result<(), Broken> {
    each_message(request, REQUEST_RESOURCE_SPANS, |resource_spans| {
        let mut resource = Vec::new();
        each_message(resource_spans, RESOURCE_SPANS_RESOURCE, |piece| {
            attributes(piece, RESOURCE_ATTRIBUTES, wanted_of_resource, &mut resource)
        })?;
        let mut of_span = Vec::new();
        each_message(resource_spans, RESOURCE_SPANS_SCOPE_SPANS, |scope_spans| {
            each_message(scope_spans, SCOPE_SPANS_SPANS, |span| {
                let lean = LeanSpan::decode(span)?;
                of_span.clear();
                attributes(span, SPAN_ATTRIBUTES, wanted_of_span, &mut of_span)?;
                let view = SpanView {
                    name: &lean.name,
                    kind: lean.kind,
                    start_ns: lean.start_ns,
                    end_ns: lean.end_ns,
                    status: lean.status.map_or(0, |status| status.code),
                    attributes: &of_span,
                };
                visit(&resource, view);
                Ok(())
            })
        })
    })
}

fn attributes(
    message: &[u8],
    field: u32,
    wanted: &[&str],
    into: &mut Vec<KeyValue>,
) -> Result<(), Broken> {
    if wanted.is_empty() {
        return Ok(());
    }
    each_message(message, field, |attribute| {
        let LeanKey { key } = LeanKey::decode(attribute)?;
        if wanted.contains(&key.as_str()) {
            if attribute.len() > MAX_ATTRIBUTE_BYTES {
                return Err(Broken::LargeAttribute(key));
            }
            into.push(KeyValue::decode(attribute)?);
        }
        Ok(())
    })
}

/// Hands over the bytes of each sub-message under `wanted`.
fn each_message<'a>(
    mut message: &'a [u8],
    wanted: u32,
    mut visit: impl FnMut(&'a [u8]) -> Result<(), Broken>,
) -> Result<(), Broken> {
    while message.has_remaining() {
        let (tag, wire_type) = decode_key(&mut message)?;
        if tag != wanted {
            skip_field(wire_type, tag, &mut message, DecodeContext::default())?;
            continue;
        }
        if wire_type != WireType::LengthDelimited {
            return Err(Broken::NotAMessage(tag));
        }
        let len = decode_varint(&mut message)?;
        let split = usize::try_from(len).ok().and_then(|len| message.split_at_checked(len));
        let (bytes, rest) = split.ok_or(Broken::Truncated(tag))?;
        visit(bytes)?;
        message = rest;
    }
    Ok(())
}
