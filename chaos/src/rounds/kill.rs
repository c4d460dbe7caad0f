//! `kill -9` under load, sometimes while it starts: the machine stays, and with it the page cache.

use rand::Rng;

use super::Run;

pub(super) async fn round(run: &mut Run) -> anyhow::Result<()> {
    if !run.server.is_running() && run.rng.gen_bool(0.15) {
        run.server.spawn()?;
        run.pause(0, 500).await;
        run.kill(|| ()).await?;
    }
    if !run.begin().await? {
        return Ok(());
    }
    let load = run.take_crew()?.load(run.server.ports());
    run.pause_for_load().await;
    run.note_duplicates().await;
    run.kill(|| ()).await?;
    run.crew = Some(load.stop().await?);
    Ok(())
}
