//! What windows have gathered from partials, until a seal takes them.
//!
//! The same algebra as [`Content`], in the flat form that a request can be added to in a hash and an
//! addition a cell; and the way out: a slice for each shard, in `Content`'s canonical encoding.

use std::collections::{BTreeMap, BTreeSet};

mod cells;

use crate::codec::Writer;
use crate::content::{CONTENT_V1, Content, TenantContent};
use crate::delta::Delta;
use crate::group::GroupId;
use crate::groups::{Definition, Groups, Slot};
use crate::layout::{Layout, LayoutId};
use crate::partial::Partial;
use crate::tenant::Tenant;
use crate::window::WindowEnd;
use cells::Cells;

#[derive(Clone, Debug, Default)]
pub struct Gathered {
    layouts: BTreeMap<LayoutId, Layout>,
    by_window: BTreeMap<(WindowEnd, LayoutId), Cells>,
}

impl Gathered {
    pub fn is_empty(&self) -> bool {
        self.by_window.is_empty()
    }

    pub fn window_ends(&self) -> impl Iterator<Item = WindowEnd> {
        self.by_window.keys().map(|(end, _)| *end)
    }

    /// Deltas: groups by window.
    pub fn len(&self) -> usize {
        self.by_window.values().map(Cells::len).sum()
    }

    pub fn bytes(&self) -> usize {
        self.by_window.values().map(|cells| cells.bytes() + 200).sum()
    }

    /// Adds a request of a layout.
    pub fn merge(&mut self, layout: &Layout, partial: &Partial) {
        self.know(partial.layout, layout);
        let mut cells = partial.cells.iter();
        match partial.windows[..] {
            [] => {}
            [end] => {
                let window = self.window(end, partial.layout, layout);
                cells.for_each(|cell| window.add(cell.slot, cell.sum_us, partial.buckets(cell)));
            }
            _ => {
                // Taken out for as long as it takes, so that all can be written to.
                let key = |end: &WindowEnd| (*end, partial.layout);
                let mut windows: Vec<Cells> = partial
                    .windows
                    .iter()
                    .map(|end| {
                        let known = self.by_window.remove(&key(end));
                        known.unwrap_or_else(|| Cells::new(layout.buckets()))
                    })
                    .collect();
                for cell in cells.by_ref() {
                    let window = &mut windows[cell.window as usize];
                    window.add(cell.slot, cell.sum_us, partial.buckets(cell));
                }
                self.by_window.extend(partial.windows.iter().map(key).zip(windows));
            }
        }
    }

    /// Takes out the windows that pass.
    pub fn take(&mut self, mut passes: impl FnMut(WindowEnd) -> bool) -> Gathered {
        let by_window = self.by_window.extract_if(.., |(end, _), _| passes(*end)).collect();
        Gathered { layouts: self.layouts.clone(), by_window }
    }

    /// Takes out what the slots that pass have in the windows that pass.
    pub fn take_slots(
        &mut self,
        passes: impl FnMut(WindowEnd) -> bool,
        slot_passes: impl Fn(Slot) -> bool,
    ) -> Gathered {
        let mut taken = self.take(passes);
        for (key, cells) in &mut taken.by_window {
            let mut left = cells.clone();
            left.retain(|slot| !slot_passes(slot));
            cells.retain(&slot_passes);
            if left.len() > 0 {
                self.by_window.insert(*key, left);
            }
        }
        taken.by_window.retain(|_, cells| cells.len() > 0);
        taken
    }

    /// The shards that have something in the windows that pass.
    pub fn shards(
        &self,
        passes: impl Fn(WindowEnd) -> bool,
        shards: u16,
        groups: &Groups,
    ) -> BTreeSet<u16> {
        let definitions = groups.read();
        let windows = self.by_window.iter().filter(|((end, _), _)| passes(*end));
        let mut found = BTreeSet::new();
        for slot in windows.flat_map(|(_, cells)| cells.slots()) {
            found.insert(definitions.get(slot).id.shard(shards));
            if found.len() == usize::from(shards) {
                break;
            }
        }
        found
    }

