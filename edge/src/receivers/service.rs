//! What both ports need to answer a call.

use std::panic::AssertUnwindSafe;

use futures::FutureExt;

use super::export::Exporter;
use super::fault::Fault;
use super::http::Rules;
use super::options::{Options, Timeouts};
use super::shutdown::Shutdown;
use crate::ingest::EdgeHandle;
use crate::metrics::EdgeMetrics;

pub(crate) struct Service {
    pub(crate) exporter: Exporter,
    pub(crate) timeouts: Timeouts,
    pub(crate) cors: Option<Rules>,
    pub(crate) shutdown: Shutdown,
}

/// How a call ended, for the connection that had it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Answered,
    /// The client reset it, or nobody is there any more.
    Cancelled,
}

impl Service {
    pub(crate) fn new(options: &Options, handle: EdgeHandle, shutdown: Shutdown) -> Self {
        Service {
            exporter: Exporter::new(handle, options.limits),
            timeouts: options.timeouts,
            cors: options.cors.as_ref().map(Rules::new),
            shutdown,
        }
    }

    pub(crate) fn metrics(&self) -> &EdgeMetrics {
        self.exporter.metrics()
    }
}

/// A panic is answered like an edge that is too busy, and the connection goes on.
pub(crate) async fn guarded<T>(call: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    AssertUnwindSafe(call).catch_unwind().await.unwrap_or(Err(Fault::Panic))
}
