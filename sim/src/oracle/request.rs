//! One request as its client knows it: what it carries, and what became of it each time it was sent.

use std::collections::BTreeMap;
use std::sync::Arc;

use tributary_edge::TraceAnswer;
use tributary_proto::{ShardId, SourceId};

use super::{Cell, Limits, Moment, Series, Sum};
use crate::traffic::Sent;

pub(crate) struct Request {
    pub(super) spans: Vec<Expected>,
    /// The group that only this request has a span in.
    pub(super) marker: Arc<Series>,
    /// The group of its borderline spans, if it has any.
    pub(super) borderline: Option<Arc<Series>>,
    pub(super) tries: Vec<Outcome>,
    /// The first one. Every other one has to be the same.
    pub(super) answer: Option<TraceAnswer>,
    /// How often it was sent again when the edge might have forgotten it.
    pub(super) beyond_memory: u64,
}

/// A span that counts if its request does.
pub(super) struct Expected {
    pub(super) cell: Cell,
    pub(super) sum: Sum,
    pub(super) shard: ShardId,
    pub(super) is_borderline: bool,
    /// Whether completeness must not pass its window without it. Known when the ack comes.
    pub(super) is_covered: bool,
}

/// Of one time that a request was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Under way, or hung up on, or lost with its edge: it may have counted.
    Unknown,
    Acked,
    /// Before anything of it was written.
    TurnedAway,
    /// By a source whose journal could not take it. What stands of it at the end of the journal goes
    /// before anything else is written, unless the process dies first.
    Refused {
        by: SourceId,
        at: Moment,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It may count, whole.
    Unknown,
    Acked,
    /// Every time: it never counts.
    Refused,
}

impl Request {
    pub(super) fn new(sent: &Sent, region: &str, shards: u16) -> Self {
        let counted = sent.spans.iter().filter(|span| span.may_count());
        let expected = counted.map(|span| Expected {
            cell: span.cell(region),
            sum: span.sum(),
            shard: ShardId(super::group_of(span, region).shard(shards)),
            is_borderline: span.limits == Limits::Borderline,
            is_covered: false,
        });
        let spans: Vec<_> = expected.collect();
        let borderline = spans.iter().find(|span| span.is_borderline);
        Request {
            borderline: borderline.map(|span| Arc::clone(&span.cell.series)),
            marker: sent.marker.cell(region).series,
            spans,
            tries: Vec::new(),
            answer: None,
            beyond_memory: 0,
        }
    }

    /// `written`: for a source, the last moment after which it is known to have written to its journal.
    pub(super) fn fate(&self, written: &BTreeMap<SourceId, Moment>) -> Fate {
        let left_nothing = |outcome: &Outcome| match outcome {
            Outcome::Unknown | Outcome::Acked => false,
            Outcome::TurnedAway => true,
            Outcome::Refused { by, at } => written.get(by).is_some_and(|since| since > at),
        };
        if self.tries.contains(&Outcome::Acked) {
            Fate::Acked
        } else if !self.tries.is_empty() && self.tries.iter().all(left_nothing) {
            Fate::Refused
        } else {
            Fate::Unknown
        }
    }

    /// How often it counts at least and at most.
    pub(super) fn may_count(&self, fate: Fate) -> (u64, u64) {
        match fate {
            Fate::Refused => (0, 0),
            Fate::Acked => (1, 1 + self.beyond_memory),
            Fate::Unknown => (0, 1 + self.beyond_memory),
        }
    }

    /// Whether its borderline spans count, as far as its answer tells.
    pub(super) fn takes_borderline(&self) -> Option<bool> {
        let borderline = self.spans.iter().filter(|span| span.is_borderline).count();
        let within = (self.spans.len() - borderline) as u64;
        self.answer.map(|answer| answer.accepted > within)
    }
}
