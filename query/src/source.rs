//! Where the engine's series come from.
//!
//! A source answers one selection at a time with columns: sorted timestamps beside values of one
//! kind. Whether they were stored as samples or derived from span-metric deltas is the source's
//! business; the engine only has to know until when the latter are complete.
//!
//! ```text
//! Engine ── Selection{tenant, matchers, times, hint} ──▶ SeriesSource
//!        ◀─ SeriesSet{series: labels + columns, warnings} ─
//! ```

use std::sync::Arc;

use async_trait::async_trait;
use thiserror::Error;
use tributary_spanmetrics::{Labels, Tenant};
use tributary_store::Matcher;

/// Milliseconds since the epoch.
pub type TimeMs = i64;

/// What one vector or matrix selector of a query needs.
#[derive(Clone, Debug)]
pub struct Selection {
    pub tenant: Tenant,
    /// All have to match.
    pub matchers: Vec<Matcher>,
    /// The samples wanted: `start < timestamp <= end`.
    pub start: TimeMs,
    pub end: TimeMs,
    /// What the query does with the series, for sources that can do part of it themselves. A source
    /// may ignore it; the answer then is merely larger.
    pub hint: Option<PushDown>,
}

/// The part of the query around a selector that a source may take over.
#[derive(Clone, Debug, PartialEq)]
pub struct PushDown {
    /// The range function applied to the selector, with its range.
    pub function: Option<(String, TimeMs)>,
    /// The labels that the aggregation around it keeps.
    pub by: Option<Vec<String>>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Points {
    Floats(Vec<f64>),
    /// Native histograms; no source answers them yet.
    Histograms(Vec<Arc<Histogram>>),
}

/// A native histogram sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    pub schema: i8,
    pub count: f64,
    pub sum: f64,
    pub zero_threshold: f64,
    pub zero_count: f64,
    pub positive: Vec<(i32, f64)>,
    pub negative: Vec<(i32, f64)>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    pub labels: Labels,
    /// Strictly ascending; series of one group share them.
    pub times: Arc<[TimeMs]>,
    /// As many as `times`.
    pub points: Points,
    /// Span metrics only: until when the series is known whole. The engine evaluates such a series
    /// as of `min(t, complete_to)`, at most [`MAX_HOLD_MS`] back, so that no graph dips at its right
    /// end because a window was still open. `None`: a stored sample series, taken as it stands.
    pub complete_to: Option<TimeMs>,
}

/// How far back an evaluation may step to reach complete data.
pub const MAX_HOLD_MS: TimeMs = 60_000;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct SeriesSet {
    pub series: Vec<Series>,
    /// What the client has to know about this answer, such as a source that lags.
    pub warnings: Vec<String>,
}

#[derive(Debug, Error)]
pub enum SourceError {
    #[error("store: {0}")]
    Store(String),
    #[error("the query reads too much: {0}; narrow its time range or its matchers")]
    TooMuch(String),
}

#[async_trait]
pub trait SeriesSource: Send + Sync {
    async fn select(&self, selection: &Selection) -> Result<SeriesSet, SourceError>;

    /// The label sets of the series with a sample in the selection's time range.
    async fn labels(&self, selection: &Selection) -> Result<Vec<Labels>, SourceError> {
        Ok(self.select(selection).await?.series.into_iter().map(|s| s.labels).collect())
    }
}
