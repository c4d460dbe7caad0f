//! The power goes: the process dies, and the disk loses what was not synced, or some of it.
//!
//! Half of the cuts come at a step of the disk rather than at a time, so that they fall between a write
//! and its sync, or between two files.

use std::sync::Arc;

use anyhow::Context;
use rand::Rng;

use super::Run;
use crate::disk::{Power, Trap};

/// Where a cut is set to come: journal and log are what an ack rests on.
const PLACES: [&str; 5] = ["journal/", "journal/", "log/", "shards/", ""];

pub(super) async fn round(run: &mut Run) -> anyhow::Result<()> {
    if !run.server.is_running() && run.rng.gen_bool(0.15) {
        // A machine that goes down again while it comes up.
        set_trap(run, 1..=600)?;
        run.server.spawn()?;
        let power = power(run)?;
        tokio::select! {
            () = power.sprung() => {}
            () = run.pause(0, 1500) => {}
        }
        cut(run).await?;
    }
    if !run.begin().await? {
        return Ok(());
    }
    if run.rng.gen_bool(0.5) {
        set_trap(run, 1..=300)?;
    }
    let load = run.take_crew()?.load(run.server.ports());
    let power = power(run)?;
    tokio::select! {
        () = power.sprung() => {}
        () = run.pause_for_load() => {}
    }
    run.note_duplicates().await;
    cut(run).await?;
    run.crew = Some(load.stop().await?);
    Ok(())
}

fn set_trap(run: &mut Run, steps: std::ops::RangeInclusive<u64>) -> anyhow::Result<()> {
    let within = PLACES[run.rng.gen_range(0..PLACES.len())];
    let trap = Trap { within, steps: run.rng.gen_range(steps) };
    power(run)?.faults(|faults| faults.trap = Some(trap));
    Ok(())
}

fn power(run: &mut Run) -> anyhow::Result<Arc<Power>> {
    let disk = run.place.disk().context("this mode has a disk of its own")?;
    Ok(disk.power().clone())
}

pub(super) async fn cut(run: &mut Run) -> anyhow::Result<()> {
    let power = power(run)?;
    power.hold();
    run.kill(|| power.release()).await?;
    let seed = run.rng.r#gen();
    run.place.disk().context("this mode has a disk of its own")?.cut(seed).await
}
