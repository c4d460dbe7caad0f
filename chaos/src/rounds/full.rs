//! The disk fills up under load and empties again. The product must refuse what it has no room for, and
//! take requests again by itself; sometimes it is killed while the disk is full.

use std::time::{Duration, Instant};

use anyhow::Context;
use rand::Rng;

use super::Run;

/// What others free while the disk is meant to be full is taken this often.
const REFILL: Duration = Duration::from_millis(15);

pub(super) async fn round(run: &mut Run) -> anyhow::Result<()> {
    if !run.begin().await? {
        return Ok(());
    }
    let load = run.take_crew()?.load(run.server.ports());
    run.pause(50, 500).await;
    let leave = if run.rng.gen_bool(0.5) { 0 } else { run.rng.gen_range(0..256 << 10) };
    let lasting = Duration::from_millis(run.rng.gen_range(100..900));
    stay_full(run, leave, lasting).await?;
    if run.rng.gen_bool(0.7) {
        empty(run)?;
        run.crew = Some(load.stop().await?);
        // In the same life.
        run.drain().await?;
        if run.rng.gen_bool(0.5) {
            run.note_duplicates().await;
            run.kill(|| ()).await?;
        }
        return Ok(());
    }
    run.kill(|| ()).await?;
    run.crew = Some(load.stop().await?);
    if run.rng.gen_bool(0.5) {
        // It may come up on a full disk, or say why not.
        run.server.spawn()?;
        stay_full(run, leave, Duration::from_millis(500)).await?;
        run.server.kill(|| ()).await?;
        run.end_life();
    }
    empty(run)
}

async fn stay_full(run: &mut Run, leave: u64, lasting: Duration) -> anyhow::Result<()> {
    let tmpfs = run.place.tmpfs().context("this mode has a small disk")?;
    let until = Instant::now() + lasting;
    while Instant::now() < until {
        tmpfs.fill(leave)?;
        tokio::time::sleep(REFILL).await;
    }
    Ok(())
}

fn empty(run: &mut Run) -> anyhow::Result<()> {
    let tmpfs = run.place.tmpfs().context("this mode has a small disk")?;
    tmpfs.empty()?;
    let free = tmpfs.free_bytes()?;
    // Else it would be this test that is too small, not the product that does not recover.
    anyhow::ensure!(free > 32 << 20, "only {free} bytes are free on the small disk when empty");
    Ok(())
}
