//! What the handlers share.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};
use tributary_edge::Clock;
use tributary_query::source::SeriesSource;
use tributary_query::{Engine, Error as QueryError};
use tributary_spanmetrics::Tenant;

use super::error::ApiError;
use super::gate::Gate;
use super::metrics::ApiMetrics;
use super::options::Options;
use crate::probe;

/// Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Api(Arc<Shared>);

struct Shared {
    options: Options,
    engine: Engine,
    source: Arc<dyn SeriesSource>,
    tenant: Tenant,
    targets: probe::Handle,
    clock: Arc<dyn Clock>,
    gate: Gate,
    metrics: Arc<ApiMetrics>,
}

impl Api {
    pub fn new(
        options: Options,
        engine: Engine,
        source: Arc<dyn SeriesSource>,
        tenant: Tenant,
        targets: probe::Handle,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let gate = Gate::new(&options);
        let metrics = Arc::new(ApiMetrics::default());
        Api(Arc::new(Shared { options, engine, source, tenant, targets, clock, gate, metrics }))
    }

    pub fn metrics(&self) -> &Arc<ApiMetrics> {
        &self.0.metrics
    }

    pub(super) fn options(&self) -> &Options {
        &self.0.options
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.0.engine
    }

    pub(super) fn source(&self) -> &dyn SeriesSource {
        &*self.0.source
    }

    pub(super) fn tenant(&self) -> &Tenant {
        &self.0.tenant
    }

    pub(super) fn targets(&self) -> &probe::Handle {
        &self.0.targets
    }

    pub(super) fn now_ms(&self) -> i64 {
        self.0.clock.now_ms()
    }

    /// Does work that reads the store, once it is its turn. The limit covers waiting for that too.
    pub(super) async fn admit<T, E: Into<ApiError>>(
        &self,
        limit: Duration,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, ApiError> {
        let admitted = async {
            let _pass = self.0.gate.enter().await?;
            let began = Instant::now();
            let outcome = work.await;
            self.0.metrics.queries.add(1);
            self.0.metrics.query_micros.add(began.elapsed().as_micros() as u64);
            outcome.map_err(Into::into)
        };
        timeout(limit, admitted).await.unwrap_or_else(|_| Err(QueryError::Timeout.into()))
    }
}
