//! A walker reads any legal encoding of a request as `prost` does, warm or cold.
//!
//! A request that `prost` encoded is taken apart by its schema and written again with everything that the
//! format allows: fields in any order, messages in pieces, overlong integers, values that a later one
//! overrides, unknown fields and groups.

use std::cell::RefCell;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::resource::v1::Resource as OtlpResource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;

use super::oracle_test::{Bench, NOW, SECOND, expected};
use super::*;
use crate::labels::Labels;
use crate::wire::{Cursor, FIXED64, Key, LENGTH, VARINT};

/// What a message's fields hold, as far as they are taken apart.
struct Schema {
    /// Sub-messages, and whether there may be several.
    messages: &'static [(u32, &'static Schema, bool)],
    /// Integers, fixed numbers and texts of which the last stands.
    scalars: &'static [(u32, u32)],
}

const LEAF: Schema = Schema { messages: &[], scalars: &[] };
const KEY_VALUE: Schema = Schema { messages: &[(2, &LEAF, false)], scalars: &[(1, LENGTH)] };
const RESOURCE: Schema = Schema { messages: &[(1, &KEY_VALUE, true)], scalars: &[(2, VARINT)] };
const STATUS: Schema = Schema { messages: &[], scalars: &[(2, LENGTH), (3, VARINT)] };
const SPAN: Schema = Schema {
    messages: &[(9, &KEY_VALUE, true), (11, &LEAF, true), (13, &LEAF, true), (15, &STATUS, false)],
    scalars: &[(1, LENGTH), (5, LENGTH), (6, VARINT), (7, FIXED64), (8, FIXED64)],
};
const SCOPE_SPANS: Schema = Schema { messages: &[(2, &SPAN, true)], scalars: &[(3, LENGTH)] };
const RESOURCE_SPANS: Schema =
    Schema { messages: &[(1, &RESOURCE, false), (2, &SCOPE_SPANS, true)], scalars: &[(3, LENGTH)] };
const REQUEST: Schema = Schema { messages: &[(1, &RESOURCE_SPANS, true)], scalars: &[] };

pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ z >> 31) % sides
    }

    pub(super) fn one_in(&mut self, sides: u64) -> bool {
        self.roll(sides) == 0
    }
}

/// A field: its number, its wire type, and its value's bytes without a length.
type Field = (u32, u32, Vec<u8>);

fn fields(message: &[u8]) -> Vec<Field> {
    let mut cursor = Cursor::new(message);
    let mut found = Vec::new();
    while !cursor.is_empty() {
        let key = cursor.key().expect("from prost");
        let wire_type =
            [VARINT, FIXED64, LENGTH].into_iter().find(|w| key == Key::of(key.field(), *w));
        let value = match wire_type {
            Some(VARINT) => cursor.varint().expect("from prost").to_le_bytes().to_vec(),
            Some(FIXED64) => cursor.fixed64().expect("from prost").to_le_bytes().to_vec(),
            Some(LENGTH) => cursor.bytes().expect("from prost").to_vec(),
            _ => {
                // Fixed32: a span's flags, which nobody reads.
                cursor.skip(key).expect("from prost");
                continue;
            }
        };
        found.push((key.field(), wire_type.expect("matched above"), value));
    }
    found
}

