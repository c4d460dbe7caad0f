//! A selector of a plan, and what it asks of the source.

use tributary_spanmetrics::Tenant;
use tributary_store::Matcher;

use crate::source::{PushDown, Selection, TimeMs};
use crate::steps::Steps;

#[derive(Clone, Debug)]
pub(crate) struct Selector {
    pub(crate) matchers: Vec<Matcher>,
    /// How far the evaluation time is moved back, or ahead where it is negative.
    pub(crate) offset: TimeMs,
    pub(crate) reach: Reach,
    pub(crate) hint: Option<PushDown>,
}

/// How far a selector looks back from each of its evaluation times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    Lookback,
    Range(TimeMs),
}

impl Reach {
    pub(crate) fn length(self, lookback: TimeMs) -> TimeMs {
        match self {
            Reach::Lookback => lookback,
            Reach::Range(range) => range,
        }
    }
}

impl Selector {
    /// What to fetch for these evaluation times. `hold` is how far back an evaluation may step to
    /// reach complete data, on top of its own reach.
    pub(crate) fn selection(
        &self,
        tenant: &Tenant,
        steps: &Steps,
        lookback: TimeMs,
        hold: TimeMs,
    ) -> Selection {
        Selection {
            tenant: tenant.clone(),
            matchers: self.matchers.clone(),
            start: steps.start - self.offset - self.reach.length(lookback) - hold,
            end: steps.last() - self.offset,
            hint: self.hint.clone(),
        }
    }

    /// Whether one selection serves both.
    pub(super) fn same(&self, other: &Selector) -> bool {
        let alike = |a: &Matcher, b: &Matcher| {
            (a.name(), a.op(), a.value()) == (b.name(), b.op(), b.value())
        };
        self.offset == other.offset
            && self.reach == other.reach
            && self.hint == other.hint
            && self.matchers.len() == other.matchers.len()
            && self.matchers.iter().zip(&other.matchers).all(|(a, b)| alike(a, b))
    }
}
