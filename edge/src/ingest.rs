//! What receivers call: a request's bytes in, the answer out once its record is on disk.

use std::sync::Arc;

use bytes::Bytes;
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tributary_proto::{Metric, SourceId};
use tributary_spanmetrics::{
    Config, Content, Encoding, Labels, Partial, Tenant, WalkError, Walked,
};
use tributary_store::log::MAX_RECORD_BYTES;
use tributary_store::plants::{self, Plant};
use twox_hash::XxHash3_128;
use xxhash_rust::xxh3::xxh3_64;

use crate::ceiling::Ceiling;
use crate::clock::Clock;
use crate::dedup::{Dedup, Fingerprint, Outcome, Registered, Registration, RunningTime, Uptime};
use crate::metrics::EdgeMetrics;
use crate::record::{Record, RequestHead};
use crate::totals::TotalsHandle;
use crate::walkers::Walkers;

/// A trace request, decompressed.
#[derive(Clone, Debug)]
pub struct TraceRequest {
    pub tenant: Tenant,
    pub encoding: Encoding,
    pub body: Bytes,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TraceAnswer {
    pub accepted: u64,
    /// Left out, since they ended longer ago than the lateness limit.
    pub late: u64,
    /// Left out, since they end further ahead than the future limit.
    pub future: u64,
}

impl TraceAnswer {
    fn of(walked: &Walked) -> Self {
        TraceAnswer { accepted: walked.accepted, late: walked.late, future: walked.future }
    }
}

/// A sample of one of the node's own series.
#[derive(Clone, Debug)]
pub struct Sample {
    pub labels: Labels,
    pub time_ms: i64,
    pub value: f64,
}

impl From<WalkError> for Refusal {
    fn from(error: WalkError) -> Self {
        match error {
            WalkError::BadSpans(_) => Refusal::BadData(error.to_string()),
            WalkError::TooMany { .. } => Refusal::TooLarge(error.to_string()),
        }
    }
}

/// Nothing of the request counts.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Refusal {
    #[error("{0}")]
    BadData(String),
    #[error("{0}")]
    TooLarge(String),
    #[error("the edge is busy: {waiting_bytes} bytes wait for its journal; try again")]
    Overload { waiting_bytes: usize },
    #[error(
        "the edge holds {used_bytes} bytes of memory, at most {limit_bytes} are wanted; try again"
    )]
    Memory { used_bytes: usize, limit_bytes: usize },
    #[error("the journal cannot take the request now: {0}; try again")]
    Journal(String),
    /// For one who waited for the same request, which came to nothing for whatever reason.
    #[error("the same request was on its way already and came to nothing; try again")]
    Unfinished,
    #[error("the edge is stopping; try again")]
    Stopping,
}

impl Refusal {
    pub fn is_retryable(&self) -> bool {
        !matches!(self, Refusal::BadData(_) | Refusal::TooLarge(_))
    }
}

#[derive(Clone)]
pub struct EdgeHandle {
    pub(crate) source: SourceId,
    pub(crate) config: Arc<Config>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) running: RunningTime,
    pub(crate) metrics: Arc<EdgeMetrics>,
    pub(crate) walkers: Arc<Walkers>,
    pub(crate) dedup: Dedup,
    /// Holds what `room` has permits for.
    pub(crate) commands: mpsc::UnboundedSender<Command>,
    pub(crate) totals: TotalsHandle,
    pub(crate) room: Arc<Semaphore>,
    pub(crate) queue_bytes: usize,
    pub(crate) ceiling: Ceiling,
}

/// What a request adds to the edge's counters, once it counts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    /// Spans with a text that was cut to the limit.
    pub(crate) shortened: u64,
    /// Spans whose end was before their start.
    pub(crate) clamped: u64,
    /// Spans that went into an overflow group.
    pub(crate) overflowed: u64,
    pub(crate) answer: TraceAnswer,
}

/// A record that waits for the journal.
pub(crate) struct Command {
    pub(crate) record: Bytes,
    pub(crate) cargo: Cargo,
    pub(crate) answer: oneshot::Sender<Result<(), Refusal>>,
    pub(crate) _room: OwnedSemaphorePermit,
}

