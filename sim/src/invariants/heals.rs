//! Liveness: when faults end, every shard becomes complete up to the last window in bounded time, and
//! no source of an earlier life is left.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tributary_proto::{ShardId, SourceId};
use tributary_store::StoreHandle;

use super::{Violation, violated};
use crate::clock::now_ms;

/// After the last seal that anything waits for come a wire's longest delay, a lane's longest pause, and as
/// much again.
const BOUND: Duration = Duration::from_secs(45);
const GLANCE: Duration = Duration::from_millis(500);

/// What has to come about.
pub(crate) struct Healed {
    /// Every shard is complete to here.
    pub(crate) complete_to_ms: i64,
    /// And these are all that live.
    pub(crate) live: BTreeSet<SourceId>,
    /// By then everything is sealed that was taken, in the world's time. No clock that was ahead puts it off.
    pub(crate) sealed_at_ms: i64,
}

pub(crate) async fn heals(store: &StoreHandle, healed: &Healed) -> Result<Duration, Violation> {
    let began = Instant::now();
    let until_sealed_ms = healed.sealed_at_ms.saturating_sub(now_ms()).max(0);
    let bound = BOUND + Duration::from_millis(until_sealed_ms as u64);
    loop {
        let Some(missing) = missing(store, healed) else { return Ok(began.elapsed()) };
        if began.elapsed() > bound {
            return violated("all heals", format!("after {bound:?} {missing}"));
        }
        sleep(GLANCE).await;
    }
}

fn missing(store: &StoreHandle, healed: &Healed) -> Option<String> {
    if now_ms() < healed.sealed_at_ms {
        return Some("an edge may have something to seal".into());
    }
    for (shard, view) in (0..).map(ShardId).zip(store.views()) {
        let completeness = view.completeness();
        let live: BTreeSet<_> = completeness.live.iter().map(|(source, _)| *source).collect();
        if live != healed.live {
            return Some(format!(
                "shard {shard} has the live sources {live:?}, not {:?}",
                healed.live
            ));
        }
        let wanted = healed.complete_to_ms;
        if completeness.complete_to_ms.is_none_or(|complete| complete < wanted) {
            return Some(format!(
                "shard {shard} is complete to {:?}, not {wanted}",
                completeness.complete_to_ms
            ));
        }
    }
    None
}
