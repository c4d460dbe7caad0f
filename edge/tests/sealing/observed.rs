//! What is open shows soon, and is not added up for each batch.

use std::time::Duration;

use tokio::time::sleep;
use tributary_edge::Options;

use crate::world::World;

#[tokio::test(start_paused = true)]
async fn open_windows_are_looked_at_once_a_second_at_most() {
    let world = World::start(Options::default(), Duration::ZERO).await;
    let open = || world.metrics().open_deltas.get();
    world.send("first").await.expect("there is room");
    assert_eq!(open(), 1);
    for number in 0..20 {
        world.send(&format!("in the same second {number}")).await.expect("there is room");
    }
    assert_eq!(open(), 1);
    sleep(Duration::from_secs(1)).await;
    world.send("in the next").await.expect("there is room");
    assert_eq!(open(), 22);
    world.end().await;
}
