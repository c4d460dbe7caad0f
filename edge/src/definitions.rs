//! What requests name, defined once in each segment of the journal that they stand in.

use std::sync::Arc;

use tributary_proto::SourceId;
use tributary_spanmetrics::codec::Reader;
use tributary_spanmetrics::{Group, Groups, Layout, Partial, Slot};

use crate::record::{Define, Defined};

pub(crate) struct Definitions {
    source: SourceId,
    layout: Layout,
    groups: Arc<Groups>,
    /// By slot, the number that the segment defines, plus one. Slots are used again, numbers are not.
    defined: Vec<u32>,
    has_layout: bool,
}

/// So many that no record comes near its limit.
const GROUPS_A_RECORD: usize = 4096;

impl Definitions {
    pub(crate) fn new(source: SourceId, layout: Layout, groups: Arc<Groups>) -> Self {
        Definitions { source, layout, groups, defined: Vec::new(), has_layout: false }
    }

    /// What follows stands in a new segment, or nothing is known of what was written.
    pub(crate) fn begin_segment(&mut self) {
        self.defined.fill(0);
        self.has_layout = false;
    }

    /// What has to stand before these requests.
    pub(crate) fn due<'a>(&mut self, requests: impl Iterator<Item = &'a Partial>) -> Vec<Define> {
        let mut due = Vec::new();
        for cell in requests.flat_map(|partial| &partial.cells) {
            let at = cell.slot.0 as usize;
            if self.defined.len() <= at {
                self.defined.resize(at + 1, 0);
            }
            let defined = cell.number.0.wrapping_add(1);
            if self.defined[at] != defined {
                self.defined[at] = defined;
                due.push(cell.slot);
            }
        }
        if due.is_empty() && self.has_layout {
            return Vec::new();
        }
        let mut defines: Vec<_> =
            due.chunks(GROUPS_A_RECORD).map(|slots| self.define(slots)).collect();
        if !self.has_layout {
            self.has_layout = true;
            let layouts = vec![self.layout.clone()];
            defines.insert(0, Define { source: self.source, layouts, groups: Vec::new() });
        }
        defines
    }

    fn define(&self, slots: &[Slot]) -> Define {
        let known = self.groups.read();
        let groups = slots
            .iter()
            .map(|slot| {
                let definition = known.get(*slot);
                let group = Group::decode(&mut Reader::new(definition.encoded));
                let group = group.expect("the table holds what was encoded");
                Defined { number: definition.number, tenant: definition.tenant.clone(), group }
            })
            .collect();
        Define { source: self.source, layouts: Vec::new(), groups }
    }
}
