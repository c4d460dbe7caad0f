//! One shard: a deterministic function of the entries that it was offered, kept in families.
//!
//! ```text
//! entries ─▶ gather (pure: state, entries → answers, content, state)
//!              │ one batch: further blocks, totals, samples, definitions, sources, commit row
//!              ▼
//!          Families::write ─▶ publish a new View ─▶ flush ─▶ answers
//! ```
//!
//! Apply looks at the state and the entry only: no clock, no randomness, no configuration. Data and
//! the watermark that says it was counted are one batch, so a crash keeps both or neither, and
//! `Applied` is answered only after the flush. What is not durable at a crash is offered again: the
//! edge keeps it until it is answered.
//!
//! After a failed flush or write the families are opened anew, as after a crash: see `database`.
//!
//! A reader holds one [`View`]: a snapshot of the families with the dictionary and the promises of
//! the sources as they stood at that commit.

mod batch;
mod compaction;
mod database;
mod dictionary;
mod dump;
mod gather;
mod open;
mod service;
mod sources;
mod touched;
mod view;

pub use dictionary::TenantDictionary;
pub use service::{ShardHandle, ShardService, Turns};
pub use sources::Completeness;
pub use view::{GroupHistory, LayoutHistory, SampleHistory, View};
