//! What must hold, one file each. Those of safety are checked under faults, all the time; those of
//! liveness once everything has healed.

use thiserror::Error;

mod acked_slices_stay;
mod at_most_once;
mod closed_stays_closed;
mod completeness_covers;
mod exactly_once;
mod heals;
mod never_forked;
mod observed;
mod promql_agrees;
mod stays_readable;

pub(crate) use acked_slices_stay::acked_slices_stay;
pub(crate) use at_most_once::at_most_once;
pub(crate) use closed_stays_closed::{closed_is_not_live, closed_refuses_slices};
pub(crate) use completeness_covers::completeness_covers;
pub(crate) use exactly_once::exactly_once;
pub(crate) use heals::{Healed, heals};
pub(crate) use observed::Observed;
pub(crate) use promql_agrees::promql_agrees;
pub(crate) use stays_readable::stays_readable;

/// What was seen that must never be.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{invariant}: {seen}")]
pub struct Violation {
    pub invariant: &'static str,
    pub seen: String,
}

fn violated<T>(invariant: &'static str, seen: impl Into<String>) -> Result<T, Violation> {
    Err(Violation { invariant, seen: seen.into() })
}
