//! What an active group takes: its place in the table, a row in two open windows, and its total since the
//! start for port 8889. By the memory that the process has, with the allocator that the node has; and how long
//! it takes to make slices of one window.
//!
//! `cargo bench -p tributary-bench --bench group_memory -- [--groups N] [--key-bytes N]`

use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Parser;
use mimalloc::MiMalloc;
use tributary_spanmetrics::codec::Writer;
use tributary_spanmetrics::{
    Content, Gathered, Group, GroupId, Groups, Labels, Layout, Partial, SpanKind, StatusCode,
    Tenant, Totals, WindowEnd,
};

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[derive(Parser)]
struct Arguments {
    #[arg(long, default_value_t = 1_000_000)]
    groups: usize,
    /// Of a group's encoding: service, name, kind, status, dimensions
    #[arg(long, default_value_t = 150)]
    key_bytes: usize,
    /// What `cargo bench` says to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

/// Groups that come with one request.
const REQUEST: usize = 512;
const SHARDS: u16 = 16;
/// One that is sealed, then two that are open.
const WINDOWS: [WindowEnd; 3] = [WindowEnd(10_000), WindowEnd(20_000), WindowEnd(30_000)];

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    println!(
        "| groups | B a key | RSS, B a group | table | two windows | totals | slices of a window |"
    );
    println!("|---|---|---|---|---|---|---|");
    let groups = arguments.groups;
    let (bytes, sliced) = measure(groups, arguments.key_bytes)?;
    let [rss, table, windows, totals] = bytes.map(|bytes| bytes as f64 / groups as f64);
    println!(
        "| {groups} | {} | {rss:.0} | {table:.0} | {windows:.0} | {totals:.0} | {sliced:.0?} |",
        arguments.key_bytes
    );
    Ok(())
}

/// Of all groups: what the process grew by, then what the three count of themselves.
fn measure(count: usize, key_bytes: usize) -> anyhow::Result<([usize; 4], Duration)> {
    let layout = Layout::default();
    let (tenant, groups) = (Tenant::default(), Groups::new(count, Labels::default()));
    let (mut gathered, mut totals) = (Gathered::default(), Totals::default());
    let before = resident_bytes()?;
    for window in WINDOWS {
        for first in (0..count).step_by(REQUEST) {
            let request = first..count.min(first + REQUEST);
            gathered.merge(&layout, &partial(request, window, key_bytes, &tenant, &groups));
        }
        if window == WINDOWS[0] {
            totals.add(&gathered.take(|end| end == window), window);
        }
    }
    anyhow::ensure!(gathered.len() == 2 * count, "each group stands in both windows");
    let grown = resident_bytes()?.saturating_sub(before);
    let bytes = [grown, groups.bytes(), gathered.bytes(), totals.bytes()];
    let window = gathered.take(|end| end == WINDOWS[1]);
    let began = Instant::now();
    let slices = window.slices(Content::default(), SHARDS, &groups);
    anyhow::ensure!(slices.len() == usize::from(SHARDS), "each shard has something");
    Ok((bytes, began.elapsed()))
}

fn partial(
    request: std::ops::Range<usize>,
    window: WindowEnd,
    key_bytes: usize,
    tenant: &Tenant,
    groups: &Groups,
) -> Partial {
    let keys: Vec<(GroupId, Vec<u8>)> =
        request.map(|number| key(number, key_bytes, tenant)).collect();
    let mut partial = Partial::new(Layout::default().id());
    let at = partial.add_window(window);
    groups.intern(tenant, keys.iter().map(|(id, key)| (*id, &key[..])), |nth, interned| {
        partial.add_cell(interned.slot, interned.number, at, nth % 17, 1_000 + nth as u64);
    });
    partial
}

/// A group whose encoding has so many bytes.
fn key(number: usize, bytes: usize, tenant: &Tenant) -> (GroupId, Vec<u8>) {
    let group = |filler: usize| {
        let mut dimensions = Labels::default();
        dimensions.set("http.request.method", "GET");
        dimensions.set("http.route", format!("/v1/items/{}", "x".repeat(filler)));
        dimensions.set("http.response.status_code", "200");
        Group {
            service: format!("checkout-{:03}", number % 200),
            span_name: format!("GET /v1/items/{number:07}"),
            kind: SpanKind::Server,
            status: StatusCode::Unset,
            dimensions,
            external: Labels::default(),
        }
    };
    let encode = |group: &Group| {
        let mut w = Writer::new();
        group.encode(&mut w);
        w.into_bytes()
    };
    let shortest = encode(&group(0)).len();
    let group = group(bytes.saturating_sub(shortest));
    (group.id(tenant), encode(&group))
}

/// Linux counts in pages.
fn resident_bytes() -> anyhow::Result<usize> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")).context("no VmRSS")?;
    Ok(kib.trim().parse::<usize>()? << 10)
}
