//! The nodes of the world.

mod core;
mod edge;
mod outage;

pub(crate) use self::core::CoreNode;
pub(crate) use edge::{EdgeNode, GRACE, Life, SEGMENT_BYTES};
pub(crate) use outage::{Machine, Outage};

/// As many as production has by default.
pub(crate) const SHARDS: u16 = 16;
