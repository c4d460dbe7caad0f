//! From OTLP bytes to mergeable partial span metrics. No IO, no clock.
//!
//! ```text
//! OTLP bytes ─fold─▶ Content (one request) ─merge─▶ Content (windows) ─by_shard─▶ slices
//!                                                                         │
//!                     series names and labels ◀─Naming─ Group ◀───────────┘ (reader)
//! ```
//!
//! - [`Content`] is the algebra: deltas by tenant, layout, group and window that add up (law 1).
//! - [`fold`] puts each span where the span says (law 2).
//! - [`Naming`] is how groups look from outside; it never decides where something is stored.

pub mod codec;
mod config;
mod content;
mod delta;
mod fold;
mod group;
mod labels;
mod layout;
mod naming;
mod sample;
mod tenant;
mod walk;
mod window;

pub use config::{Config, ConfigVersion};
pub use content::{Content, GroupContent, LayoutContent, SeriesContent, TenantContent};
pub use delta::{Delta, SPAN_WEIGHT};
pub use fold::{Encoding, FoldError, Folded, fold};
pub use group::{Group, GroupId, SpanKind, StatusCode};
pub use labels::{Labels, METRIC_NAME};
pub use layout::{Layout, LayoutId};
pub use naming::Naming;
pub use sample::{SampleBits, SeriesId};
pub use tenant::{InvalidTenant, Tenant};
pub use window::WindowEnd;
