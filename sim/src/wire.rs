//! The way from an edge to the core: slow, lossy, and with a memory for what nobody waits for.
//!
//! ```text
//! edge ── offer ──▶ (lost?) ──▶ (late? the edge has offered it again by then) ──▶ shard
//!      ◀─────────────────────────────────────── answer (lost?) ◀──────────────────┘
//! ```
//!
//! A delivery belongs to the network: it goes on when the edge that sent it is dead. Whoever waits
//! longer than the timeout gets no answer.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use madsim::rand::{Rng, thread_rng};
use madsim::runtime::NodeHandle;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};
use tributary_edge::Shards;
use tributary_proto::{Answer, Entry, OfferError, ShardId};
use tributary_store::StoreHandle;

use crate::invariants::Observed;

const TIMEOUT: Duration = Duration::from_secs(1);

/// The core as the network finds it; `None` while it is down.
pub(crate) type CoreSlot = Arc<Mutex<Option<StoreHandle>>>;

/// How bad the network is; shared by all wires.
#[derive(Clone, Default)]
pub(crate) struct Weather {
    storm: Arc<Mutex<bool>>,
}

pub(crate) struct Wire {
    pub(crate) shards: u16,
    pub(crate) core: CoreSlot,
    pub(crate) weather: Weather,
    pub(crate) observed: Observed,
    /// Where deliveries run.
    pub(crate) network: NodeHandle,
}

impl Weather {
    pub(crate) fn set_storm(&self, storm: bool) {
        *self.storm.lock().expect("nothing panics while it is held") = storm;
    }

    /// One chance in `of`, and none when the weather is fair.
    fn strikes(&self, of: u32) -> bool {
        let storm = *self.storm.lock().expect("nothing panics while it is held");
        storm && thread_rng().gen_ratio(1, of)
    }

    async fn delay(&self) {
        let ms = if self.strikes(25) {
            thread_rng().gen_range(1_000..20_000)
        } else {
            thread_rng().gen_range(1..60)
        };
        sleep(Duration::from_millis(ms)).await;
    }
}

#[async_trait]
impl Shards for Wire {
    fn count(&self) -> u16 {
        self.shards
    }

    async fn offer(&self, shard: ShardId, entry: Entry) -> Result<Answer, OfferError> {
        let (answer, answered) = oneshot::channel();
        let (core, weather, observed) =
            (self.core.clone(), self.weather.clone(), self.observed.clone());
        self.network.spawn(async move {
            weather.delay().await;
            if weather.strikes(12) {
                // Nobody is told that a request was lost.
                return sleep(2 * TIMEOUT).await;
            }
            let found = core.lock().expect("nothing panics while it is held").clone();
            let reached = match found {
                Some(store) => observed.offer(&store, shard, entry).await,
                None => Err(unavailable(shard, "the core is down")),
            };
            weather.delay().await;
            if weather.strikes(12) {
                return sleep(2 * TIMEOUT).await;
            }
            // The edge may have given up, or be gone.
            let _ = answer.send(reached);
        });
        match timeout(TIMEOUT, answered).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) | Err(_) => Err(unavailable(shard, "no answer in time")),
        }
    }
}

fn unavailable(shard: ShardId, reason: &str) -> OfferError {
    OfferError::Unavailable { shard, reason: reason.into() }
}
