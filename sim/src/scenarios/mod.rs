//! What happens to the cluster, one story each.

pub(crate) mod crash_and_heal;
mod summary;

pub(crate) use summary::Summary;