fn varint(out: &mut Vec<u8>, value: u64, dice: &mut Dice) {
    let mut bytes = Vec::new();
    let mut rest = value;
    while rest >= 0x80 {
        bytes.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
    if dice.one_in(6) {
        let longer = bytes.len() + dice.roll(11 - bytes.len() as u64) as usize;
        while bytes.len() < longer {
            *bytes.last_mut().expect("one at least") |= 0x80;
            bytes.push(0);
        }
    }
    out.extend(bytes);
}

fn write(out: &mut Vec<u8>, (number, wire_type, value): &Field, dice: &mut Dice) {
    varint(out, u64::from(number << 3 | wire_type), dice);
    match *wire_type {
        VARINT => {
            varint(out, u64::from_le_bytes(value[..8].try_into().expect("eight")), dice);
        }
        LENGTH => {
            varint(out, value.len() as u64, dice);
            out.extend(value);
        }
        _ => out.extend(value),
    }
}

fn unknown(out: &mut Vec<u8>, dice: &mut Dice, depth: u32) {
    let number = 1000 + dice.roll(100) as u32;
    match dice.roll(5) {
        0 => write(out, &(number, VARINT, dice.0.to_le_bytes().to_vec()), dice),
        1 => write(out, &(number, FIXED64, vec![0xff; 8]), dice),
        2 => write(out, &(number, LENGTH, vec![0xff; 5]), dice),
        3 => {
            varint(out, u64::from(number << 3 | 5), dice);
            out.extend([1, 2, 3, 4]);
        }
        _ => {
            varint(out, u64::from(number << 3 | 3), dice);
            if depth < 3 {
                unknown(out, dice, depth + 1);
            }
            varint(out, u64::from(number << 3 | 4), dice);
        }
    }
}

/// The same message, written in another way.
fn rewritten(message: &[u8], schema: &Schema, dice: &mut Dice) -> Vec<u8> {
    let mut all = Vec::new();
    for (number, wire_type, value) in fields(message) {
        let of_message = schema.messages.iter().find(|(field, ..)| *field == number);
        if let Some((_, inner, is_repeated)) = of_message {
            let inner_fields = fields(&value);
            let cut = if *is_repeated || inner_fields.is_empty() || !dice.one_in(3) {
                inner_fields.len()
            } else {
                dice.roll(inner_fields.len() as u64 + 1) as usize
            };
            for piece in [&inner_fields[..cut], &inner_fields[cut..]] {
                if piece.is_empty() && cut != 0 && cut != inner_fields.len() {
                    continue;
                }
                let mut bytes = Vec::new();
                piece.iter().for_each(|field| write(&mut bytes, field, &mut Dice(3)));
                if !(piece.is_empty() && cut == inner_fields.len() && cut > 0) {
                    all.push((number, wire_type, rewritten(&bytes, inner, dice)));
                }
            }
        } else {
            if schema.scalars.contains(&(number, wire_type)) && dice.one_in(5) {
                let other = match wire_type {
                    LENGTH => b"other".to_vec(),
                    _ => 77u64.to_le_bytes().to_vec(),
                };
                all.push((number, wire_type, other));
            }
            all.push((number, wire_type, value));
        }
    }
    // Any order that keeps those of one number in theirs.
    let mut out = Vec::new();
    while !all.is_empty() {
        let drawn = if dice.one_in(3) { dice.roll(all.len() as u64) as usize } else { 0 };
        let number = all[drawn].0;
        let first = all.iter().position(|field| field.0 == number).expect("it is one of them");
        let field = all.remove(first);
        if dice.one_in(8) {
            unknown(&mut out, dice, 0);
        }
        write(&mut out, &field, dice);
    }
    out
}

fn value() -> impl Strategy<Value = Option<AnyValue>> {
    let scalar = prop_oneof![
        4 => prop_oneof![Just("GET"), Just("/cart/{id}"), Just(""), Just("a longer text of some words")]
            .prop_map(|text| Value::StringValue(text.into())),
        1 => Just(Value::StringValue("x".repeat(1500))),
        1 => any::<bool>().prop_map(Value::BoolValue),
        2 => prop_oneof![Just(200), Just(-1), Just(i64::MAX)].prop_map(Value::IntValue),
        1 => prop_oneof![Just(0.5), Just(1e30), Just(f64::NAN)].prop_map(Value::DoubleValue),
        1 => Just(Value::BytesValue(vec![0xff, 0xfe])),
    ];
    let list = vec(scalar.clone(), 0..3).prop_map(|values| {
        let values = values.into_iter().map(|value| AnyValue { value: Some(value) }).collect();
        Value::ArrayValue(ArrayValue { values })
    });
    let pair = (prop_oneof![Just("a"), Just("b"), Just("")], scalar.clone());
    let map = vec(pair, 0..3).prop_map(|pairs| {
        let pair = |(key, value): (&str, Value)| KeyValue {
            key: key.into(),
            value: Some(AnyValue { value: Some(value) }),
            ..Default::default()
        };
        Value::KvlistValue(KeyValueList { values: pairs.into_iter().map(pair).collect() })
    });
    let any = prop_oneof![
        8 => scalar.prop_map(Some),
        1 => list.prop_map(Some),
        1 => map.prop_map(Some),
        1 => Just(None)
    ];
    prop_oneof![9 => any.prop_map(|value| Some(AnyValue { value })), 1 => Just(None)]
}

fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    let key = prop_oneof![
        Just("http.method"),
        Just("http.route"),
        Just("http.status"),
        Just("service.name"),
        Just("zone"),
        Just("url.full"),
        Just("")
    ];
    let attribute = (key, value()).prop_map(|(key, value)| KeyValue {
        key: key.into(),
        value,
        ..Default::default()
    });
    vec(attribute, 0..8)
}

fn spans() -> impl Strategy<Value = Span> {
    let name = prop_oneof![Just("GET /"), Just("a name of a span"), Just("")];
    let end = prop_oneof![
        6 => (0..30u64).prop_map(|s| NOW - s * SECOND),
        1 => Just(NOW - 40 * 24 * 3600 * SECOND),
        1 => Just(NOW + 3600 * SECOND),
    ];
    let status = prop_oneof![Just(None), (0..4i32).prop_map(Some)];
    (name, -1..7i32, end, 0..20_000_000_000u64, status, attributes()).prop_map(
        |(name, kind, end_ns, duration_ns, status, attributes)| Span {
            trace_id: vec![1; 16],
            span_id: vec![2; 8],
            name: name.into(),
            kind,
            start_time_unix_nano: end_ns.wrapping_sub(duration_ns).wrapping_add(5 * SECOND),
            end_time_unix_nano: end_ns,
            status: status.map(|code| Status { code, message: "why".into() }),
            attributes,
            events: vec![Event { name: "e".into(), ..Default::default() }],
            links: vec![Link { trace_id: vec![3; 16], ..Default::default() }],
            flags: 1,
            ..Default::default()
        },
    )
}

