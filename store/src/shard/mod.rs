//! One shard: a deterministic function of the entries that it was offered, kept in families.
//!
//! ```text
//! entries ─▶ gather (pure: state, entries → answers, content, state)
//!              │
//!              ▼                       apply                     now and then
//!          log: append, sync ─▶ head, dictionary, sources ─┬─▶ checkpoint: one batch, flush ─▶ purge the log
//!                                          │               │     blocks, totals, samples, definitions, sources,
//!                                          ▼               │     commit row
//!                                  publish a View, answers └─▶ compaction
//! ```
//!
//! Apply looks at the state and the entry only: no clock, no randomness, no configuration. `Applied` is
//! answered once the log has synced the entry, but for a word of a source that the shard knows, which is said again
//! after a crash; what is not answered the edge keeps, and offers again. A checkpoint is one batch that ends in the commit row, so a crash keeps all of it or nothing,
//! and the log behind it is applied again at the next start (`docs/decisions/0012`).
//!
//! After a failed flush or write the families are opened anew, as after a crash: see `database`.
//!
//! A reader holds one [`View`]: a snapshot of the families, what was applied since (the head), the dictionary
//! and the promises of the sources, as they stood at one commit. Snapshot and head are exchanged together, so
//! a delta is in exactly one of them.

mod checkpoint;
mod compaction;
mod database;
mod dictionary;
mod dump;
mod error;
mod gather;
mod handle;
mod head;
mod logged;
mod open;
mod service;
mod shard_log;
mod sources;
mod state;
mod touched;
mod turns;
mod view;

pub use dictionary::TenantDictionary;
pub use handle::ShardHandle;
pub use service::{ShardOptions, ShardService};
pub use sources::Completeness;
pub use turns::Turns;
pub use view::{GroupHistory, LayoutHistory, SampleHistory, View};