    /// The groups that have something in here.
    pub fn slots(&self) -> impl Iterator<Item = Slot> {
        self.by_window.values().flat_map(Cells::slots)
    }

    /// For each shard what it has of this and of the samples, encoded as `Content`; shards that have
    /// nothing are absent.
    ///
    /// The groups are held for a short time at once: there may be a million, and requests that bring new
    /// ones wait.
    pub fn slices(&self, samples: Content, shards: u16, groups: &Groups) -> BTreeMap<u16, Vec<u8>> {
        let tenants = groups.read().tenants().to_vec();
        let mut rows = self.rows(shards, groups);
        rows.sort_unstable_by(|a, b| a.key(&tenants).cmp(&b.key(&tenants)));
        let mut samples = samples.by_shard(shards);
        let mut of_shard: BTreeMap<u16, &[Row<'_>]> =
            rows.chunk_by(|a, b| a.shard == b.shard).map(|rows| (rows[0].shard, rows)).collect();
        let shards: BTreeSet<u16> = of_shard.keys().chain(samples.keys()).copied().collect();
        let mut slices = BTreeMap::new();
        for shard in shards {
            let samples = samples.remove(&shard).unwrap_or_default();
            let rows = of_shard.remove(&shard).unwrap_or_default();
            slices.insert(shard, self.slice(rows, &samples, &tenants, groups));
        }
        slices
    }

    fn rows(&self, shards: u16, groups: &Groups) -> Vec<Row<'_>> {
        let mut rows = Vec::with_capacity(self.len());
        for ((end, layout), cells) in &self.by_window {
            let mut slots = cells.slots();
            loop {
                let (before, definitions) = (rows.len(), groups.read());
                rows.extend(slots.by_ref().take(HELD_GROUPS).map(|slot| {
                    let Definition { id, tenant_at, .. } = definitions.get(slot);
                    let (end, layout) = (*end, *layout);
                    Row { shard: id.shard(shards), tenant_at, layout, id, end, slot, cells }
                }));
                if rows.len() == before {
                    break;
                }
            }
        }
        rows
    }

    /// `rows` are sorted as the canonical form wants them.
    fn slice(
        &self,
        rows: &[Row<'_>],
        samples: &Content,
        tenants: &[Tenant],
        groups: &Groups,
    ) -> Vec<u8> {
        let by_tenant: BTreeMap<&Tenant, &[Row<'_>]> = rows
            .chunk_by(|a, b| a.tenant_at == b.tenant_at)
            .map(|rows| (&tenants[rows[0].tenant_at as usize], rows))
            .collect();
        let tenants: BTreeSet<&Tenant> =
            by_tenant.keys().copied().chain(samples.tenants.keys()).collect();
        let mut w = Writer::new();
        w.u8(CONTENT_V1);
        w.varint_u64(tenants.len() as u64);
        for tenant in tenants {
            w.str(tenant.as_str());
            let rows = by_tenant.get(tenant).copied().unwrap_or_default();
            let layouts: Vec<_> = rows.chunk_by(|a, b| a.layout == b.layout).collect();
            w.varint_u64(layouts.len() as u64);
            for rows in layouts {
                self.encode_layout(rows, groups, &mut w);
            }
            let none = TenantContent::default();
            samples.tenants.get(tenant).unwrap_or(&none).encode_samples(&mut w);
        }
        w.into_bytes()
    }

    fn encode_layout(&self, rows: &[Row<'_>], of: &Groups, w: &mut Writer) {
        let layout = &self.layouts[&rows[0].layout];
        layout.encode(w);
        let groups = || rows.chunk_by(|a, b| a.id == b.id);
        w.varint_u64(groups().count() as u64);
        let mut delta = Delta::empty(layout);
        let mut definitions = of.read();
        for (at, rows) in groups().enumerate() {
            if at % HELD_GROUPS == HELD_GROUPS - 1 {
                drop(definitions);
                definitions = of.read();
            }
            w.raw(definitions.get(rows[0].slot).encoded);
            // Two slots may have come to be of one group.
            let windows = || rows.chunk_by(|a, b| a.end == b.end);
            w.varint_u64(windows().count() as u64);
            for rows in windows() {
                delta.clear();
                rows.iter().for_each(|row| row.cells.add_to(row.slot, &mut delta));
                w.signed(rows[0].end.0);
                delta.encode(w);
            }
        }
    }

    fn know(&mut self, id: LayoutId, layout: &Layout) {
        self.layouts.entry(id).or_insert_with(|| layout.clone());
    }

    fn window(&mut self, end: WindowEnd, id: LayoutId, layout: &Layout) -> &mut Cells {
        self.by_window.entry((end, id)).or_insert_with(|| Cells::new(layout.buckets()))
    }
}

/// A delta on its way into a slice.
struct Row<'a> {
    shard: u16,
    tenant_at: u32,
    layout: LayoutId,
    id: GroupId,
    end: WindowEnd,
    slot: Slot,
    cells: &'a Cells,
}

/// Groups that are looked at while others wait for the table.
const HELD_GROUPS: usize = 1024;

impl<'a> Row<'a> {
    fn key<'d>(&self, tenants: &'d [Tenant]) -> impl Ord + use<'d, 'a> {
        (self.shard, &tenants[self.tenant_at as usize], self.layout, self.id, self.end)
    }
}

/// What groups got since the process started, for those who scrape it.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    layouts: BTreeMap<LayoutId, (Layout, Cells)>,
    /// Up to where windows were sealed when a slot's group last had something.
    last: Vec<WindowEnd>,
}

