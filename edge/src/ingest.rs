//! What receivers call: a request's bytes in, the answer out once its record is on disk.

use std::sync::Arc;

use bytes::Bytes;
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tributary_proto::SourceId;
use tributary_spanmetrics::{Config, Content, Encoding, FoldError, Labels, Tenant, fold};
use tributary_store::log::MAX_RECORD_BYTES;
use xxhash_rust::xxh3::Xxh3;

use crate::clock::Clock;
use crate::metrics::EdgeMetrics;
use crate::record::{Record, Request};

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

/// A sample of one of the node's own series.
#[derive(Clone, Debug)]
pub struct Sample {
    pub labels: Labels,
    pub time_ms: i64,
    pub value: f64,
}

impl From<FoldError> for Refusal {
    fn from(error: FoldError) -> Self {
        match error {
            FoldError::BadSpans(_) => Refusal::BadData(error.to_string()),
            FoldError::TooMany { .. } => Refusal::TooLarge(error.to_string()),
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
    #[error("the journal cannot take the request now: {0}; try again")]
    Journal(String),
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
    pub(crate) metrics: Arc<EdgeMetrics>,
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) room: Arc<Semaphore>,
    pub(crate) queue_bytes: usize,
}

/// What a request adds to the edge's counters, once it counts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) requests: u64,
    /// Spans with a text that was cut to the limit.
    pub(crate) shortened: u64,
    pub(crate) answer: TraceAnswer,
}

/// A record that waits for the journal.
pub(crate) struct Command {
    pub(crate) encoded: Bytes,
    pub(crate) content: Content,
    pub(crate) counts: Counts,
    pub(crate) answer: oneshot::Sender<Result<(), Refusal>>,
    pub(crate) _room: OwnedSemaphorePermit,
}

impl EdgeHandle {
    pub fn metrics(&self) -> &Arc<EdgeMetrics> {
        &self.metrics
    }

    /// Once the request waits for the journal it runs to its end, though the caller may hang up.
    pub async fn ingest(&self, request: TraceRequest) -> Result<TraceAnswer, Refusal> {
        let answer = self.try_ingest(request).await;
        match &answer {
            // Counted where it was made durable.
            Ok(_) => {}
            Err(Refusal::TooLarge(_)) => self.metrics.refused_too_large.add(1),
            Err(Refusal::BadData(_)) => self.metrics.refused_bad_data.add(1),
            Err(Refusal::Overload { .. } | Refusal::Stopping) => {
                self.metrics.refused_overload.add(1);
            }
            Err(Refusal::Journal(_)) => self.metrics.refused_journal.add(1),
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
        let record = self.request(None, TraceAnswer::default(), self.clock.now_ns(), content);
        self.journal(record, Counts::default()).await
    }

    async fn try_ingest(&self, request: TraceRequest) -> Result<TraceAnswer, Refusal> {
        let TraceRequest { tenant, encoding, body } = request;
        let arrival_ns = self.clock.now_ns();
        let folded = fold(&body, encoding, &tenant, &self.config, arrival_ns)?;
        let answer =
            TraceAnswer { accepted: folded.accepted, late: folded.late, future: folded.future };
        let counts = Counts { requests: 1, shortened: folded.shortened, answer };
        if answer.accepted == 0 {
            self.metrics.count(&counts);
            return Ok(answer);
        }
        let fingerprint = Some(fingerprint(&tenant, &body));
        drop(body);
        let record = self.request(fingerprint, answer, arrival_ns, folded.content);
        self.journal(record, counts).await?;
        Ok(answer)
    }

    fn request(
        &self,
        fingerprint: Option<u128>,
        answer: TraceAnswer,
        arrival_ns: u64,
        content: Content,
    ) -> Request {
        Request {
            source: self.source,
            fingerprint,
            config: self.config.version,
            arrival_ns,
            accepted: answer.accepted,
            late: answer.late,
            future: answer.future,
            content,
        }
    }

    async fn journal(&self, request: Request, counts: Counts) -> Result<(), Refusal> {
        let record = Record::Request(request);
        let encoded = Bytes::from(record.encode());
        if encoded.len() > MAX_RECORD_BYTES {
            let bytes = encoded.len();
            return Err(Refusal::TooLarge(format!(
                "the request comes to a record of {bytes} bytes, at most {MAX_RECORD_BYTES} are \
                 taken: send it in parts"
            )));
        }
        let Record::Request(Request { content, .. }) = record else {
            unreachable!("made above as a request")
        };
        let bytes = encoded.len().min(self.queue_bytes) as u32;
        let full = |_| Refusal::Overload {
            waiting_bytes: self.queue_bytes - self.room.available_permits(),
        };
        let _room = self.room.clone().try_acquire_many_owned(bytes).map_err(full)?;
        let (answer, answered) = oneshot::channel();
        let command = Command { encoded, content, counts, answer, _room };
        self.commands.send(command).await.map_err(|_| Refusal::Stopping)?;
        answered.await.map_err(|_| Refusal::Stopping)?
    }
}

fn fingerprint(tenant: &Tenant, body: &[u8]) -> u128 {
    let mut hash = Xxh3::new();
    hash.update(tenant.as_str().as_bytes());
    // No tenant's name holds a zero byte, so no two pairs run together alike.
    hash.update(&[0]);
    hash.update(body);
    hash.digest128()
}
