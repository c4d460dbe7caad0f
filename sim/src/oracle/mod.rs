//! What the clients know: which spans they sent, how often, and what became of each request.
//!
//! It adds up spans by itself and shares no code with what it judges. A request that was acked counts
//! once, however often it was sent; one that was not may count or not, but whole: it carries one span in
//! a group of its own, whose count tells. So at the end there is one right outcome, to the last unit.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tributary_edge::TraceAnswer;
use tributary_proto::{ShardId, SourceId};

mod request;
mod span;
mod tally;

pub(crate) use request::Fate;
pub(crate) use span::{Limits, SentSpan, WINDOW_MS, group_of};
pub(crate) use tally::{Cell, Series, Sum, Tally};

use crate::traffic::Sent;
use request::{Expected, Outcome, Request};

/// A span that ended longer ago is dropped.
pub(crate) const LATENESS_S: u64 = 45 * 60;
/// A span that ends further ahead is dropped.
pub(crate) const FUTURE_S: u64 = 900;

#[derive(Default)]
pub(crate) struct Oracle {
    /// Edges may have lost what they knew of a request.
    repeats_may_count: bool,
    requests: Vec<Request>,
    /// All that was ever sent, each request as often as it may count.
    greatest: Tally,
    now: Moment,
    /// For a source, the last moment after which it is known to have written to its journal.
    written: BTreeMap<SourceId, Moment>,
}

/// When something was seen, among all that was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(u64);

/// One time that a request is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Try {
    request: usize,
    number: usize,
    began: Moment,
}

/// What an ack says about when its spans were taken.
pub(crate) struct AckedAt<'a> {
    pub(crate) source: SourceId,
    /// The latest that the edge's clock has said since the start of the first life that met the request.
    pub(crate) furthest_ms: i64,
    pub(crate) grace_ms: i64,
    /// Sources that shards have heard of.
    pub(crate) known: &'a BTreeSet<(ShardId, SourceId)>,
}

impl Oracle {
    pub(crate) fn new(repeats_may_count: bool) -> Self {
        Oracle { repeats_may_count, ..Oracle::default() }
    }

    /// Notes a request that is about to be sent. `region`: the label of the edge that it goes to.
    pub(crate) fn note(&mut self, sent: &Sent, region: &str, shards: u16) -> usize {
        self.requests.push(Request::new(sent, region, shards));
        let request = self.requests.len() - 1;
        self.may_count_once_more(request);
        request
    }

    /// The request is on its way.
    pub(crate) fn sends(&mut self, request: usize) -> Try {
        let tries = &mut self.requests[request].tries;
        tries.push(Outcome::Unknown);
        let number = tries.len() - 1;
        if number > 0 && self.repeats_may_count {
            self.sends_beyond_memory(request);
        }
        Try { request, number, began: self.moment() }
    }

    /// As `sends`, when the edge may have forgotten what it answered.
    pub(crate) fn sends_beyond_memory(&mut self, request: usize) {
        self.requests[request].beyond_memory += 1;
        self.may_count_once_more(request);
    }

    pub(crate) fn acked(&mut self, sent: Try, answer: TraceAnswer, at: &AckedAt<'_>) {
        let request = &mut self.requests[sent.request];
        request.tries[sent.number] = Outcome::Acked;
        if sent.number == 0 {
            // Nothing was known of it, so the edge has written it since.
            let written = self.written.entry(at.source).or_default();
            *written = sent.began.max(*written);
        }
        if request.answer.is_some() {
            return;
        }
        request.answer = Some(answer);
        // Completeness promises a window's spans from a source that the shard knew of, if they were
        // taken before the source could have sealed the window.
        for span in &mut request.spans {
            span.is_covered = at.furthest_ms < span.cell.window_end_ms + at.grace_ms
                && at.known.contains(&(span.shard, at.source));
        }
    }

