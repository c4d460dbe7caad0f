//! What every HTTP port of the node has in common: accepting, limits, an end in bounded time; and the
//! times that its answers carry.
//!
//! Routes are not here: each port's own module has them.

mod patience;
pub mod rfc3339;
mod serve;

pub use serve::{Options, serve};
