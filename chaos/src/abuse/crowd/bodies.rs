//! What the crowd sends, made once: to make them costs more than to send them.

use std::io::{self, Read};
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::abuse::Kind;

const LEVELS: usize = 100_000;
/// Just fewer than the product's limit on the objects of a request.
const OBJECTS: usize = 399_000;
const MIB: u64 = 1 << 20;
/// The product's limit on a request, less than which is taken.
const LIMIT: u64 = 64 * MIB;
const GRPC_PREFIX_BYTES: usize = 5;
const NAME: &str = "abuse";

/// A request's body, as it is and in gRPC's frame.
#[derive(Clone, Debug)]
pub(super) struct Body {
    pub(super) plain: Bytes,
    pub(super) framed: Bytes,
    pub(super) coding: Option<&'static str>,
    pub(super) is_json: bool,
    /// Whether it is taken, and then answered from memory when it comes again.
    is_good: bool,
}

#[derive(Default)]
pub(super) struct Bodies {
    pub(super) bombs: Arc<[Body]>,
    pub(super) deep: Arc<[Body]>,
    pub(super) wide: Arc<[Body]>,
}

impl Bodies {
    pub(super) fn make(kinds: &[Kind]) -> Bodies {
        let mut bodies = Bodies::default();
        if kinds.contains(&Kind::Bombs) {
            bodies.bombs = bombs().into();
        }
        if kinds.contains(&Kind::Deep) {
            bodies.deep = deep().into();
        }
        if kinds.contains(&Kind::Wide) {
            bodies.wide = wide(OBJECTS).into();
        }
        bodies
    }
}

impl Body {
    pub(super) fn protobuf(plain: Vec<u8>) -> Body {
        Body::new(plain, None, false)
    }

    fn new(plain: Vec<u8>, coding: Option<&'static str>, is_json: bool) -> Body {
        let mut framed = BytesMut::with_capacity(GRPC_PREFIX_BYTES + plain.len());
        framed.put_u8(coding.is_some().into());
        framed.put_u32(plain.len() as u32);
        framed.put_slice(&plain);
        let mut framed = framed.freeze();
        let whole = framed.clone();
        let plain = framed.split_off(GRPC_PREFIX_BYTES);
        Body { plain, framed: whole, coding, is_json, is_good: false }
    }

    /// Other bytes each time, where the same ones would cost nothing.
    pub(super) fn to_send(&self, number: u64) -> Body {
        if !(self.is_good && self.is_json) {
            return self.clone();
        }
        let head = format!(r#"{{"n":{number},"#);
        Body::new([head.as_bytes(), &self.plain[1..]].concat(), self.coding, true)
    }
}

/// Of zeros by the GiB, and of a good request just below the limit, whose one span is nearly all attribute.
fn bombs() -> Vec<Body> {
    let zeros = |bytes| io::repeat(0).take(bytes);
    let good = || {
        let text = LIMIT - 4096;
        io::Cursor::new(before_text(text)).chain(io::repeat(b'a').take(text))
    };
    vec![
        Body::new(gzip(zeros(1024 * MIB)), Some("gzip"), false),
        Body::new(zstd(zeros(8 * 1024 * MIB), 8 * MIB), Some("zstd"), false),
        Body::new(gzip(good()), Some("gzip"), false),
        Body::new(zstd(good(), 8 * MIB), Some("zstd"), false),
        // A window that no decoder has to take.
        Body::new(zstd(zeros(1024 * MIB), 128 * MIB), Some("zstd"), false),
    ]
}

fn gzip(mut content: impl Read) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let copied = io::copy(&mut content, &mut encoder).and_then(|_| encoder.finish());
    copied.expect("memory takes what is written")
}

fn zstd(mut content: impl Read, window: u64) -> Vec<u8> {
    let mut compress = || {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3)?;
        encoder.window_log(window.ilog2())?;
        io::copy(&mut content, &mut encoder)?;
        encoder.finish()
    };
    compress().expect("memory takes what is written")
}

