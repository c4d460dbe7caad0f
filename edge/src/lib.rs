//! The edge: takes spans, keeps what they add in its journal, seals windows, ships slices.
//!
//! ```text
//! receivers ─▶ ingest: walk ─▶ ┌ sequencer, the one owner of the journal ┐ ─▶ lanes, one a shard
//!                  ◀── answer ─┤ append ▸ sync ▸ merge ▸ answer           │        │ offer
//!                              │ window end + grace: seal ▸ sync ▸ take   │ ◀──────┘ answered
//!                              └ all slices answered: settle ▸ trim       ┘
//! ```
//!
//! A request is answered when its record is on disk (law 3). Everything after that derives from the
//! journal in its order: which content a seal takes, what its slices hold and how they are numbered. So
//! a restart offers the same slices under the same names, and the shards count each once.
//!
//! - [`Edge`] opens the journal and runs; [`EdgeHandle`] is what receivers hold.
//! - [`Shards`] is the seam to the core.
//! - [`TotalsHandle`] shows what groups got since the start, for someone else's Prometheus.
//! - `windows`, `ledger` and `dedup` are the cores without IO.
//! - `receivers` (a feature) speaks OTLP over gRPC and HTTP.
//!
//! Not here yet: an outbox that outlasts a long absence of the core.

mod apart;
mod ceiling;
mod clock;
mod closing;
mod dedup;
mod definitions;
mod edge;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod identity;
mod ingest;
mod lane;
mod ledger;
mod metrics;
#[cfg(feature = "receivers")]
pub mod receivers;
mod record;
mod replay;
mod sequencer;
mod shards;
mod totals;
mod upkeep;
mod walkers;
mod windows;

pub use ceiling::Ceiling;
pub use clock::Clock;
pub use edge::{Edge, EdgeError, Fresh, Options};
pub use ingest::{EdgeHandle, Refusal, Sample, TraceAnswer, TraceRequest};
pub use metrics::EdgeMetrics;
pub use shards::Shards;
pub use totals::{GroupTotals, Place, TotalsHandle, TotalsPage};
