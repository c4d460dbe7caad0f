//! What a node keeps: the segment log and the shards, behind a disk seam.
//!
//! - [`disk`]: the seam, its real half and its twin in memory.
//! - [`log`]: the segment log; an edge's journal is its first user. [`log::streams`]: many streams in one.
//! - [`shard`]: one shard: apply, views, dumps. `family` has the bytes of its keys and values.
//! - [`plants`]: bugs on purpose, in a build of their own.
//! - [`Store`]: all shards of a node. [`Home`]: the folder they live in.
//!
//! What this crate does not do: it never asks a clock, and knows nothing of PromQL. Series are made of
//! what it answers by `query`.

pub mod disk;
mod family;
mod home;
pub mod log;
mod matcher;
mod metrics;
pub mod plants;
pub mod shard;
mod store;
mod windows;

pub use family::totals::Totals;
pub use home::{FORMAT, Home, HomeError};
pub use matcher::{InvalidRegex, MatchOp, Matcher};
pub use metrics::StoreMetrics;
pub use shard::{Completeness, GroupHistory, LayoutHistory, SampleHistory, TenantDictionary, View};
pub use store::{Options, Store, StoreHandle};
pub use windows::Windows;
