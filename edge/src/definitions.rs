//! What requests name, defined once in each segment of the journal that they stand in.

use std::sync::Arc;

use bytes::Bytes;
use tributary_proto::SourceId;
use tributary_spanmetrics::codec::Reader;
use tributary_spanmetrics::{Definition, Group, Groups, Layout, Partial, Slot};

use crate::record::{Define, Defined, Record};

pub(crate) struct Definitions {
    source: SourceId,
    layout: Layout,
    groups: Arc<Groups>,
    /// By slot, the number that the segment defines, plus one. Slots are used again, numbers are not.
    defined: Vec<u32>,
    has_layout: bool,
}

/// What has to stand before the requests of a batch.
#[derive(Debug, Default)]
pub(crate) struct Due {
    slots: Vec<Slot>,
    /// About what they come to, encoded.
    pub(crate) bytes: usize,
}

/// A record of definitions ends with the group that brings it there: it never comes near a record's limit,
/// however many labels a group has.
const RECORD_BYTES: usize = 1 << 20;
/// A definition's number and the lengths of its parts.
const HEAD_BYTES: usize = 16;

impl Definitions {
    pub(crate) fn new(source: SourceId, layout: Layout, groups: Arc<Groups>) -> Self {
        Definitions { source, layout, groups, defined: Vec::new(), has_layout: false }
    }

    /// What follows stands in a new segment, or nothing is known of what was written.
    pub(crate) fn begin_segment(&mut self) {
        self.defined.fill(0);
        self.has_layout = false;
    }

    /// Adds what has to stand before this request.
    pub(crate) fn require(&mut self, request: &Partial, due: &mut Due) {
        let before = due.slots.len();
        for cell in &request.cells {
            let at = cell.slot.0 as usize;
            if self.defined.len() <= at {
                self.defined.resize(at + 1, 0);
            }
            let defined = cell.number.0.wrapping_add(1);
            if self.defined[at] != defined {
                self.defined[at] = defined;
                due.slots.push(cell.slot);
            }
        }
        let new = &due.slots[before..];
        if !new.is_empty() {
            let known = self.groups.read();
            due.bytes += new.iter().map(|slot| bytes(&known.get(*slot))).sum::<usize>();
        }
    }

    /// The records that say it.
    pub(crate) fn records(&mut self, due: &Due) -> Vec<Bytes> {
        let mut records = Vec::new();
        if !std::mem::replace(&mut self.has_layout, true) {
            let layouts = vec![self.layout.clone()];
            records.push(self.record(layouts, Vec::new()));
        }
        let known = self.groups.read();
        let (mut groups, mut held) = (Vec::new(), 0);
        for definition in due.slots.iter().map(|slot| known.get(*slot)) {
            groups.push(defined(&definition));
            held += bytes(&definition);
            if held >= RECORD_BYTES {
                records.push(self.record(Vec::new(), std::mem::take(&mut groups)));
                held = 0;
            }
        }
        if !groups.is_empty() {
            records.push(self.record(Vec::new(), groups));
        }
        records
    }

    fn record(&self, layouts: Vec<Layout>, groups: Vec<Defined>) -> Bytes {
        Record::Define(Define { source: self.source, layouts, groups }).encode().into()
    }
}

fn bytes(of: &Definition<'_>) -> usize {
    HEAD_BYTES + of.tenant.as_str().len() + of.encoded.len()
}

fn defined(of: &Definition<'_>) -> Defined {
    let group = Group::decode(&mut Reader::new(of.encoded));
    let group = group.expect("the table holds what was encoded");
    Defined { number: of.number, tenant: of.tenant.clone(), group }
}

#[cfg(test)]
mod tests {
    use tributary_proto::{BootId, EdgeId};
    use tributary_spanmetrics::codec::Writer;
    use tributary_spanmetrics::{Labels, Tenant, WindowEnd};

    use super::*;

    const SOURCE: SourceId = SourceId { edge: EdgeId([7; 16]), boot: BootId([1; 8]) };

    /// A request of groups with a label of so many bytes each.
    fn request(groups: &Groups, numbers: std::ops::Range<u32>, label_bytes: usize) -> Partial {
        let tenant = Tenant::default();
        let mut partial = Partial::new(Layout::default().id());
        let window = partial.add_window(WindowEnd(10_000));
        for number in numbers {
            let group = Group {
                service: String::new(),
                span_name: number.to_string(),
                kind: Default::default(),
                status: Default::default(),
                dimensions: Labels::from_pairs([("long", &*"x".repeat(label_bytes))]),
                external: Labels::default(),
            };
            let mut w = Writer::new();
            group.encode(&mut w);
            let encoded = w.into_bytes();
            groups.intern(&tenant, [(group.id(&tenant), &encoded[..])].into_iter(), |_, found| {
                partial.add_cell(found.slot, found.number, window, 0, 1);
            });
        }
        partial
    }

    fn defined_in(records: &[Bytes]) -> Vec<u32> {
        let numbers = records.iter().flat_map(|record| {
            let Ok(Record::Define(define)) = Record::decode(record) else { panic!("a definition") };
            define.groups.into_iter().map(|group| group.number.0)
        });
        numbers.collect()
    }

    #[test]
    fn a_record_ends_by_bytes_and_each_group_stands_once() {
        let groups = Arc::new(Groups::new(10_000, Labels::default()));
        let mut definitions = Definitions::new(SOURCE, Layout::default(), groups.clone());
        let wide = request(&groups, 0..100, 64 << 10);
        let narrow = request(&groups, 50..5_100, 10);
        let mut due = Due::default();
        definitions.require(&wide, &mut due);
        assert!((100 * (64 << 10)..100 * (65 << 10)).contains(&due.bytes), "{}", due.bytes);
        definitions.require(&narrow, &mut due);
        let records = definitions.records(&due);
        assert_eq!(defined_in(&records), (0..5_150).collect::<Vec<_>>());
        assert!(records.iter().all(|record| record.len() < (1 << 20) + (65 << 10)));
        assert!(records.len() < 10, "{} records", records.len());

        let mut due = Due::default();
        definitions.require(&wide, &mut due);
        assert_eq!((due.bytes, definitions.records(&due).len()), (0, 0), "all is defined");
        definitions.begin_segment();
        definitions.require(&wide, &mut due);
        assert_eq!(defined_in(&definitions.records(&due)), (0..100).collect::<Vec<_>>());
    }
}