pub(crate) enum Cargo {
    Request(Box<Waiting>),
    Samples(Content),
}

/// A request behind its record.
pub(crate) struct Waiting {
    pub(crate) partial: Partial,
    pub(crate) counts: Counts,
    pub(crate) uptime: Uptime,
    pub(crate) registered: Registered,
}

/// A request whose bytes nobody needs any more.
#[must_use = "its answer is yet to come"]
pub(crate) enum Begun {
    Refused(Refusal),
    Answered(TraceAnswer),
    /// It counts, with this answer, once its record is on disk.
    Queued(TraceAnswer, Answered),
    /// The same is on its way already, and gets its answer first.
    Repeats(oneshot::Receiver<Outcome>),
}

/// What a command takes beside its record: a queue full of small ones is bounded too.
const COMMAND_BYTES: usize = 512;

impl EdgeHandle {
    pub fn metrics(&self) -> &Arc<EdgeMetrics> {
        &self.metrics
    }

    /// All that the edge counts, and what is known only at this moment.
    pub fn collect(&self) -> Vec<Metric> {
        let waiting = self.queue_bytes - self.room.available_permits().min(self.queue_bytes);
        self.metrics.queue_bytes.set(waiting as u64);
        self.metrics.observe_time(self.clock.now_ms());
        self.metrics.collect()
    }

