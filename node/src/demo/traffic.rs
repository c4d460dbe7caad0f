//! Sends the shop's visits to an edge's receiver at a steady rate, as any client would.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tonic::transport::{Channel, Endpoint};
use tracing::warn;
use tributary_edge::Clock;

use super::shop::Shop;

pub struct Traffic {
    shop: Shop,
    receiver: SocketAddr,
    client: TraceServiceClient<Channel>,
    clock: Arc<dyn Clock>,
}

/// Ten visits a second, in requests of two.
const REQUEST_EVERY: Duration = Duration::from_millis(200);
const VISITS_A_REQUEST: usize = 2;
const TIMEOUT: Duration = Duration::from_secs(5);

impl Traffic {
    /// Each region has visitors of its own. `receiver` speaks OTLP/gRPC.
    pub fn new(
        seed: u64,
        region: &str,
        receiver: SocketAddr,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let add = |seed: u64, byte| seed.wrapping_mul(31).wrapping_add(u64::from(byte));
        let shop = Shop::new(region.bytes().fold(seed, add));
        let endpoint = Endpoint::from_shared(format!("http://{receiver}"))?.timeout(TIMEOUT);
        let client = TraceServiceClient::new(endpoint.connect_lazy());
        Ok(Traffic { shop, receiver, client, clock })
    }

    pub async fn run(mut self, mut shutdown: watch::Receiver<bool>) {
        let mut ticks = tokio::time::interval(REQUEST_EVERY);
        // After a pause the shop is not overrun by everybody who did not come.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut failing = false;
        loop {
            tokio::select! {
                _ = shutdown.wait_for(|stop| *stop) => break,
                _ = ticks.tick() => {}
            }
            let sent = tokio::select! {
                _ = shutdown.wait_for(|stop| *stop) => break,
                sent = self.send() => sent,
            };
            if let Err(error) = &sent
                && !failing
            {
                warn!(%error, receiver = %self.receiver, "the demo's visitors are turned away");
            }
            failing = sent.is_err();
        }
    }

    async fn send(&mut self) -> Result<(), tonic::Status> {
        let now_ns = self.clock.now_ns();
        let resource_spans = (0..VISITS_A_REQUEST).flat_map(|_| self.shop.visit(now_ns)).collect();
        self.client.export(ExportTraceServiceRequest { resource_spans }).await?;
        Ok(())
    }
}
