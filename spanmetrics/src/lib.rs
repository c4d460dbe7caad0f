//! From OTLP bytes to mergeable partial span metrics. No IO, no clock.
//!
//! ```text
//! OTLP bytes ─Walker─▶ Partial (one request) ─merge─▶ Gathered (windows) ─▶ slices: Content, encoded
//!                │                                       │                         │
//!                └────────────── Groups ─────────────────┘                         │
//!                     series names and labels ◀─Naming─ Group ◀────────────────────┘ (reader)
//! ```
//!
//! - [`Content`] is the algebra: deltas by tenant, layout, group and window that add up (law 1).
//! - [`Walker`] puts each span where the span says (law 2).
//! - [`Partial`] and [`Gathered`] are the same algebra in flat form, by the slots of an edge's [`Groups`].
//! - [`Naming`] is how groups look from outside; it never decides where something is stored.

pub mod codec;
mod config;
mod content;
mod delta;
mod gathered;
mod group;
mod groups;
mod json;
mod labels;
mod layout;
mod naming;
mod partial;
mod sample;
mod tenant;
mod text;
mod walker;
mod window;
mod wire;

pub use config::{Config, ConfigVersion};
pub use content::{Content, GroupContent, LayoutContent, SeriesContent, TenantContent};
pub use delta::{Delta, SPAN_WEIGHT};
pub use gathered::{Gathered, Totals};
pub use group::{Group, GroupId, SpanKind, StatusCode};
pub use groups::{Definition, Definitions, Generation, GroupNumber, Groups, Interned, Slot};
pub use json::{FieldName, JsonFault, json_text};
pub use labels::{Labels, METRIC_NAME};
pub use layout::{Layout, LayoutId};
pub use naming::Naming;
pub use partial::{Cell, Partial};
pub use sample::{SampleBits, SeriesId};
pub use tenant::{InvalidTenant, Tenant};
pub use walker::{Encoding, MAX_WANTED, WalkError, Walked, Walker};
pub use window::WindowEnd;
