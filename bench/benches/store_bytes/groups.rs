//! The generator's groups as the store knows them.

use anyhow::Context;
use tributary_bench::series::{BOUNDS_MS, Shape, WINDOW_MS};
use tributary_bench::spans;
use tributary_spanmetrics::{
    Delta, Group, GroupId, Labels, Layout, SPAN_WEIGHT, SpanKind, StatusCode, Tenant,
};

pub(crate) struct Groups {
    pub(crate) tenant: Tenant,
    pub(crate) layout: Layout,
    /// In the generator's order.
    pub(crate) all: Vec<(GroupId, Group)>,
}

impl Groups {
    pub(crate) fn of(shape: &Shape) -> anyhow::Result<Self> {
        let bounds_ns = BOUNDS_MS.map(|ms| ms * 1_000_000).to_vec();
        let layout = Layout::explicit(WINDOW_MS as u32, bounds_ns).context("a legal layout")?;
        let tenant = Tenant::default();
        let catalogue = shape.catalogue();
        let groups = catalogue.groups().iter().map(|group| {
            let group = named(group)?;
            anyhow::Ok((group.id(&tenant), group))
        });
        let all = groups.collect::<anyhow::Result<_>>()?;
        Ok(Groups { tenant, layout, all })
    }
}

fn named(group: &spans::Group) -> anyhow::Result<Group> {
    Ok(Group {
        service: group.service.clone(),
        span_name: group.name.clone(),
        kind: SpanKind::from_number(group.kind as i32).context("a kind of OTLP")?,
        status: StatusCode::from_number(group.status as i32).context("a status of OTLP")?,
        dimensions: Labels::default(),
        external: Labels::default(),
    })
}

pub(crate) fn weighed(delta: tributary_bench::series::Delta) -> Delta {
    Delta {
        count: delta.count * SPAN_WEIGHT,
        sum_us: delta.sum_us.into(),
        buckets: delta.buckets.into_iter().map(|calls| calls * SPAN_WEIGHT).collect(),
    }
}
