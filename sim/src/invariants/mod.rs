//! What must hold, one file each. Those of safety are checked under faults, all the time; those of
//! liveness once everything has healed.

use thiserror::Error;

mod acked_slices_stay;
mod at_most_once;
mod closed_stays_closed;
mod completeness_covers;
mod exactly_once;
mod heals;
mod journal_is_let_go;
mod memory_survives;
mod never_forked;
mod observed;
mod promql_agrees;
mod recovers;
mod refused_leaves_no_trace;
mod repeats_count_once;
mod same_answer_again;
mod starts_again;
mod stays_readable;

pub(crate) use acked_slices_stay::acked_slices_stay;
pub(crate) use at_most_once::at_most_once;
pub(crate) use closed_stays_closed::{closed_is_not_live, closed_refuses_slices};
pub(crate) use completeness_covers::completeness_covers;
pub(crate) use exactly_once::exactly_once;
pub(crate) use heals::{Healed, heals};
pub(crate) use journal_is_let_go::journal_is_let_go;
pub(crate) use memory_survives::{Counted, memory_survives};
pub(crate) use observed::Observed;
pub(crate) use promql_agrees::promql_agrees;
pub(crate) use recovers::{RECOVERY, clients_get_through, does_not_recover};
pub(crate) use refused_leaves_no_trace::{refused_leaves_no_trace, refused_retryably};
pub(crate) use repeats_count_once::repeats_count_once;
pub(crate) use same_answer_again::same_answer_again;
pub(crate) use starts_again::cannot_start;
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
