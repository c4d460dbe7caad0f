//! Law 3: nothing counts twice, be its ack known or not.

use super::{Violation, violated};
use crate::oracle::{Oracle, Tally};

/// `held`: of any shards.
pub(crate) fn at_most_once(held: &Tally, oracle: &Oracle) -> Result<(), Violation> {
    match oracle.greatest_tally().falls_short_of(held) {
        None => Ok(()),
        Some(what) => violated("at most once", format!("more is there than was sent: {what}")),
    }
}
