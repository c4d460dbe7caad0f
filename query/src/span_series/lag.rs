//! How far the sources are: the time up to which an answer is whole, and who holds it back.

use std::collections::BTreeMap;

use tributary_proto::SourceId;
use tributary_store::View;

use crate::source::{MAX_HOLD_MS, TimeMs};

#[derive(Debug, Default)]
pub(super) struct Lag {
    /// `None` while a shard has heard no source.
    pub(super) complete_to: Option<TimeMs>,
    pub(super) warnings: Vec<String>,
}

impl Lag {
    /// `wanted_to`: the latest time that the answer speaks of.
    pub(super) fn of(views: &[View], wanted_to: TimeMs) -> Self {
        let mut lag = Lag { complete_to: Some(TimeMs::MAX), warnings: Vec::new() };
        let mut behind = BTreeMap::<SourceId, TimeMs>::new();
        for completeness in views.iter().map(View::completeness) {
            lag.complete_to = match (lag.complete_to, completeness.complete_to_ms) {
                (Some(mine), Some(theirs)) => Some(mine.min(theirs)),
                _ => None,
            };
            for (source, sealed_to) in completeness.live.iter() {
                if *sealed_to < wanted_to.saturating_sub(MAX_HOLD_MS) {
                    let slowest = behind.entry(*source).or_insert(*sealed_to);
                    *slowest = (*slowest).min(*sealed_to);
                }
            }
        }
        lag.warnings =
            behind.into_iter().map(|(source, to)| warning(source, to, wanted_to)).collect();
        lag
    }
}

fn warning(source: SourceId, sealed_to: TimeMs, wanted_to: TimeMs) -> String {
    let edge = source.edge;
    if sealed_to == TimeMs::MIN {
        return format!("edge {edge} has not said yet how far its windows are sealed");
    }
    let behind_s = (wanted_to - sealed_to) / 1000;
    format!("edge {edge} is {behind_s} s behind: what it has since then is not in this answer")
}
