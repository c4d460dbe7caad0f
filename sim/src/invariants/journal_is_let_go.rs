//! Law 9: when everything is answered an edge holds nothing, and its journal is down to what says how things
//! stand.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tributary_edge::EdgeMetrics;

use super::{Violation, violated};
use crate::cluster::SEGMENT_BYTES;

/// The last segment, one that is to be closed, and what a batch brings each beyond its length.
const BYTES: u64 = 4 * SEGMENT_BYTES;
/// The edge looks for what can go once a window.
const BOUND: Duration = Duration::from_secs(25);
const GLANCE: Duration = Duration::from_millis(500);

pub(crate) async fn journal_is_let_go(
    region: &str,
    metrics: &EdgeMetrics,
) -> Result<(), Violation> {
    let began = Instant::now();
    loop {
        let (open, unsettled) = (metrics.open_deltas.get(), metrics.unsettled_seals.get());
        let bytes = metrics.journal_bytes.get();
        if (open, unsettled) == (0, 0) && bytes <= BYTES {
            return Ok(());
        }
        if began.elapsed() > BOUND {
            let seen = format!(
                "{region} keeps {bytes} bytes for {open} deltas and {unsettled} seals, {BOUND:?} after \
                 all was healed"
            );
            return violated("the journal is let go of", seen);
        }
        sleep(GLANCE).await;
    }
}
