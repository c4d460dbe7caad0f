//! A core that answers nobody fills the journal. Then the edge refuses, and takes again once the core is back.

use std::time::Duration;

use tokio::time::sleep;
use tributary_edge::{Options, Refusal};

use crate::world::{SEALED, World};

const LIMIT_BYTES: u64 = 64 << 10;

#[tokio::test(start_paused = true)]
async fn a_full_journal_refuses_until_the_core_answers_with_no_restart() {
    let options =
        Options { journal_limit_bytes: LIMIT_BYTES, segment_bytes: 8 << 10, ..Options::default() };
    let world = World::start(options, Duration::ZERO).await;
    sleep(SEALED).await;
    world.core.fall_silent(true);
    let mut acked = 0;
    let refusal = loop {
        match world.send(&format!("span {acked}")).await {
            Ok(_) => acked += 1,
            Err(refusal) => break refusal,
        }
        assert!(acked < 10_000, "it is never full: {:?}", world.metrics().journal_bytes);
        sleep(Duration::from_millis(20)).await;
    };
    assert!(matches!(refusal, Refusal::Journal(_)) && refusal.is_retryable(), "{refusal}");
    assert!(world.metrics().journal_bytes.get() > LIMIT_BYTES);
    for _ in 0..20 {
        sleep(Duration::from_secs(5)).await;
        world.send("one more").await.expect_err("nothing is let go of");
    }
    // Seals and what is noted of them are small, and none follows without spans.
    let bytes = world.metrics().journal_bytes.get();
    assert!(bytes < LIMIT_BYTES + (16 << 10), "{bytes} bytes");

    world.core.fall_silent(false);
    let is_let_go = |world: &World| world.metrics().journal_bytes.get() < LIMIT_BYTES / 2;
    world.within(SEALED, is_let_go).await.expect("what is answered is let go of");
    world.send("one more").await.expect("there is room again");
    sleep(2 * SEALED).await;
    assert_eq!(world.counted().await, acked + 1, "what was acked, and that once");
    assert_eq!(world.metrics().refused_journal.get(), 21);
    world.end().await;
}