/// Twice protobuf and twice JSON; where what is deep is read, and where it is passed over.
fn deep() -> Vec<Body> {
    let mut bodies = Vec::new();
    // ArrayValue.values; KeyValueList.values and its KeyValue.value.
    for tags in [&[0x2a, 0x0a][..], &[0x32, 0x0a, 0x12]] {
        for key in ["service.name", "http.route"] {
            bodies.push(Body::protobuf(request_with(key, nested(tags))));
        }
    }
    let lists = |levels: usize| {
        let (open, close) = (r#"{"arrayValue":{"values":["#, "]}}");
        format!("{}{}{}", open.repeat(levels), r#"{"intValue":1}"#, close.repeat(levels))
    };
    let json = format!(
        r#"{{"resourceSpans":[{{"resource":{{"attributes":[{{"key":"service.name","value":{}}}]}},"scopeSpans":[{{"spans":[{{"name":"{NAME}"}}]}}]}}]}}"#,
        lists(LEVELS)
    );
    bodies.push(Body::new(json.into_bytes(), None, true));
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
        let (open, close) = (open.repeat(LEVELS), close.repeat(LEVELS));
        bodies.push(Body::new(format!(r#"{{"x":{open}1{close}}}"#).into_bytes(), None, true));
    }
    bodies
}

/// So many empty objects, three bytes each, which a tree has a hundred times as large; and ten times as many.
fn wide(count: usize) -> Vec<Body> {
    let objects = |object: &str, count| vec![object; count].join(",");
    let spans = |objects: &str| {
        format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{objects}]}}]}}]}}"#)
    };
    let many = objects("{}", count);
    let attributes = objects(r#"{"key":""}"#, count);
    let texts = [
        spans(&many),
        spans(&objects("{}", 10 * count)),
        spans(&format!(r#"{{"attributes":[{attributes}]}}"#)),
        format!(r#"{{"resourceSpans":[{many}]}}"#),
    ];
    let body = |text: String| Body { is_good: true, ..Body::new(text.into_bytes(), None, true) };
    texts.map(body).to_vec()
}

/// An `AnyValue` in so many others, each in messages of these tags.
fn nested(tags: &[u8]) -> Vec<u8> {
    // From the inside out, so written backwards.
    let mut backwards: Vec<u8> = Vec::new();
    for _ in 0..LEVELS {
        for tag in tags.iter().rev() {
            let mut head = vec![*tag];
            put_varint(backwards.len() as u64, &mut head);
            backwards.extend(head.iter().rev());
        }
    }
    backwards.reverse();
    backwards
}

/// One span, with a resource attribute and an attribute of its own of this key and value.
fn request_with(key: &str, value: Vec<u8>) -> Vec<u8> {
    let attribute = [message(1, key.as_bytes()), message(2, &value)].concat();
    let resource = message(1, &message(1, &attribute));
    let span = [message(5, NAME.as_bytes()), message(9, &attribute)].concat();
    let spans = message(2, &message(2, &span));
    message(1, &[resource, spans].concat())
}

/// What stands before so long a text that it makes a whole request, as the attribute of a span.
fn before_text(bytes: u64) -> Vec<u8> {
    let (key, name) = (message(1, b"large"), message(5, NAME.as_bytes()));
    // From the inside out: a tag around all that is there, and what stands before it in the same message.
    let steps: [(u8, &[u8]); 6] =
        [(0x0a, &[]), (0x12, &key), (0x4a, &name), (0x12, &[]), (0x12, &[]), (0x0a, &[])];
    steps.into_iter().fold(Vec::new(), |inside, (tag, before)| {
        let mut all = before.to_vec();
        all.push(tag);
        put_varint(inside.len() as u64 + bytes, &mut all);
        all.extend(inside);
        all
    })
}

fn message(field: u8, content: &[u8]) -> Vec<u8> {
    let mut message = vec![field << 3 | 2];
    put_varint(content.len() as u64, &mut message);
    message.extend(content);
    message
}

fn put_varint(mut value: u64, into: &mut Vec<u8>) {
    while value >= 0x80 {
        into.push(value as u8 | 0x80);
        value >>= 7;
    }
    into.push(value as u8);
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    use prost::Message;

    use super::*;

    #[test]
    fn a_request_just_below_the_limit_is_a_good_one() {
        let text = 100_000;
        let bytes = [before_text(text), vec![b'a'; text as usize]].concat();
        let request = ExportTraceServiceRequest::decode(&bytes[..]).unwrap();
        let span = &request.resource_spans[0].scope_spans[0].spans[0];
        let value = span.attributes[0].value.clone().and_then(|value| value.value);
        assert!(matches!(value, Some(Value::StringValue(found)) if found.len() == text as usize));
        assert_eq!(span.name, NAME);
    }

    #[test]
    fn what_is_deep_is_as_deep_as_it_says() {
        let value = nested(&[0x2a, 0x0a]);
        let (mut at, mut levels) = (&value[..], 0);
        while let Some((tag, mut rest)) = at.split_first() {
            assert_eq!(*tag, [0x2a, 0x0a][levels % 2]);
            let length = prost::decode_length_delimiter(&mut rest).unwrap();
            assert_eq!(length, rest.len());
            (at, levels) = (rest, levels + 1);
        }
        assert_eq!(levels, 2 * LEVELS);
    }

    #[test]
    fn what_is_wide_is_a_request_and_other_bytes_each_time() {
        for (body, spans) in wide(100).iter().zip([100, 1000, 1, 0]) {
            let [first, second] = [1, 2].map(|number| body.to_send(number));
            assert_ne!(first.plain, second.plain);
            let request: ExportTraceServiceRequest = serde_json::from_slice(&first.plain).unwrap();
            let scopes = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
            assert_eq!(scopes.map(|scope| scope.spans.len()).sum::<usize>(), spans);
        }
    }

    #[test]
    fn a_bomb_is_small_until_it_is_opened() {
        let body = Body::new(zstd(io::repeat(0).take(64 * MIB), 8 * MIB), Some("zstd"), false);
        assert!(body.plain.len() < 16 << 10, "{} bytes", body.plain.len());
        assert_eq!(body.framed[..1], [1]);
        assert_eq!(body.framed[GRPC_PREFIX_BYTES..], body.plain);
        let opened = zstd::stream::decode_all(&body.plain[..]).unwrap();
        assert_eq!(opened.len() as u64, 64 * MIB);
    }
}
