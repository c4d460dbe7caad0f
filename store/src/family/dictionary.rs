//! The dictionary: what the ids in the other families' keys stand for.

use tributary_spanmetrics::codec::{DecodeError, Reader, Writer};
use tributary_spanmetrics::{Group, GroupId, Labels, Layout, LayoutId, SeriesId, Tenant};

use super::{Damaged, KeyReader, KeyWriter};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Definition {
    Group(GroupId, Group),
    Layout(LayoutId, Layout),
    Series(SeriesId, Labels),
}

const GROUP: u8 = 1;
const LAYOUT: u8 = 2;
const SERIES: u8 = 3;

const DEFINITION_V1: u8 = 1;

impl Definition {
    pub(crate) fn key(&self, tenant: &Tenant) -> Vec<u8> {
        let key = KeyWriter::tenant(tenant);
        match self {
            Definition::Group(id, _) => key.u8(GROUP).u128(id.0),
            Definition::Layout(id, _) => key.u8(LAYOUT).u64(id.0),
            Definition::Series(id, _) => key.u8(SERIES).u128(id.0),
        }
        .done()
    }

    pub(crate) fn value(&self) -> Vec<u8> {
        super::seal(DEFINITION_V1, |w: &mut Writer| match self {
            Definition::Group(_, group) => group.encode(w),
            Definition::Layout(_, layout) => layout.encode(w),
            Definition::Series(_, labels) => labels.encode(w),
        })
    }

    pub(crate) fn decode(key: &[u8], value: &[u8]) -> Result<(Tenant, Self), Damaged> {
        let bad_key = DecodeError::Bad("dictionary key");
        let (tenant, mut key) = KeyReader::tenant(key).ok_or(bad_key)?;
        let kind = key.u8().ok_or(bad_key)?;
        let read = |r: &mut Reader<'_>| match kind {
            GROUP => Ok(Definition::Group(GroupId(key.u128().ok_or(bad_key)?), Group::decode(r)?)),
            LAYOUT => {
                Ok(Definition::Layout(LayoutId(key.u64().ok_or(bad_key)?), Layout::decode(r)?))
            }
            SERIES => {
                Ok(Definition::Series(SeriesId(key.u128().ok_or(bad_key)?), Labels::decode(r)?))
            }
            _ => Err(bad_key),
        };
        super::open(DEFINITION_V1, value, read).map(|definition| (tenant, definition))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tributary_spanmetrics::{SpanKind, StatusCode};

    #[test]
    fn definitions_round_trip() {
        let tenant = Tenant::default();
        let group = Group {
            service: "cart".into(),
            span_name: "GET /".into(),
            kind: Default::default(),
            status: Default::default(),
            dimensions: Labels::default(),
            external: Labels::from_pairs([("region", "eu")]),
        };
        let labels = Labels::from_pairs([("__name__", "up")]);
        let layout = Layout::default();
        for definition in [
            Definition::Group(group.id(&tenant), group),
            Definition::Layout(layout.id(), layout),
            Definition::Series(SeriesId::of(&tenant, &labels), labels),
        ] {
            let (key, value) = (definition.key(&tenant), definition.value());
            assert_eq!(Definition::decode(&key, &value), Ok((tenant.clone(), definition)));
        }
    }

    #[test]
    fn the_bytes_are_pinned() {
        let tenant = Tenant::new("shop").expect("valid");
        let group = Group {
            service: "cart".into(),
            span_name: "GET /".into(),
            kind: SpanKind::Server,
            status: StatusCode::Error,
            dimensions: Labels::from_pairs([("route", "/")]),
            external: Labels::from_pairs([("region", "eu")]),
        };
        let labels = Labels::from_pairs([("__name__", "up")]);
        let layout = Layout::explicit(60_000, vec![1_000, 1_000_000]).expect("ascends");
        // The ids are pinned where they are made.
        let definitions = [
            Definition::Group(GroupId(0x0102), group),
            Definition::Layout(LayoutId(0x0304), layout),
            Definition::Series(SeriesId(0x0506), labels),
        ];
        let hex =
            |bytes: Vec<u8>| -> String { bytes.iter().map(|byte| format!("{byte:02x}")).collect() };
        let row = |definition: &Definition| [definition.key(&tenant), definition.value()].map(hex);
        assert_eq!(definitions.each_ref().map(row), PINNED);
    }

    const PINNED: [[&str; 2]; 3] = [
        [
            "73686f70000100000000000000000000000000000102",
            "01046361727405474554202f02020105726f757465012f0106726567696f6e02657512299c3c",
        ],
        ["73686f7000020000000000000304", "0101e0d40302e807d8fc3c90450510"],
        ["73686f70000300000000000000000000000000000506", "0101085f5f6e616d655f5f0275703de52b26"],
    ];
}