    /// What groups got since the edge started.
    pub fn totals(&self) -> &TotalsHandle {
        &self.totals
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Once it has begun, a request runs to its end, though the caller may hang up.
    pub async fn ingest(&self, request: TraceRequest) -> Result<TraceAnswer, Refusal> {
        let begun = self.begin(request);
        self.answer(begun).await
    }

    /// All that is to be done with the request's bytes, which are let go of; nothing is awaited between
    /// its registration and the journal's queue.
    pub(crate) fn begin(&self, request: TraceRequest) -> Begun {
        self.metrics.requests_received.add(1);
        self.try_begin(request).unwrap_or_else(Begun::Refused)
    }

    /// What comes of the request, once somebody knows.
    pub(crate) async fn answer(&self, begun: Begun) -> Result<TraceAnswer, Refusal> {
        let answer = match begun {
            Begun::Refused(refusal) => Err(refusal),
            Begun::Answered(answer) => Ok(answer),
            Begun::Queued(answer, answered) => synced(answered).await.map(|()| answer),
            Begun::Repeats(first) => {
                let answer = first.await.unwrap_or(Err(Refusal::Stopping));
                self.metrics.requests_duplicate.add(u64::from(answer.is_ok()));
                answer
            }
        };
        if let Err(refusal) = &answer {
            self.metrics.count_refusal(refusal);
        }
        answer
    }

    /// Stores samples as they are, in the way of spans.
    pub async fn ingest_samples(
        &self,
        tenant: &Tenant,
        samples: Vec<Sample>,
    ) -> Result<(), Refusal> {
        if samples.is_empty() {
            return Ok(());
        }
        let mut content = Content::default();
        let of_tenant = content.tenant(tenant);
        for sample in samples {
            of_tenant.sample(tenant, sample.labels, sample.time_ms, sample.value);
        }
        let record = Record::Samples { source: self.source, content };
        let encoded = record.encode().into();
        let Record::Samples { content, .. } = record else { unreachable!("made above") };
        synced(self.send(encoded, Cargo::Samples(content))?).await
    }

    fn try_begin(&self, request: TraceRequest) -> Result<Begun, Refusal> {
        let uptime = self.running.now();
        let fingerprint = fingerprint(&request.tenant, &request.body);
        match self.dedup.register(fingerprint, uptime) {
            Registration::Known(answer) => {
                self.metrics.requests_duplicate.add(1);
                Ok(Begun::Answered(answer))
            }
            Registration::InFlight(_) if plants::is(Plant::WaiterAckedEarly) => {
                let walked = self.walk(&request, self.clock.now_ns())?;
                Ok(Begun::Answered(TraceAnswer::of(&walked)))
            }
            Registration::InFlight(first) => Ok(Begun::Repeats(first)),
            Registration::New(registered) => self.queue(request, fingerprint, uptime, registered),
        }
    }

    /// Up to the journal's queue. A request without spans has nothing to remember.
    fn queue(
        &self,
        request: TraceRequest,
        fingerprint: Fingerprint,
        uptime: Uptime,
        registered: Registered,
    ) -> Result<Begun, Refusal> {
        let arrival_ns = self.clock.now_ns();
        let walked = match self.check_room().and_then(|()| self.walk(&request, arrival_ns)) {
            Ok(walked) => walked,
            Err(refusal) => {
                registered.refuse(refusal.clone());
                return Err(refusal);
            }
        };
        let TraceRequest { tenant, body, .. } = request;
        drop(body);
        let answer = TraceAnswer::of(&walked);
        if answer == TraceAnswer::default() {
            registered.dismiss(answer);
            self.metrics.requests_accepted.add(1);
            return Ok(Begun::Answered(answer));
        }
        let Walked { shortened, clamped, overflowed, .. } = walked;
        let counts = Counts { shortened, clamped, overflowed, answer };
        let head = RequestHead {
            source: self.source,
            tenant,
            fingerprint,
            config: self.config.version,
            arrival_ns,
            uptime,
            answer,
        };
        let record = head.record(&walked.partial);
        let waiting = Waiting { partial: walked.partial, counts, uptime, registered };
        let answered = self.send(record, Cargo::Request(Box::new(waiting)))?;
        Ok(Begun::Queued(answer, answered))
    }

    fn walk(&self, request: &TraceRequest, arrival_ns: u64) -> Result<Walked, Refusal> {
        let TraceRequest { tenant, encoding, body } = request;
        Ok(self.walkers.take().walk(body, *encoding, tenant, arrival_ns)?)
    }

    /// Whether a request may come in at all: asked before its body is read, which may take a while, and
    /// again with what then comes.
    #[cfg(feature = "receivers")]
    pub(crate) fn admit(&self) -> Result<(), Refusal> {
        self.check_room().inspect_err(|refusal| self.metrics.count_refusal(refusal))
    }

    fn check_room(&self) -> Result<(), Refusal> {
        if let Some(used_bytes) = self.ceiling.exceeded_by() {
            return Err(Refusal::Memory { used_bytes, limit_bytes: self.ceiling.soft_bytes });
        }
        match self.room.available_permits() {
            0 => Err(Refusal::Overload { waiting_bytes: self.queue_bytes }),
            _ => Ok(()),
        }
    }

    fn send(&self, record: Bytes, cargo: Cargo) -> Result<Answered, Refusal> {
        if record.len() > MAX_RECORD_BYTES {
            let bytes = record.len();
            return Err(Refusal::TooLarge(format!(
                "the request comes to a record of {bytes} bytes, at most {MAX_RECORD_BYTES} are \
                 taken: send it in parts"
            )));
        }
        let held = match &cargo {
            Cargo::Request(waiting) => waiting.partial.bytes(),
            // A sample's text stands twice: here and in its record.
            Cargo::Samples(_) => record.len(),
        };
        let bytes = (COMMAND_BYTES + record.len() + held).min(self.queue_bytes) as u32;
        let full = |_| Refusal::Overload {
            waiting_bytes: self.queue_bytes - self.room.available_permits(),
        };
        let _room = self.room.clone().try_acquire_many_owned(bytes).map_err(full)?;
        let (answer, answered) = oneshot::channel();
        let command = Command { record, cargo, answer, _room };
        self.commands.send(command).map_err(|_| Refusal::Stopping)?;
        Ok(answered)
    }
}

type Answered = oneshot::Receiver<Result<(), Refusal>>;

async fn synced(answered: Answered) -> Result<(), Refusal> {
    answered.await.unwrap_or(Err(Refusal::Stopping))
}

/// Of 128 bits by the whole body, in the widest steps that the machine has; the tenant's name is the seed.
fn fingerprint(tenant: &Tenant, body: &[u8]) -> Fingerprint {
    let seed = xxh3_64(tenant.as_str().as_bytes());
    Fingerprint(XxHash3_128::oneshot_with_seed(seed, body))
}

#[cfg(test)]
#[path = "ingest_test.rs"]
mod tests;
