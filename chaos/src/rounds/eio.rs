//! Syncs of the journal, of the shards or of their log fail for a while, or writes find no room anywhere. The product must
//! refuse what it cannot make durable, and go on by itself once all goes well: take requests again, and bring to
//! its shards what they could not keep. Then it may be killed, or the power may go.

use anyhow::Context;
use rand::Rng;

use super::{Run, power};
use crate::disk::Failing;
use crate::judge;

const JOURNAL: &str = "journal/";
const SHARDS: &str = "shards/";
/// Of all shards.
const LOG: &str = "log/";

pub(super) async fn round(run: &mut Run) -> anyhow::Result<()> {
    if !run.begin().await? {
        return Ok(());
    }
    let load = run.take_crew()?.load(run.server.ports());
    run.pause(50, 500).await;
    let wrong = match run.rng.gen_range(0..20) {
        0..=10 => Wrong { syncs: run.rng.gen_range(1..=20), ..Wrong::default() },
        11..=14 => Wrong { syncs: u64::MAX, ..Wrong::default() },
        15 => Wrong { within: LOG, syncs: run.rng.gen_range(1..=20), ..Wrong::default() },
        16 => Wrong { within: SHARDS, syncs: run.rng.gen_range(1..=40), ..Wrong::default() },
        _ => Wrong { room_bytes: Some(run.rng.gen_range(0..64 << 10)), ..Wrong::default() },
    };
    set(run, wrong)?;
    if wrong.within != JOURNAL {
        // They sync when something is sealed.
        tokio::time::sleep(judge::until_seal()).await;
        run.pause(20, 400).await;
        set(run, Wrong::default())?;
        run.crew = Some(load.stop().await?);
        // A restart would heal what has to heal in this life.
        return run.check().await;
    }
    run.pause(20, 400).await;
    if run.rng.gen_bool(0.25) {
        power::cut(run).await?;
        run.crew = Some(load.stop().await?);
        return set(run, Wrong::default());
    }
    set(run, Wrong::default())?;
    if run.rng.gen_bool(0.3) {
        run.pause(0, 50).await;
        power::cut(run).await?;
        run.crew = Some(load.stop().await?);
        return Ok(());
    }
    run.crew = Some(load.stop().await?);
    // In the same life.
    run.drain().await?;
    run.note_duplicates().await;
    match run.rng.gen_range(0..3) {
        0 => {}
        1 => run.kill(|| ()).await?,
        _ => power::cut(run).await?,
    }
    Ok(())
}

/// What is wrong for a while. The default is nothing.
#[derive(Clone, Copy)]
struct Wrong {
    within: &'static str,
    syncs: u64,
    room_bytes: Option<u64>,
}

impl Default for Wrong {
    fn default() -> Self {
        Wrong { within: JOURNAL, syncs: 0, room_bytes: None }
    }
}

fn set(run: &mut Run, wrong: Wrong) -> anyhow::Result<()> {
    let disk = run.place.disk().context("this mode has a disk of its own")?;
    disk.power().faults(|faults| {
        faults.fail_sync = Some(Failing { within: wrong.within, syncs: wrong.syncs });
        faults.room_bytes = wrong.room_bytes;
    });
    Ok(())
}
