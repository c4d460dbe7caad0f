//! What the clients know: which spans they sent, and what became of each request.
//!
//! It adds up spans by itself and shares no code with what it judges. A request whose answer never came
//! may count or not, but whole: it carries one span in a group of its own, whose count tells.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tributary_proto::{ShardId, SourceId};

mod span;
mod tally;

pub(crate) use span::{Limits, SentSpan, WINDOW_MS, group_of};
pub(crate) use tally::{Cell, Series, Sum, Tally};

/// A span that ended longer ago is dropped.
pub(crate) const LATENESS_S: u64 = 45 * 60;
/// A span that ends further ahead is dropped.
pub(crate) const FUTURE_S: u64 = 120;

#[derive(Default)]
pub(crate) struct Oracle {
    requests: Vec<Request>,
    /// All that was ever sent.
    greatest: Tally,
}

pub(crate) struct Request {
    spans: Vec<Expected>,
    /// The group that only this request has a span in.
    marker: Arc<Series>,
    fate: Fate,
}

/// A span that counts if its request does.
struct Expected {
    cell: Cell,
    sum: Sum,
    shard: ShardId,
    /// Whether completeness must not pass its window without it. Known when the ack comes.
    is_covered: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Sent, or lost: it may count, whole.
    Unknown,
    Acked,
    /// Refused by its content or before it was written anywhere: it never counts.
    Refused,
}

/// What an ack says about when its spans were taken.
pub(crate) struct AckedAt<'a> {
    pub(crate) source: SourceId,
    /// By the edge's clock.
    pub(crate) now_ms: i64,
    pub(crate) grace_ms: i64,
    /// What the source may have promised with its first word.
    pub(crate) promised_at_boot_ms: i64,
    /// Sources that shards have heard of.
    pub(crate) known: &'a BTreeSet<(ShardId, SourceId)>,
}

impl Oracle {
    /// Notes a request that is about to be sent. `region`: the label of the edge that it goes to.
    pub(crate) fn send(
        &mut self,
        spans: &[SentSpan],
        marker: &SentSpan,
        region: &str,
        shards: u16,
    ) -> usize {
        let counted = spans.iter().filter(|span| span.counts());
        let spans: Vec<_> = counted
            .map(|span| Expected {
                cell: span.cell(region),
                sum: span.sum(),
                shard: ShardId(group_of(span, region).shard(shards)),
                is_covered: false,
            })
            .collect();
        spans.iter().for_each(|span| self.greatest.add(span.cell.clone(), &span.sum));
        let marker = marker.cell(region).series;
        self.requests.push(Request { spans, marker, fate: Fate::Unknown });
        self.requests.len() - 1
    }

    pub(crate) fn refused(&mut self, request: usize) {
        self.requests[request].fate = Fate::Refused;
    }

    /// Completeness promises a window's spans from a source that the shard knew of, if they were taken
    /// before the source could have sealed the window.
    pub(crate) fn acked(&mut self, request: usize, at: &AckedAt<'_>) {
        let request = &mut self.requests[request];
        request.fate = Fate::Acked;
        for span in &mut request.spans {
            let end = span.cell.window_end_ms;
            span.is_covered = end > at.promised_at_boot_ms
                && at.now_ms < end + at.grace_ms
                && at.known.contains(&(span.shard, at.source));
        }
    }

    /// How many requests met each fate: acked, refused, unknown.
    pub(crate) fn fates(&self) -> [usize; 3] {
        [Fate::Acked, Fate::Refused, Fate::Unknown]
            .map(|fate| self.requests.iter().filter(|request| request.fate == fate).count())
    }

    /// What is there for certain.
    pub(crate) fn acked_tally(&self) -> Tally {
        self.tally(|request, _| request.fate == Fate::Acked)
    }

    /// What may be there at most.
    pub(crate) fn greatest_tally(&self) -> &Tally {
        &self.greatest
    }

    /// What a shard must hold once it says that it is complete up to a time.
    pub(crate) fn covered_tally(&self, shard: ShardId, complete_to_ms: i64) -> Tally {
        self.tally(|request, span| {
            request.fate == Fate::Acked
                && span.is_covered
                && span.shard == shard
                && span.cell.window_end_ms <= complete_to_ms
        })
    }

    /// What is there exactly, where `found` tells which of the unknown requests came through.
    pub(crate) fn exact_tally(&self, found: &Tally) -> Tally {
        let there = found.by_series();
        self.tally(|request, _| match request.fate {
            Fate::Acked => true,
            Fate::Refused => false,
            Fate::Unknown => there.contains_key(&request.marker),
        })
    }

    /// The groups that stand for one request each, with the request's fate.
    pub(crate) fn markers(&self) -> BTreeMap<Arc<Series>, Fate> {
        self.requests.iter().map(|request| (request.marker.clone(), request.fate)).collect()
    }

    fn tally(&self, counts: impl Fn(&Request, &Expected) -> bool) -> Tally {
        let mut tally = Tally::default();
        for request in &self.requests {
            for span in request.spans.iter().filter(|span| counts(request, span)) {
                tally.add(span.cell.clone(), &span.sum);
            }
        }
        tally
    }
}
