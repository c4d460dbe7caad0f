//! The power goes: the process dies, and the disk loses what was not synced, or some of it.
//!
//! Half of the cuts come at a step of the disk rather than at a time, so that they fall between a write
//! and its sync, or between two files.

use anyhow::Context;
use rand::Rng;

use super::Run;
use crate::disk::Trap;

/// Where a cut is set to come: the journal is what an ack rests on.
const PLACES: [&str; 4] = ["journal/", "journal/", "shards/", ""];

pub(super) async fn round(run: &mut Run) -> anyhow::Result<()> {
    if !run.server.is_running() && run.rng.gen_bool(0.15) {
        // A machine that goes down again while it comes up.
        set_trap(run, 1..=600)?;
        run.server.spawn()?;
        wait_for_cut(run, 0, 1500).await?;
        cut(run).await?;
    }
    if !run.begin().await? {
        return Ok(());
    }
    if run.rng.gen_bool(0.5) {
        set_trap(run, 1..=300)?;
    }
    let load = run.take_crew()?.load(run.server.ports());
    wait_for_cut(run, 50, 1500).await?;
    run.note_duplicates().await;
    cut(run).await?;
    run.crew = Some(load.stop().await?);
    Ok(())
}

fn set_trap(run: &mut Run, steps: std::ops::RangeInclusive<u64>) -> anyhow::Result<()> {
    let within = PLACES[run.rng.gen_range(0..PLACES.len())];
    let trap = Trap { within, steps: run.rng.gen_range(steps) };
    let disk = run.place.disk().context("this mode has a disk of its own")?;
    disk.power().faults(|faults| faults.trap = Some(trap));
    Ok(())
}

/// Until a trap springs or the time is over, whichever is first.
async fn wait_for_cut(run: &mut Run, from_ms: u64, to_ms: u64) -> anyhow::Result<()> {
    let power = run.place.disk().context("this mode has a disk of its own")?.power().clone();
    tokio::select! {
        () = power.sprung() => {}
        () = run.pause(from_ms, to_ms) => {}
    }
    Ok(())
}

pub(super) async fn cut(run: &mut Run) -> anyhow::Result<()> {
    let power = run.place.disk().context("this mode has a disk of its own")?.power().clone();
    power.hold();
    run.kill(|| power.release()).await?;
    let seed = run.rng.r#gen();
    run.place.disk().context("this mode has a disk of its own")?.cut(seed).await
}
