//! The spans of an OTLP protobuf request, one at a time: a request of any size costs the memory of one
//! resource and one span.
//!
//! Reads any legal encoding: fields in any order (a resource behind its spans), sub-messages in several
//! pieces, unknown fields and groups.

use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
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
}

const REQUEST_RESOURCE_SPANS: u32 = 1;
const RESOURCE_SPANS_RESOURCE: u32 = 1;
const RESOURCE_SPANS_SCOPE_SPANS: u32 = 2;
const SCOPE_SPANS_SPANS: u32 = 2;

pub(crate) fn each_span(
    request: &[u8],
    mut visit: impl FnMut(&Resource, &Span),
) -> Result<(), Broken> {
    each_message(request, REQUEST_RESOURCE_SPANS, |resource_spans| {
        let mut resource = Resource::default();
        each_message(resource_spans, RESOURCE_SPANS_RESOURCE, |piece| Ok(resource.merge(piece)?))?;
        each_message(resource_spans, RESOURCE_SPANS_SCOPE_SPANS, |scope_spans| {
            each_message(scope_spans, SCOPE_SPANS_SPANS, |span| {
                visit(&resource, &Span::decode(span)?);
                Ok(())
            })
        })
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