pub(super) fn requests() -> impl Strategy<Value = ExportTraceServiceRequest> {
    let scope = vec(spans(), 0..5).prop_map(|spans| ScopeSpans {
        spans,
        schema_url: "s".into(),
        ..Default::default()
    });
    let resource = prop_oneof![
        Just(None),
        attributes().prop_map(|attributes| Some(OtlpResource { attributes, ..Default::default() }))
    ];
    let of_resource = (resource, vec(scope, 0..3)).prop_map(|(resource, scope_spans)| {
        ResourceSpans { resource, scope_spans, ..Default::default() }
    });
    vec(of_resource, 0..4).prop_map(|resource_spans| ExportTraceServiceRequest { resource_spans })
}

pub(super) fn config() -> Config {
    let dimensions = ["http.method", "http.route", "http.status", "zone", "service.name"];
    Config {
        dimensions: dimensions.map(str::to_owned).to_vec(),
        external: Labels::from_pairs([("region", "eu")]),
        ..Config::default()
    }
}

thread_local! {
    /// Stays warm across all cases.
    pub(super) static WARM: RefCell<Bench> = RefCell::new(Bench::new(&config()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn any_legal_encoding_means_what_prost_reads(request in requests(), seed: u64) {
        let config = config();
        let tenant = if seed % 4 == 0 { Tenant::new("second").expect("a name") } else { Tenant::default() };
        let bytes = rewritten(&request.encode_to_vec(), &REQUEST, &mut Dice(seed));
        let read = ExportTraceServiceRequest::decode(&bytes[..]).expect("legal");
        let expected = Ok(expected(&read, &tenant, &config));
        let cold = Bench::new(&config).fold(&bytes, Encoding::Protobuf, &tenant);
        prop_assert_eq!(&cold, &expected);
        let warm = WARM.with_borrow_mut(|warm| {
            if seed % 7 == 0 {
                // Nothing new has room, for once.
                warm.groups.set_limit(0);
                warm.fold(&bytes, Encoding::Protobuf, &tenant).expect("legal");
                warm.groups.set_limit(1 << 20);
            }
            if seed % 50 == 0 {
                warm.groups.retire(|slot| slot.0 % 2 == 0);
            }
            warm.fold(&bytes, Encoding::Protobuf, &tenant)
        });
        prop_assert_eq!(&warm, &expected);
    }

    #[test]
    fn broken_bytes_never_panic_and_leave_no_trace(
        request in requests(), flips in vec((any::<usize>(), any::<u8>()), 1..6), cut: usize,
    ) {
        let (config, tenant) = (config(), Tenant::default());
        let good = request.encode_to_vec();
        let mut bytes = good.clone();
        for (at, byte) in flips {
            if !bytes.is_empty() {
                let at = at % bytes.len();
                bytes[at] = byte;
            }
        }
        bytes.truncate(bytes.len() - cut % (bytes.len() / 4 + 1));
        WARM.with_borrow_mut(|warm| {
            let cold = Bench::new(&config).fold(&bytes, Encoding::Protobuf, &tenant);
            prop_assert_eq!(warm.fold(&bytes, Encoding::Protobuf, &tenant), cold);
            let expected = Ok(expected(&request, &tenant, &config));
            prop_assert_eq!(warm.fold(&good, Encoding::Protobuf, &tenant), expected);
            Ok(())
        })?;
    }
}

#[test]
fn the_encodings_are_as_odd_as_they_should_be() {
    let span = Span {
        name: "n".into(),
        end_time_unix_nano: NOW,
        status: Some(Status { code: 2, message: "m".into() }),
        ..Default::default()
    };
    let scope_spans = vec![ScopeSpans { spans: vec![span; 4], ..Default::default() }];
    let resource = Some(OtlpResource::default());
    let resource_spans = vec![ResourceSpans { resource, scope_spans, ..Default::default() }];
    let plain = ExportTraceServiceRequest { resource_spans }.encode_to_vec();
    let all: std::collections::BTreeSet<_> =
        (0..50).map(|seed| rewritten(&plain, &REQUEST, &mut Dice(seed))).collect();
    assert_eq!(all.len(), 50);
    assert!(all.iter().any(|bytes| bytes.len() > plain.len() + 40));
}
