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
}
