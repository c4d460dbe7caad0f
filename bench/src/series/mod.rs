//! Span metrics as a store gets them: count, sum and buckets by group and window, without the spans.
//!
//! ```text
//! Shape ─▶ Law (of each group) ─▶ History (one group, window after window)
//!                                    └─▶ Feed (all groups, in time order) ─▶ the store under test
//!                                           │    └─▶ Requests: the same as cumulative counters,
//!                                           ▼        by Prometheus remote write, for its peers
//!                                        Survey: what was in it
//! ```
//!
//! Each group draws its calls of a window from a Poisson distribution whose mean follows the time of day,
//! and the duration of each call from its own log-normal one. A group's history depends on nothing but the
//! shape and its number, so it can be made again, alone, to be compared with what was read back.
//!
//! What a window holds is counted here. An exponential layout will be another way to count the same calls.

mod feed;
mod history;
mod law;
mod names;
mod remote_write;
mod shape;
mod survey;

pub use feed::{Feed, Window};
pub use history::{Delta, History};
pub use remote_write::Requests;
pub use shape::{BOUNDS_MS, BadShape, Shape, Variant, WINDOW_MS};
pub use survey::{Summary, Survey};
