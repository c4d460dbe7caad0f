//! A set of deltas and samples by tenant: what a request adds, what windows gather, what a slice
//! carries. Merging is addition (law 1), whatever the order and grouping.
//!
//! The form is canonical: sorted, one encoding for one content, self-contained (layouts, groups and
//! label sets stand beside what refers to them). So a digest over it says whether two contents are the
//! same, whatever bytes they came in.
//!
//! Samples are not a monoid: of two values at one timestamp the first that came stays.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use xxhash_rust::xxh3::xxh3_128;

use crate::codec::{DecodeError, Reader, Writer};
use crate::delta::Delta;
use crate::group::{Group, GroupId};
use crate::labels::Labels;
use crate::layout::{Layout, LayoutId};
use crate::sample::{SampleBits, SeriesId};
use crate::tenant::Tenant;
use crate::window::WindowEnd;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    pub tenants: BTreeMap<Tenant, TenantContent>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TenantContent {
    pub layouts: BTreeMap<LayoutId, LayoutContent>,
    pub samples: BTreeMap<SeriesId, SeriesContent>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayoutContent {
    pub layout: Layout,
    pub groups: BTreeMap<GroupId, GroupContent>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupContent {
    pub group: Group,
    pub windows: BTreeMap<WindowEnd, Delta>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesContent {
    pub labels: Labels,
    /// By timestamp in milliseconds.
    pub points: BTreeMap<i64, SampleBits>,
}

pub(crate) const CONTENT_V1: u8 = 1;

impl Content {
    pub fn is_empty(&self) -> bool {
        self.tenants.is_empty()
    }

    pub fn tenant(&mut self, tenant: &Tenant) -> &mut TenantContent {
        // The key is cloned only where it is new; looked up twice then.
        if !self.tenants.contains_key(tenant) {
            self.tenants.insert(tenant.clone(), TenantContent::default());
        }
        self.tenants.get_mut(tenant).expect("inserted above")
    }

    pub fn merge(&mut self, other: Content) {
        for (tenant, theirs) in other.tenants {
            match self.tenants.entry(tenant) {
                Entry::Vacant(slot) => {
                    slot.insert(theirs);
                }
                Entry::Occupied(mut slot) => slot.get_mut().merge(theirs),
            }
        }
    }

    /// Takes out the windows that pass, and every sample.
    pub fn take(&mut self, mut passes: impl FnMut(WindowEnd) -> bool) -> Content {
        let mut taken = Content::default();
        for (tenant, content) in &mut self.tenants {
            let part = content.take(&mut passes);
            if !part.is_empty() {
                taken.tenants.insert(tenant.clone(), part);
            }
        }
        self.tenants.retain(|_, content| !content.is_empty());
        taken
    }

    /// The parts that belong to each of `shards` shards; empty parts are absent.
    pub fn by_shard(self, shards: u16) -> BTreeMap<u16, Content> {
        let mut parts = BTreeMap::<u16, Content>::new();
        for (tenant, content) in self.tenants {
            for (layout_id, of_layout) in content.layouts {
                for (id, group) in of_layout.groups {
                    let part = parts.entry(id.shard(shards)).or_default().tenant(&tenant);
                    part.layout(layout_id, &of_layout.layout).groups.insert(id, group);
                }
            }
            for (id, series) in content.samples {
                let part = parts.entry(id.shard(shards)).or_default().tenant(&tenant);
                part.samples.insert(id, series);
            }
        }
        parts
    }

    /// The shards that have something in here.
    pub fn shards(&self, shards: u16) -> BTreeSet<u16> {
        let deltas = self.tenants.values().flat_map(|content| content.layouts.values());
        let groups = deltas.flat_map(|of_layout| of_layout.groups.keys());
        let series = self.tenants.values().flat_map(|content| content.samples.keys());
        groups.map(|id| id.shard(shards)).chain(series.map(|id| id.shard(shards))).collect()
    }

    /// Every window end that holds a delta, with repeats.
    pub fn window_ends(&self) -> impl Iterator<Item = WindowEnd> {
        let layouts = self.tenants.values().flat_map(|content| content.layouts.values());
        layouts
            .flat_map(|of_layout| of_layout.groups.values())
            .flat_map(|group| group.windows.keys().copied())
    }

    pub fn has_samples(&self) -> bool {
        self.tenants.values().any(|content| !content.samples.is_empty())
    }

    /// Over the canonical encoding.
    pub fn digest(&self) -> u128 {
        xxh3_128(&self.encode())
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.u8(CONTENT_V1);
        w.varint(self.tenants.len() as u64);
        for (tenant, content) in &self.tenants {
            w.str(tenant.as_str());
            content.encode(&mut w);
        }
        w.into_bytes()
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        match r.u8()? {
            CONTENT_V1 => {}
            other => return Err(DecodeError::UnknownVersion(other)),
        }
        let mut content = Content::default();
        for _ in 0..r.varint()? {
            let tenant = Tenant::new(r.str()?).map_err(|_| DecodeError::Bad("tenant"))?;
            let of_tenant = TenantContent::decode(&mut r, &tenant)?;
            ascending(&mut content.tenants, tenant, of_tenant)?;
        }
        r.finish()?;
        Ok(content)
    }
}

impl TenantContent {
    pub fn is_empty(&self) -> bool {
        self.layouts.is_empty() && self.samples.is_empty()
    }

    pub fn layout(&mut self, id: LayoutId, layout: &Layout) -> &mut LayoutContent {
        let empty = || LayoutContent { layout: layout.clone(), groups: BTreeMap::new() };
        self.layouts.entry(id).or_insert_with(empty)
    }

    /// Adds a sample; answers whether it stands, which it does not beside another value.
    pub fn sample(&mut self, tenant: &Tenant, labels: Labels, time_ms: i64, value: f64) -> bool {
        let series = self
            .samples
            .entry(SeriesId::of(tenant, &labels))
            .or_insert_with(|| SeriesContent { labels, points: BTreeMap::new() });
        let bits = SampleBits::new(value);
        *series.points.entry(time_ms).or_insert(bits) == bits
    }

    fn merge(&mut self, other: TenantContent) {
        for (id, theirs) in other.layouts {
            let mine = self.layout(id, &theirs.layout);
            for (id, theirs) in theirs.groups {
                match mine.groups.entry(id) {
                    Entry::Vacant(slot) => {
                        slot.insert(theirs);
                    }
                    Entry::Occupied(mut slot) => slot.get_mut().merge(theirs),
                }
            }
        }
        for (id, theirs) in other.samples {
            match self.samples.entry(id) {
                Entry::Vacant(slot) => {
                    slot.insert(theirs);
                }
                Entry::Occupied(mut slot) => {
                    for (time_ms, bits) in theirs.points {
                        slot.get_mut().points.entry(time_ms).or_insert(bits);
                    }
                }
            }
        }
    }

    fn take(&mut self, passes: &mut impl FnMut(WindowEnd) -> bool) -> TenantContent {
        let mut taken =
            TenantContent { samples: std::mem::take(&mut self.samples), ..Default::default() };
        for (layout_id, of_layout) in &mut self.layouts {
            for (id, content) in &mut of_layout.groups {
                let windows: BTreeMap<_, _> =
                    content.windows.extract_if(.., |end, _| passes(*end)).collect();
                if !windows.is_empty() {
                    let part = GroupContent { group: content.group.clone(), windows };
                    taken.layout(*layout_id, &of_layout.layout).groups.insert(*id, part);
                }
            }
            of_layout.groups.retain(|_, content| !content.windows.is_empty());
        }
        self.layouts.retain(|_, of_layout| !of_layout.groups.is_empty());
        taken
    }

    fn encode(&self, w: &mut Writer) {
        w.varint(self.layouts.len() as u64);
        for of_layout in self.layouts.values() {
            of_layout.layout.encode(w);
            w.varint(of_layout.groups.len() as u64);
            for content in of_layout.groups.values() {
                content.group.encode(w);
                w.varint(content.windows.len() as u64);
                for (end, delta) in &content.windows {
                    w.signed(end.0);
                    delta.encode(w);
                }
            }
        }
        self.encode_samples(w);
    }

    pub(crate) fn encode_samples(&self, w: &mut Writer) {
        w.varint(self.samples.len() as u64);
        for series in self.samples.values() {
            series.labels.encode(w);
            w.varint(series.points.len() as u64);
            for (time_ms, bits) in &series.points {
                w.signed(*time_ms);
                w.fixed(bits.0.to_le_bytes());
            }
        }
    }

    fn decode(r: &mut Reader<'_>, tenant: &Tenant) -> Result<Self, DecodeError> {
        let mut content = TenantContent::default();
        for _ in 0..r.varint()? {
            let layout = Layout::decode(r)?;
            let mut groups = BTreeMap::new();
            for _ in 0..r.varint()? {
                let group = Group::decode(r)?;
                let mut windows = BTreeMap::new();
                for _ in 0..r.varint()? {
                    ascending(&mut windows, WindowEnd(r.signed()?), Delta::decode(r, &layout)?)?;
                }
                ascending(&mut groups, group.id(tenant), GroupContent { group, windows })?;
            }
            ascending(&mut content.layouts, layout.id(), LayoutContent { layout, groups })?;
        }
        for _ in 0..r.varint()? {
            let labels = Labels::decode(r)?;
            let mut points = BTreeMap::new();
            for _ in 0..r.varint()? {
                ascending(&mut points, r.signed()?, SampleBits(u64::from_le_bytes(r.fixed()?)))?;
            }
            let id = SeriesId::of(tenant, &labels);
            ascending(&mut content.samples, id, SeriesContent { labels, points })?;
        }
        Ok(content)
    }
}

impl GroupContent {
    fn merge(&mut self, other: GroupContent) {
        for (end, theirs) in other.windows {
            match self.windows.entry(end) {
                Entry::Vacant(slot) => {
                    slot.insert(theirs);
                }
                Entry::Occupied(mut slot) => slot.get_mut().merge(&theirs),
            }
        }
    }
}

/// Refuses keys out of order or twice: the canonical form has neither.
fn ascending<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, value: V) -> Result<(), DecodeError> {
    if map.last_key_value().is_some_and(|(last, _)| *last >= key) {
        return Err(DecodeError::Bad("order of entries"));
    }
    map.insert(key, value);
    Ok(())
}

#[cfg(test)]
#[path = "content_test.rs"]
mod tests;
