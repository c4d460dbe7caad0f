//! Evaluation: a program and its samples in, columns out.
//!
//! Every operator works through all evaluation times of a series at once, so what depends on labels
//! alone (groups, matches) is found once per query and not once per step, and inner loops run over
//! arrays. Nothing here reads a clock, waits, or recurses; [`Evaluation::advance`] does a bounded
//! portion of work, and whoever drives it decides what happens in between.
//!
//! | operator | unit of work |
//! |---|---|
//! | `lookup`, `windowed` | a series |
//! | `negate`, `with_scalar` | a row |
//! | `aggregate` | a row, into its group |
//! | `vector_match`, `set` | the rows of both sides that match |
//! | `histogram_quantile` | a histogram |
//!
//! The semantics are those of Prometheus 3.12: windows and lookback are open on their left, a stale
//! marker ends a series, and a name goes wherever a value is no longer the named metric's.

mod aggregate;
mod bucket_quantile;
mod elementwise;
mod evaluation;
mod extrapolation;
mod frame;
mod histogram_quantile;
mod key;
mod lookup;
mod matches;
mod meter;
mod negate;
mod operator;
mod resets;
mod samples;
mod set;
mod vector_match;
mod windowed;
mod windows;
mod with_scalar;

pub(crate) use evaluation::{Evaluation, Outcome, Progress};
pub(crate) use frame::Frame;
pub(crate) use meter::Meter;
pub(crate) use operator::Operand;
pub(crate) use samples::{Samples, prepare};
