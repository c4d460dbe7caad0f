//! What is done with a body once it is there, whichever protocol brought it.

use std::time::Duration;

use tributary_spanmetrics::{Encoding, Tenant};

use super::answer::{Answer, Partial};
use super::body::{Coding, Held, Room, Unpacker};
use super::count;
use super::fault::Fault;
use super::options::Limits;
use crate::ceiling::LARGE_BYTES;
use crate::ingest::{EdgeHandle, TraceAnswer, TraceRequest};
use crate::metrics::EdgeMetrics;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    Traces,
    Metrics,
    Logs,
}

impl Signal {
    pub(crate) fn of_grpc_path(path: &str) -> Option<Self> {
        match path {
            "/opentelemetry.proto.collector.trace.v1.TraceService/Export" => Some(Signal::Traces),
            "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export" => {
                Some(Signal::Metrics)
            }
            "/opentelemetry.proto.collector.logs.v1.LogsService/Export" => Some(Signal::Logs),
            _ => None,
        }
    }

    pub(crate) fn of_http_path(path: &str) -> Option<Self> {
        match path {
            "/v1/traces" => Some(Signal::Traces),
            "/v1/metrics" => Some(Signal::Metrics),
            "/v1/logs" => Some(Signal::Logs),
            _ => None,
        }
    }
}

pub(crate) struct Exporter {
    handle: EdgeHandle,
    request_bytes: usize,
    pub(crate) room: Room,
    #[cfg(test)]
    pub(crate) hook: super::testing::Hook,
}

impl Exporter {
    pub(crate) fn new(handle: EdgeHandle, limits: Limits) -> Self {
        let room = Room::new(
            limits.held_bytes,
            limits.request_bytes,
            handle.metrics().clone(),
            handle.ceiling.clone(),
        );
        Exporter {
            handle,
            request_bytes: limits.request_bytes,
            room,
            #[cfg(test)]
            hook: super::testing::Hook::default(),
        }
    }

    pub(crate) fn metrics(&self) -> &EdgeMetrics {
        self.handle.metrics()
    }

    /// Whether there is room for a request at all.
    pub(crate) fn admit(&self) -> Result<(), Fault> {
        Ok(self.handle.admit()?)
    }

    /// `announced` is how long the body will be as it is sent, if somebody said. None where the edge has no
    /// room for what comes of it.
    pub(crate) fn unpacker(
        &self,
        coding: Coding,
        announced: Option<u64>,
    ) -> Result<Unpacker, Fault> {
        self.admit()?;
        self.unpacker_up_to(self.request_bytes, coding, announced)
    }

    /// For what is no export.
    pub(crate) fn unpacker_up_to(
        &self,
        limit_bytes: usize,
        coding: Coding,
        announced: Option<u64>,
    ) -> Result<Unpacker, Fault> {
        let announced = announced.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        if announced.is_some_and(|bytes| bytes > limit_bytes) {
            return Err(Fault::TooLarge { limit_bytes });
        }
        Unpacker::new(coding, limit_bytes, announced, &self.room)
    }

    pub(crate) fn request_bytes(&self) -> usize {
        self.request_bytes
    }

    pub(crate) async fn export(
        &self,
        signal: Signal,
        tenant: Tenant,
        encoding: Encoding,
        body: Held,
    ) -> Result<Answer, Fault> {
        #[cfg(test)]
        self.hook.reached().await;
        let Held { bytes, share } = body;
        // Held while the bytes are read, and no longer: the journal's sync is waited for by many at once.
        let turn = match bytes.len() {
            LARGE_BYTES.. => Some(self.room.turn().await),
            _ => None,
        };
        let partial = match signal {
            Signal::Traces => {
                let begun = self.handle.begin(TraceRequest { tenant, encoding, body: bytes });
                drop((turn, share));
                self.left_out(&self.handle.answer(begun).await?)
            }
            Signal::Metrics => {
                let rejected = count::data_points(&bytes, encoding)?;
                self.metrics().rejected_data_points.add(rejected);
                not_taken(rejected, "metrics")
            }
            Signal::Logs => {
                let rejected = count::log_records(&bytes, encoding)?;
                self.metrics().rejected_log_records.add(rejected);
                not_taken(rejected, "logs")
            }
        };
        Ok(Answer { signal, partial })
    }

    fn left_out(&self, answer: &TraceAnswer) -> Option<Partial> {
        let TraceAnswer { late, future, .. } = *answer;
        let config = &self.handle.config;
        let late_text = || format!("{late} ended more than {} ago", text(config.lateness));
        let future_text = || format!("{future} end more than {} from now", text(config.future));
        let reason = match (late, future) {
            (0, 0) => return None,
            (_, 0) => late_text(),
            (0, _) => future_text(),
            _ => format!("{}, {}", late_text(), future_text()),
        };
        let message = format!("spans left out by the time of their end: {reason}");
        Some(Partial { rejected: late + future, message })
    }
}

fn not_taken(rejected: u64, what: &str) -> Option<Partial> {
    let message = format!("this build takes traces only: send {what} elsewhere");
    (rejected > 0).then_some(Partial { rejected, message })
}

/// A limit in its largest whole unit: `30 d`, `10 min`.
fn text(limit: Duration) -> String {
    let seconds = limit.as_secs();
    let units = [(86_400, "d"), (3_600, "h"), (60, "min")];
    let whole =
        units.into_iter().find(|(unit, _)| seconds >= *unit && seconds.is_multiple_of(*unit));
    let (unit, name) = whole.unwrap_or((1, "s"));
    format!("{} {name}", seconds / unit)
}