impl Totals {
    /// Adds what was sealed with the windows up to `now`.
    pub fn add(&mut self, sealed: &Gathered, now: WindowEnd) {
        for ((_, id), cells) in &sealed.by_window {
            for slot in cells.slots() {
                let at = slot.0 as usize;
                if self.last.len() <= at {
                    self.last.resize(at + 1, WindowEnd(i64::MIN));
                }
                self.last[at] = self.last[at].max(now);
            }
            let layout = &sealed.layouts[id];
            let empty = || (layout.clone(), Cells::new(layout.buckets()));
            self.layouts.entry(*id).or_insert_with(empty).1.merge(cells);
        }
    }

    pub fn bytes(&self) -> usize {
        let cells: usize = self.layouts.values().map(|(_, cells)| cells.bytes()).sum();
        cells + self.last.capacity() * size_of::<WindowEnd>()
    }

    pub fn has(&self, slot: Slot) -> bool {
        self.layouts.values().any(|(_, cells)| cells.has(slot))
    }

    /// Forgets the groups that have had nothing sealed since `before`, but for those to keep.
    pub fn forget_before(&mut self, before: WindowEnd, keep: impl Fn(Slot) -> bool) {
        let last = &mut self.last;
        for (_, cells) in self.layouts.values_mut() {
            let stays = |slot: Slot| last[slot.0 as usize] >= before || keep(slot);
            if !cells.slots().all(stays) {
                cells.retain(stays);
            }
        }
        let layouts = &self.layouts;
        for (slot, end) in (0..).map(Slot).zip(last.iter_mut()) {
            if !layouts.values().any(|(_, cells)| cells.has(slot)) {
                *end = WindowEnd(i64::MIN);
            }
        }
    }

