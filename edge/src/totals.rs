//! What groups got since the process started, page by page, for whoever scrapes it.
//!
//! ```text
//! TotalsHandle ── tenant, place ──▶ sequencer: a page between two batches of requests
//!              ◀── rows, next ────
//! ```
//!
//! - A page is read while no request is half merged, so each of its rows is one moment of a group.
//!   What is refused, or not on disk yet, is in none.
//! - Groups are walked by slot. The first page fixes which there are ([`Place`]): one that comes later,
//!   or comes again, has a higher number and is left out. So whoever walks to the end sees no group
//!   twice, and each that is known all the while once.
//! - A group that has nothing is not shown. One that had nothing for long is forgotten, and begins at
//!   zero when it comes again.
//!
//! What an earlier start of the edge took in is not here: these are counters that a restart resets.

use std::collections::BTreeMap;

use tokio::sync::{mpsc, oneshot};
use tributary_proto::SourceId;
use tributary_spanmetrics::codec::Reader;
use tributary_spanmetrics::{
    Definition, Delta, Group, GroupId, GroupNumber, Groups, Layout, LayoutId, Slot, Tenant,
};

use crate::ledger::Ledger;

/// Asks that wait for the sequencer; further ones wait for room.
pub(crate) const ASKS: usize = 4;
/// Rows of a page, and slots that are looked at for them.
const PAGE_ROWS: usize = 512;
const PAGE_SLOTS: usize = 8 * PAGE_ROWS;

#[derive(Clone)]
pub struct TotalsHandle {
    pub(crate) asks: mpsc::Sender<Ask>,
}

/// Where the next page begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    slot: Slot,
    /// Groups with this number and above came after the walk began.
    born_before: GroupNumber,
}

#[derive(Debug)]
pub struct TotalsPage {
    pub layouts: BTreeMap<LayoutId, Layout>,
    pub rows: Vec<GroupTotals>,
    /// `None` behind the last page.
    pub next: Option<Place>,
}

/// What a group got in each layout that it was counted by: at least one, none empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupTotals {
    pub id: GroupId,
    pub group: Group,
    pub by_layout: Vec<(LayoutId, Delta)>,
}

pub(crate) struct Ask {
    tenant: Tenant,
    of: Of,
    answer: oneshot::Sender<RawPage>,
}

enum Of {
    PageFrom(Option<Place>),
    Groups(Vec<GroupId>),
}

/// A page whose groups are still encoded: they are decoded where nobody waits for it.
#[derive(Debug)]
pub(crate) struct RawPage {
    layouts: BTreeMap<LayoutId, Layout>,
    rows: Vec<RawRow>,
    next: Option<Place>,
}

#[derive(Debug)]
struct RawRow {
    id: GroupId,
    encoded: Box<[u8]>,
    by_layout: Vec<(LayoutId, Delta)>,
}

impl TotalsHandle {
    /// The page of a tenant's groups at a place, the first without one. `None` once the edge has ended.
    pub async fn page(&self, tenant: &Tenant, from: Option<Place>) -> Option<TotalsPage> {
        self.ask(tenant, Of::PageFrom(from)).await
    }

    /// Those of the named groups that the edge has something of; as many as stand on one page are
    /// asked for at a time.
    pub async fn groups(&self, tenant: &Tenant, ids: Vec<GroupId>) -> Option<TotalsPage> {
        debug_assert!(ids.len() <= PAGE_ROWS, "more than a page");
        self.ask(tenant, Of::Groups(ids)).await
    }

    async fn ask(&self, tenant: &Tenant, of: Of) -> Option<TotalsPage> {
        let (answer, answered) = oneshot::channel();
        self.asks.send(Ask { tenant: tenant.clone(), of, answer }).await.ok()?;
        answered.await.ok().map(RawPage::decode)
    }
}

impl Ask {
    /// Answers from what is merged at this moment.
    pub(crate) fn answer(self, ledger: &Ledger, groups: &Groups, source: Option<SourceId>) {
        if self.answer.is_closed() {
            return;
        }
        let shown = Shown { ledger, groups, source };
        let page = match self.of {
            Of::PageFrom(from) => shown.page(&self.tenant, from),
            Of::Groups(ids) => shown.groups(&self.tenant, &ids),
        };
        // Whoever asked may have hung up.
        let _ = self.answer.send(page);
    }
}

/// What pages are read from.
struct Shown<'a> {
    ledger: &'a Ledger,
    groups: &'a Groups,
    source: Option<SourceId>,
}

impl Shown<'_> {
    fn page(&self, tenant: &Tenant, from: Option<Place>) -> RawPage {
        let known = self.groups.read();
        let Place { slot: Slot(from), born_before } =
            from.unwrap_or_else(|| Place { slot: Slot(0), born_before: known.next_number() });
        let slots = known.slots() as u32;
        let mut rows = Vec::new();
        let mut at = from;
        while at < slots && rows.len() < PAGE_ROWS && at - from < PAGE_SLOTS as u32 {
            let slot = Slot(at);
            at += 1;
            if known.is_known(slot) && known.get(slot).number < born_before {
                rows.extend(self.row(tenant, slot, &known.get(slot)));
            }
        }
        let next = (at < slots).then_some(Place { slot: Slot(at), born_before });
        RawPage { layouts: self.ledger.layouts().clone(), rows, next }
    }

    fn groups(&self, tenant: &Tenant, ids: &[GroupId]) -> RawPage {
        let known = self.groups.read();
        let slots = ids.iter().filter_map(|id| known.find(*id));
        let rows = slots.filter_map(|slot| self.row(tenant, slot, &known.get(slot)));
        RawPage { layouts: self.ledger.layouts().clone(), rows: rows.collect(), next: None }
    }

    fn row(&self, tenant: &Tenant, slot: Slot, of: &Definition<'_>) -> Option<RawRow> {
        if of.tenant != tenant {
            return None;
        }
        let (sealed, open) = self.ledger.totals(self.source?)?;
        let layouts = self.ledger.layouts().iter();
        let by_layout = layouts.filter_map(|(id, layout)| {
            let delta = sealed.of(slot, *id, layout, open)?;
            (delta.count > 0).then_some((*id, delta))
        });
        let by_layout: Vec<_> = by_layout.collect();
        (!by_layout.is_empty()).then(|| RawRow { id: of.id, encoded: of.encoded.into(), by_layout })
    }
}

impl RawPage {
    fn decode(self) -> TotalsPage {
        let rows = self.rows.into_iter().map(|RawRow { id, encoded, by_layout }| {
            let group = Group::decode(&mut Reader::new(&encoded));
            let group = group.expect("the table holds what was encoded");
            GroupTotals { id, group, by_layout }
        });
        TotalsPage { layouts: self.layouts, rows: rows.collect(), next: self.next }
    }
}

#[cfg(test)]
#[path = "totals_test.rs"]
mod tests;
