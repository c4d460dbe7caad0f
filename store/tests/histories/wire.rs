//! Between plain integers and the content that slices carry and shards dump.

use std::collections::BTreeMap;

use tributary_spanmetrics::{
    Content, Delta, GroupContent, SampleBits, SeriesContent, TenantContent, WindowEnd,
};

use crate::names::Names;
use crate::oracle::plain::{Cell, Plain};

/// What `plain` says, of groups and series that live in `shard`. Nothing of it may be there yet.
pub(crate) fn add(content: &mut Content, names: &Names, shard: usize, plain: &Plain) {
    for ((tenant, group, layout, end_ms), cell) in &plain.cells {
        let (id, group) = &names.groups(shard, *tenant)[*group];
        let layout = &names.layouts[*layout];
        let of_layout = content.tenant(&names.tenants[*tenant]).layout(layout.id(), layout);
        let empty = || GroupContent { group: group.clone(), windows: BTreeMap::new() };
        let windows = &mut of_layout.groups.entry(*id).or_insert_with(empty).windows;
        windows.insert(WindowEnd(*end_ms), delta(cell));
    }
    for ((tenant, series, time_ms), bits) in &plain.points {
        let (id, labels) = &names.series(shard, *tenant)[*series];
        let empty = || SeriesContent { labels: labels.clone(), points: BTreeMap::new() };
        let samples = &mut content.tenant(&names.tenants[*tenant]).samples;
        let points = &mut samples.entry(*id).or_insert_with(empty).points;
        points.insert(*time_ms, SampleBits(*bits));
    }
}

/// An error names what nobody ever said.
pub(crate) fn read(content: &Content, names: &Names, shard: usize) -> Result<Plain, String> {
    let mut plain = Plain::default();
    for (tenant, content) in &content.tenants {
        let number = names.tenant_number(tenant);
        let tenant = number.ok_or_else(|| format!("tenant {tenant} is unheard of"))?;
        read_tenant(content, names, (shard, tenant), &mut plain)?;
    }
    Ok(plain)
}

fn read_tenant(
    content: &TenantContent,
    names: &Names,
    (shard, tenant): (usize, usize),
    plain: &mut Plain,
) -> Result<(), String> {
    for (id, of_layout) in &content.layouts {
        let number = names.layout_number(*id, &of_layout.layout);
        let layout = number.ok_or_else(|| format!("layout {id:?} is unheard of"))?;
        for (id, of_group) in &of_layout.groups {
            let known = names.groups(shard, tenant);
            let number = known.iter().position(|known| *known == (*id, of_group.group.clone()));
            let group = number.ok_or_else(|| format!("group {id} is unheard of"))?;
            for (end, delta) in &of_group.windows {
                plain.cells.insert((tenant, group, layout, end.0), cell(delta));
            }
        }
    }
    for (id, of_series) in &content.samples {
        let known = names.series(shard, tenant);
        let number = known.iter().position(|known| *known == (*id, of_series.labels.clone()));
        let series = number.ok_or_else(|| format!("series {id:?} is unheard of"))?;
        for (time_ms, bits) in &of_series.points {
            plain.points.insert((tenant, series, *time_ms), bits.0);
        }
    }
    Ok(())
}

pub(crate) fn cell(delta: &Delta) -> Cell {
    Cell { count: delta.count, sum_us: delta.sum_us, buckets: delta.buckets.clone() }
}

fn delta(cell: &Cell) -> Delta {
    Delta { count: cell.count, sum_us: cell.sum_us, buckets: cell.buckets.clone() }
}