    pub(crate) fn turned_away(&mut self, sent: Try) {
        self.requests[sent.request].tries[sent.number] = Outcome::TurnedAway;
    }

    pub(crate) fn refused(&mut self, sent: Try, by: SourceId) {
        let at = self.moment();
        self.requests[sent.request].tries[sent.number] = Outcome::Refused { by, at };
    }

    /// What the request was answered the first time.
    pub(crate) fn first_answer(&self, request: usize) -> Option<TraceAnswer> {
        self.requests[request].answer
    }

    /// How often a request was sent.
    pub(crate) fn tries(&self) -> usize {
        self.requests.iter().map(|request| request.tries.len()).sum()
    }

    /// How many requests met each fate: acked, refused, unknown.
    pub(crate) fn fates(&self) -> [usize; 3] {
        let of = |fate| self.requests.iter().filter(|one| self.fate(one) == fate).count();
        [Fate::Acked, Fate::Refused, Fate::Unknown].map(of)
    }

    /// What is there for certain.
    pub(crate) fn acked_tally(&self) -> Tally {
        let takes = |request: &Request, span: &Expected| {
            !span.is_borderline || request.takes_borderline() == Some(true)
        };
        self.tally(|request, span| {
            let (least, _) = request.may_count(self.fate(request));
            if takes(request, span) { least } else { 0 }
        })
    }

    /// What may be there at most.
    pub(crate) fn greatest_tally(&self) -> &Tally {
        &self.greatest
    }

    /// What a shard must hold once it says that it is complete up to a time.
    pub(crate) fn covered_tally(&self, shard: ShardId, complete_to_ms: i64) -> Tally {
        self.tally(|_, span| {
            let is_covered =
                span.is_covered && span.shard == shard && span.cell.window_end_ms <= complete_to_ms;
            u64::from(is_covered)
        })
    }

    /// What is there exactly, where `found` tells what the clients cannot know: which of the unknown
    /// requests came through, and how often one that may have been forgotten.
    pub(crate) fn exact_tally(&self, found: &Tally) -> Tally {
        let there = found.by_series();
        let found = |series: &Arc<Series>| there.get(series).copied().unwrap_or(0);
        self.tally(|request, span| {
            let (least, most) = request.may_count(self.fate(request));
            let counts = found(&request.marker).clamp(least, most);
            let takes_borderline = || {
                let seen = || request.borderline.as_ref().is_some_and(|series| found(series) > 0);
                request.takes_borderline().unwrap_or_else(seen)
            };
            if !span.is_borderline || takes_borderline() { counts } else { 0 }
        })
    }

    /// The groups that stand for one request each, with its fate and how often it was sent and may count.
    pub(crate) fn markers(&self) -> impl Iterator<Item = Marker<'_>> {
        self.requests.iter().map(|request| {
            let fate = self.fate(request);
            let (least, most) = request.may_count(fate);
            let tries = request.tries.len();
            Marker { series: &request.marker, fate, tries, least, most }
        })
    }

    fn fate(&self, request: &Request) -> Fate {
        request.fate(&self.written)
    }

    fn moment(&mut self) -> Moment {
        self.now.0 += 1;
        self.now
    }

    fn may_count_once_more(&mut self, request: usize) {
        for span in &self.requests[request].spans {
            self.greatest.add(span.cell.clone(), &span.sum, 1);
        }
    }

    /// Each span as often as `times` says.
    fn tally(&self, times: impl Fn(&Request, &Expected) -> u64) -> Tally {
        let mut tally = Tally::default();
        for request in &self.requests {
            for span in &request.spans {
                tally.add(span.cell.clone(), &span.sum, times(request, span));
            }
        }
        tally
    }
}

/// The span that tells how often its request counts.
pub(crate) struct Marker<'a> {
    pub(crate) series: &'a Arc<Series>,
    pub(crate) fate: Fate,
    /// How often the request was sent.
    pub(crate) tries: usize,
    pub(crate) least: u64,
    pub(crate) most: u64,
}
