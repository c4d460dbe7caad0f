//! What one commit gathered, in few bytes: groups in order, with their deltas behind each other as they are encoded.

use std::collections::BTreeMap;

use tributary_spanmetrics::codec::{DecodeError, Reader, Writer};
use tributary_spanmetrics::{
    Content, Delta, GroupId, Layout, LayoutContent, LayoutId, SeriesId, Tenant, WindowEnd,
};

use crate::family::samples::Points;

#[derive(Debug)]
pub(crate) struct Chunk {
    tenants: BTreeMap<Tenant, TenantChunk>,
    /// Entries applied, this commit's among them.
    until: u64,
    bytes: usize,
}

#[derive(Debug, Default)]
pub(crate) struct TenantChunk {
    layouts: BTreeMap<LayoutId, Groups>,
    samples: BTreeMap<SeriesId, Points>,
}

/// The deltas of one layout.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    /// Ascending, each with where its deltas begin.
    groups: Vec<(GroupId, u32)>,
    deltas: Vec<u8>,
}

/// A group's deltas: each behind how far its window's end is from the last one's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Encoded<'a>(&'a [u8]);

/// What a tenant, a series or a point takes beside its bytes, about.
const NODE_BYTES: usize = 64;

impl Chunk {
    pub(crate) fn of(content: &Content, until: u64) -> Self {
        let mut tenants = BTreeMap::new();
        for (tenant, content) in &content.tenants {
            let layouts = content.layouts.iter().map(|(id, of)| (*id, Groups::of(of))).collect();
            let samples = content.samples.iter().map(|(id, of)| (*id, of.points.clone())).collect();
            tenants.insert(tenant.clone(), TenantChunk { layouts, samples });
        }
        let bytes = tenants.values().map(TenantChunk::bytes).sum();
        Chunk { tenants, until, bytes }
    }

    pub(crate) fn until(&self) -> u64 {
        self.until
    }

    /// In memory, about.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn tenant(&self, tenant: &Tenant) -> Option<&TenantChunk> {
        self.tenants.get(tenant)
    }

    pub(crate) fn tenants(&self) -> impl Iterator<Item = (&Tenant, &TenantChunk)> {
        self.tenants.iter()
    }
}

impl TenantChunk {
    pub(crate) fn layouts(&self) -> impl Iterator<Item = (LayoutId, &Groups)> {
        self.layouts.iter().map(|(id, groups)| (*id, groups))
    }

    pub(crate) fn samples(&self) -> &BTreeMap<SeriesId, Points> {
        &self.samples
    }

    fn bytes(&self) -> usize {
        let groups = self.layouts.values().map(Groups::bytes);
        let points = self.samples.values().map(|points| NODE_BYTES * (1 + points.len()));
        NODE_BYTES + groups.chain(points).sum::<usize>()
    }
}

impl Groups {
    fn of(of_layout: &LayoutContent) -> Self {
        let mut groups = Vec::with_capacity(of_layout.groups.len());
        let mut w = Writer::new();
        for (id, group) in &of_layout.groups {
            let begin = u32::try_from(w.len()).expect("a commit's slices are far smaller");
            groups.push((*id, begin));
            let mut previous = 0;
            for (end, delta) in &group.windows {
                w.signed(end.0.wrapping_sub(previous));
                delta.encode(&mut w);
                previous = end.0;
            }
        }
        let mut deltas = w.into_bytes();
        deltas.shrink_to_fit();
        Groups { groups, deltas }
    }

    pub(crate) fn group(&self, id: GroupId) -> Option<Encoded<'_>> {
        let at = self.groups.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        Some(self.encoded(at))
    }

    pub(crate) fn groups(&self) -> impl Iterator<Item = (GroupId, Encoded<'_>)> {
        self.groups.iter().enumerate().map(|(at, (id, _))| (*id, self.encoded(at)))
    }

    fn encoded(&self, at: usize) -> Encoded<'_> {
        let begin = self.groups[at].1 as usize;
        let end = self.groups.get(at + 1).map_or(self.deltas.len(), |(_, begin)| *begin as usize);
        Encoded(&self.deltas[begin..end])
    }

    fn bytes(&self) -> usize {
        NODE_BYTES + self.groups.len() * size_of::<(GroupId, u32)>() + self.deltas.len()
    }
}

impl<'a> Encoded<'a> {
    /// In the order of their windows.
    pub(crate) fn deltas(self, layout: &Layout) -> impl Iterator<Item = (WindowEnd, Delta)> {
        let mut r = Reader::new(self.0);
        let mut end = 0i64;
        let mut next = move || -> Result<_, DecodeError> {
            end = end.wrapping_add(r.signed()?);
            Ok((WindowEnd(end), Delta::decode(&mut r, layout)?, r.is_empty()))
        };
        let mut is_over = self.0.is_empty();
        std::iter::from_fn(move || {
            (!is_over).then(|| {
                let (end, delta, last) = next().expect("as it was encoded");
                is_over = last;
                (end, delta)
            })
        })
    }
}
