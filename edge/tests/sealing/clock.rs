//! A clock that was ahead has promised what it cannot take back. What comes then is late, and no more.

use std::time::Duration;

use tokio::time::sleep;
use tributary_edge::Options;

use crate::world::{SEALED, World};

const DAY: Duration = Duration::from_secs(24 * 3600);
const SEGMENT_BYTES: u64 = 4 << 10;

fn options() -> Options {
    let group_idle = Duration::from_secs(60);
    Options { segment_bytes: SEGMENT_BYTES, group_idle, ..Options::default() }
}

/// Sends for five minutes by a clock that is a day behind the promise.
async fn goes_on(world: &World, mut sent: u64) {
    let promised_ms = world.complete_to_ms();
    for number in 0..60 {
        world.send(&format!("late {number}")).await.expect("there is room");
        sent += 1;
        sleep(Duration::from_secs(5)).await;
        assert_eq!(world.complete_to_ms(), promised_ms, "a promise stands");
    }
    sleep(SEALED).await;
    assert_eq!(world.counted().await, sent);
    let metrics = world.metrics();
    assert_eq!((metrics.open_deltas.get(), metrics.unsettled_seals.get()), (0, 0));
    assert!(metrics.journal_bytes.get() < 3 * SEGMENT_BYTES, "{:?}", metrics.journal_bytes);
    // Two a window at the most.
    assert!(metrics.seals.get() < 60, "{:?}", metrics.seals);
    assert!(metrics.groups_retired.get() > 30, "{:?}", metrics.groups_retired);
}

#[tokio::test(start_paused = true)]
async fn a_start_with_a_clock_that_is_ahead_seals_once_it_is_set_right() {
    let world = World::start(options(), DAY).await;
    world.send("early").await.expect("there is room");
    sleep(Duration::from_secs(30)).await;
    world.clock.step_to(Duration::ZERO);
    goes_on(&world, 1).await;
    world.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_stepped_there_and_back_holds_no_seal() {
    let world = World::start(options(), Duration::ZERO).await;
    world.send("before").await.expect("there is room");
    world.clock.step_to(DAY);
    sleep(SEALED).await;
    world.clock.step_to(Duration::ZERO);
    goes_on(&world, 1).await;
    world.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_promise_goes_on_when_the_clock_has_come_up_to_it() {
    let world = World::start(options(), Duration::from_secs(100)).await;
    sleep(Duration::from_secs(15)).await;
    world.clock.step_to(Duration::ZERO);
    let promised_ms = world.complete_to_ms();
    world.send("late").await.expect("there is room");
    sleep(Duration::from_secs(60)).await;
    assert_eq!((world.complete_to_ms(), world.counted().await), (promised_ms, 1));
    world.send("late as well").await.expect("there is room");
    sleep(Duration::from_secs(60)).await;
    assert!(world.complete_to_ms() > promised_ms);
    assert_eq!(world.counted().await, 2);
    world.end().await;
}
