//! What histories speak of, by small numbers: tenants, layouts, and for each shard groups and series that live there.

use tributary_proto::{BootId, EdgeId, SourceId};
use tributary_spanmetrics::{Group, GroupId, Labels, Layout, LayoutId, SeriesId, Tenant};

pub(crate) const SHARDS: usize = 2;
/// One name begins with another. Nothing is ever said of the last.
const TENANTS: [&str; 4] = ["shop", "shop-b", "a", "silent"];
/// Nothing is ever said of the last group and the last series of a shard.
const GROUPS: usize = 5;
const SERIES: usize = 3;

pub(crate) struct Names {
    pub(crate) tenants: Vec<Tenant>,
    pub(crate) layouts: Vec<Layout>,
    shards: Vec<Vec<Residents>>,
}

/// Of one tenant in one shard.
struct Residents {
    groups: Vec<(GroupId, Group)>,
    series: Vec<(SeriesId, Labels)>,
}

impl Names {
    pub(crate) fn new() -> Self {
        let tenants: Vec<_> =
            TENANTS.into_iter().map(|name| Tenant::new(name).expect("valid")).collect();
        let explicit = |window_ms, bounds| Layout::explicit(window_ms, bounds).expect("ascends");
        let layouts = vec![
            Layout::default(),
            explicit(60_000, vec![1_000, 1_000_000]),
            explicit(30_000, vec![]),
        ];
        let residents = |shard| tenants.iter().map(|t| Residents::of(t, shard)).collect();
        let shards = (0..SHARDS).map(residents).collect();
        Names { tenants, layouts, shards }
    }

    /// How many tenants, groups of one and series of one are spoken of.
    pub(crate) const SPOKEN: (usize, usize, usize) = (TENANTS.len() - 1, GROUPS - 1, SERIES - 1);

    pub(crate) fn groups(&self, shard: usize, tenant: usize) -> &[(GroupId, Group)] {
        &self.shards[shard][tenant].groups
    }

    pub(crate) fn series(&self, shard: usize, tenant: usize) -> &[(SeriesId, Labels)] {
        &self.shards[shard][tenant].series
    }

    pub(crate) fn tenant_number(&self, tenant: &Tenant) -> Option<usize> {
        self.tenants.iter().position(|known| known == tenant)
    }

    pub(crate) fn layout_number(&self, id: LayoutId, layout: &Layout) -> Option<usize> {
        self.layouts.iter().position(|known| known == layout && known.id() == id)
    }
}

impl Residents {
    fn of(tenant: &Tenant, shard: usize) -> Self {
        let lives_here = |of: u16| usize::from(of) == shard;
        let groups = (0..).map(|n| group(tenant, n));
        let series = (0..).map(|n| {
            let labels = Labels::from_pairs([("__name__", "m".to_owned()), ("n", n.to_string())]);
            (SeriesId::of(tenant, &labels), labels)
        });
        Residents {
            groups: groups
                .filter(|(id, _)| lives_here(id.shard(SHARDS as u16)))
                .take(GROUPS)
                .collect(),
            series: series
                .filter(|(id, _)| lives_here(id.shard(SHARDS as u16)))
                .take(SERIES)
                .collect(),
        }
    }
}

fn group(tenant: &Tenant, number: u32) -> (GroupId, Group) {
    let group = Group {
        service: format!("s{number}"),
        span_name: "GET /".into(),
        kind: Default::default(),
        status: Default::default(),
        dimensions: Labels::from_pairs([("route", format!("/{number}"))]),
        external: Labels::default(),
    };
    (group.id(tenant), group)
}

/// Source `edge` in its `boot`-th life.
pub(crate) fn source(edge: usize, boot: u64) -> SourceId {
    SourceId { edge: EdgeId([edge as u8; 16]), boot: BootId(boot.to_be_bytes()) }
}