    /// What a group got in a layout, sealed or still open.
    pub fn of(&self, slot: Slot, id: LayoutId, layout: &Layout, open: &Gathered) -> Option<Delta> {
        let sealed = self.layouts.get(&id).map(|(_, cells)| cells);
        let open = open.by_window.iter().filter(|((_, of), _)| *of == id).map(|(_, cells)| cells);
        let mut total = None;
        for cells in sealed.into_iter().chain(open).filter(|cells| cells.has(slot)) {
            cells.add_to(slot, total.get_or_insert_with(|| Delta::empty(layout)));
        }
        total
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::content::GroupContent;
    use crate::group::{Group, SpanKind, StatusCode};
    use crate::groups::Interned;
    use crate::labels::Labels;

    fn group(number: u8) -> Group {
        Group {
            service: format!("s{number}"),
            span_name: String::new(),
            kind: SpanKind::Server,
            status: StatusCode::Ok,
            dimensions: Labels::default(),
            external: Labels::default(),
        }
    }

    fn intern(groups: &Groups, tenant: &Tenant, number: u8) -> Interned {
        let mut w = Writer::new();
        group(number).encode(&mut w);
        let encoded = w.into_bytes();
        let mut found = None;
        let wanted = [(group(number).id(tenant), &encoded[..])];
        groups.intern(tenant, wanted.into_iter(), |_, interned| found = Some(interned));
        found.expect("one was asked for")
    }

    /// Tenant, group, window, duration.
    type Span = (u8, u8, i64, u64);

    proptest! {
        #[test]
        fn slices_are_the_content_that_was_added(
            requests in proptest::collection::vec(
                proptest::collection::vec((0..2u8, 0..6u8, 0..4i64, any::<u64>()), 0..20), 0..8),
            shards in 1..5u16,
        ) {
            let layout = Layout::default();
            let groups = Arc::new(Groups::new(100, Labels::default()));
            let mut gathered = Gathered::default();
            let mut expected = Content::default();
            for request in &requests {
                add(request, &layout, &groups, &mut gathered, &mut expected);
            }
            let tenant = Tenant::default();
            let mut samples = Content::default();
            let up = Labels::from_pairs([("__name__", "up")]);
            samples.tenant(&tenant).sample(&tenant, up, 5, 1.0);
            expected.merge(samples.clone());
            let slices = gathered.slices(samples, shards, &groups);
            let by_shard: BTreeMap<u16, Vec<u8>> =
                expected.by_shard(shards).into_iter().map(|(s, part)| (s, part.encode())).collect();
            prop_assert_eq!(slices, by_shard);
        }
    }

    fn add(
        spans: &[Span],
        layout: &Layout,
        groups: &Groups,
        gathered: &mut Gathered,
        expected: &mut Content,
    ) {
        let mut partial = Partial::new(layout.id());
        for &(tenant, number, window, duration_ns) in spans {
            let tenant = Tenant::new(&format!("t{tenant}")).expect("valid");
            let end = WindowEnd(window * i64::from(layout.window_ms()));
            let known = partial.windows.iter().position(|known| *known == end);
            let window = known.map_or_else(|| partial.add_window(end), |known| known as u32);
            let Interned { slot, number: named, .. } = intern(groups, &tenant, number);
            let us = (u128::from(duration_ns) + 500) / 1000;
            partial.add_cell(slot, named, window, layout.bucket(duration_ns), us as u64);
            let of_layout = expected.tenant(&tenant).layout(layout.id(), layout);
            let of_group = of_layout
                .groups
                .entry(group(number).id(&tenant))
                .or_insert_with(|| GroupContent { group: group(number), windows: BTreeMap::new() });
            let delta = of_group.windows.entry(end).or_insert_with(|| Delta::empty(layout));
            delta.observe(layout, duration_ns);
        }
        gathered.merge(layout, &partial);
    }

    #[test]
    fn totals_hold_what_is_sealed_and_what_is_open() {
        let (layout, groups) = (Layout::default(), Groups::new(10, Labels::default()));
        let (mut gathered, mut expected) = (Gathered::default(), Content::default());
        add(&[(0, 1, 1, 5000), (0, 1, 2, 7000)], &layout, &groups, &mut gathered, &mut expected);
        let mut totals = Totals::default();
        totals.add(&gathered.take(|end| end.0 == 10_000), WindowEnd(10_000));
        let slot = intern(&groups, &Tenant::new("t0").expect("valid"), 1).slot;
        let of = |totals: &Totals, open: &Gathered| {
            totals.of(slot, layout.id(), &layout, open).map(|delta| (delta.count, delta.sum_us))
        };
        assert_eq!(of(&totals, &gathered), Some((2048, 12)));
        assert_eq!(of(&totals, &Gathered::default()), Some((1024, 5)));
        totals.forget_before(WindowEnd(10_000), |_| false);
        assert!(totals.has(slot), "it had something in that window");
        totals.forget_before(WindowEnd(10_001), |_| false);
        assert_eq!(of(&totals, &Gathered::default()), None);
    }
}
