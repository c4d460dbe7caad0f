//! Every value as a query's reader gets it, against the generator, which makes each group's history once more.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use tributary_bench::series::{Delta, History, Shape};
use tributary_spanmetrics::{GroupId, SPAN_WEIGHT, WindowEnd};
use tributary_store::{GroupHistory, LayoutHistory, StoreHandle, Totals, View};

use super::groups::{Groups, weighed};

/// Answers how many (group, window) pairs were found, all as they should be.
pub(crate) async fn compare(
    store: &StoreHandle,
    groups: &Groups,
    shape: &Shape,
) -> anyhow::Result<u64> {
    let (views, mut found) = (store.views(), 0);
    for (number, (id, group)) in groups.all.iter().enumerate() {
        let view = &views[usize::from(id.shard(store.shards()))];
        let expected: BTreeMap<i64, Delta> =
            History::of(shape, number).filter(|(_, delta)| delta.count > 0).collect();
        for from_ms in [shape.start_ms(), shape.months_end_ms()] {
            let history = read(view, groups, *id, from_ms, shape.end_ms()).await?;
            equal(history, groups, from_ms, &expected).with_context(|| {
                format!("{} {}, from {from_ms}", group.service, group.span_name)
            })?;
        }
        found += expected.len() as u64;
    }
    Ok(found)
}

async fn read(
    view: &View,
    groups: &Groups,
    group: GroupId,
    from_ms: i64,
    to_ms: i64,
) -> anyhow::Result<GroupHistory> {
    let found = view.group_histories(&groups.tenant, &[group], from_ms, to_ms).await?;
    found.into_iter().next().context("one history for one group")
}

/// The windows behind `from_ms`, and the sum of those before.
fn equal(
    history: GroupHistory,
    groups: &Groups,
    from_ms: i64,
    expected: &BTreeMap<i64, Delta>,
) -> anyhow::Result<()> {
    ensure!(history.damaged.is_empty(), "damaged: {:?}", history.damaged);
    ensure!(history.layouts.len() <= 1, "{} layouts", history.layouts.len());
    let of_layout = history.layouts.into_iter().next();
    ensure!(of_layout.as_ref().is_none_or(|(id, _)| *id == groups.layout.id()), "another layout");
    let (opening, windows) = match of_layout {
        Some((_, LayoutHistory { opening, windows, .. })) => (opening, windows),
        None => Default::default(),
    };
    let mut before = Delta::none();
    expected.range(..=from_ms).for_each(|(_, delta)| before.add(delta));
    ensure!(same(&opening, &before), "the opening is {opening:?} instead of {before:?}");
    let mut wanted = expected.range(from_ms + 1..);
    for (end, delta) in windows.deltas() {
        let (end_ms, of_window) = wanted.next().context("more windows than were fed")?;
        let of_window = weighed(of_window.clone());
        ensure!(
            end == WindowEnd(*end_ms) && delta == of_window,
            "{delta:?} at {end} instead of {of_window:?} at {end_ms}"
        );
    }
    ensure!(wanted.next().is_none(), "fewer windows than were fed: {}", windows.len());
    Ok(())
}

/// The buckets of a sum of nothing may be absent.
fn same(opening: &Totals, before: &Delta) -> bool {
    let weighed = |calls: u64| u128::from(calls * SPAN_WEIGHT);
    let buckets = opening.buckets.iter().copied().chain(std::iter::repeat(0));
    opening.count == weighed(before.count)
        && opening.sum_us == u128::from(before.sum_us)
        && before.buckets.iter().zip(buckets).all(|(calls, units)| weighed(*calls) == units)
}
