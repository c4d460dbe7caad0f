//! Groups with many labels: what requests name is defined in records and batches that stay within bounds.

use std::time::Duration;

use tributary_edge::{Clock, Options, TraceRequest};
use tributary_spanmetrics::Config;

use crate::world::{World, request};

const LABELS: usize = 60;

fn options() -> Options {
    let dimensions = (0..LABELS).map(|number| format!("d{number}")).collect();
    let config = Config { dimensions, ..Config::default() };
    // Each segment defines anew.
    Options { config, segment_bytes: 64 << 20, ..Options::default() }
}

/// Groups of 60 KiB each.
fn wide(world: &World, names: std::ops::Range<usize>) -> TraceRequest {
    let attributes: Vec<_> =
        (0..LABELS).map(|number| (format!("d{number}"), "x".repeat(1024))).collect();
    let names = names.map(|name| format!("wide {name}"));
    request(world.clock.now_ns(), names, &attributes)
}

async fn send_at_once<const N: usize>(world: &World, requests: [TraceRequest; N], groups: u64) {
    let acked = requests.map(|request| world.edge.ingest(request));
    for answer in futures::future::join_all(acked).await {
        assert_eq!(answer.expect("it is acked").accepted, groups);
    }
}

#[tokio::test(start_paused = true)]
async fn requests_whose_groups_come_to_more_than_a_record_may_hold_are_acked() {
    let world = World::start(options(), Duration::ZERO).await;
    let requests = [0, 400, 800].map(|from| wide(&world, from..from + 400));
    send_at_once(&world, requests, 400).await;
    assert!(world.metrics().journal_bytes.get() > 64 << 20);
    world.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_batch_ends_by_what_is_defined_for_it() {
    let world = World::start(options(), Duration::ZERO).await;
    world.send("first").await.expect("there is room");
    let syncs = world.metrics().journal_syncs.get();
    // 6 MiB of definitions each: two make a batch.
    let requests = [0, 100, 200, 300].map(|from| wide(&world, from..from + 100));
    send_at_once(&world, requests, 100).await;
    assert_eq!(world.metrics().journal_syncs.get() - syncs, 2);
    // All is defined by now: what names it again is one batch.
    let requests = [0, 100, 200, 300].map(|from| wide(&world, from..from + 99));
    send_at_once(&world, requests, 99).await;
    assert_eq!(world.metrics().journal_syncs.get() - syncs, 3);
    world.end().await;
}
