//! PromQL over series sources.
//!
//! A query goes one way through this crate, and only one of its stages waits for anything:
//!
//! ```text
//! text ─parse─▶ syntax tree ─plan─▶ postfix program + selectors
//!                                        │ fetch: SeriesSource, the only IO
//!                                        ▼
//!                       columns ─eval─▶ columns ─▶ QueryAnswer ─json─▶ what clients read
//! ```
//!
//! * [`parse_selector`] and the engine's own parsing refuse text that the parser beneath could not
//!   survive (`parse`).
//! * A plan is a flat postfix program, so neither planning nor evaluation recurses (`plan`).
//! * Evaluation works on columns: every operator takes and yields, for each series, its values over
//!   *all* evaluation times at once. It is pure, and handed out in bounded portions between which the
//!   engine yields (`eval`).
//!
//! Storage is not here: see [`source`] for the seam. HTTP is not here either; [`json`] ends at the
//! `data` object of a response.

mod annotations;
mod answer;
mod engine;
mod error;
mod eval;
pub mod json;
mod options;
mod parse;
mod plan;
pub mod source;
pub mod span_series;
mod steps;

pub use answer::{QueryAnswer, RangeSeries, Sample, Value};
pub use engine::{Engine, Params};
pub use error::{Error, ErrorType};
pub use options::Options;
pub use parse::{Limits, parse_selector};
pub use steps::Steps;
