//! The words that an edge and a core exchange, and the ids in them. No IO.
//!
//! ```text
//! edge                                   core, one shard
//!  │  Sealed{source, after, sealed_to} ──▶ notes how far the source's windows are sealed
//!  │  Slice{source, seq, digest, …}   ──▶ applies it when seq is the next one
//!  │  ◀── Applied │ Duplicate │ Resend │ Forked │ Closed
//!  │  Close{source, last}             ──▶ forgets its promise, remembers its name
//! ```
//!
//! A slice's seq is contiguous per (source, shard). What is `Applied` or `Duplicate` is durable with
//! its watermark, and the edge may forget it. The payload is opaque here: `spanmetrics` knows its
//! codec.

mod entry;
mod histogram;
mod ids;
mod metric;

pub use entry::{Answer, Entry, OfferError, Slice};
pub use histogram::{Distribution, Histogram};
pub use ids::{BootId, Digest, EdgeId, InvalidEdgeId, Seq, ShardId, SourceId};
pub use metric::{Counter, Gauge, Metric, MetricSample, MetricValue};
