//! What one shard holds and what it answers, as a person with a notebook would say.

use std::collections::BTreeMap;

use tributary_proto::{Answer, Digest, Entry, Seq, SourceId};

use super::plain::Plain;
use crate::history::edges::Offer;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) plain: Plain,
    sources: BTreeMap<SourceId, Source>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Source {
    /// Of every slice that counts.
    digests: Vec<Digest>,
    promised_ms: Option<i64>,
    is_closed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// It counts, and the answer is `Applied`.
    Taken,
    Answered(Answer),
    Malformed,
}

/// What is complete, and each live source's promise.
pub(crate) type Completeness = (Option<i64>, Vec<(SourceId, i64)>);

impl State {
    pub(crate) fn expect(&self, offer: &Offer) -> Expected {
        use Answer::{Closed, Duplicate, Forked, Resend};
        let unheard = Source::default();
        let source = self.sources.get(&offer.entry.source()).unwrap_or(&unheard);
        let last = source.digests.len() as u64;
        let answer = match &offer.entry {
            Entry::Close { .. } if source.is_closed => Duplicate,
            _ if source.is_closed => Closed,
            Entry::Sealed { after: seq, .. } | Entry::Close { last: seq, .. } if seq.0 > last => {
                Resend(Seq(last + 1))
            }
            Entry::Sealed { after: seq, .. } if seq.0 < last => Duplicate,
            Entry::Close { last: seq, .. } if seq.0 < last => Forked,
            Entry::Slice(slice) if slice.seq.0 > last + 1 => Resend(Seq(last + 1)),
            Entry::Slice(slice) if slice.seq.0 <= last => {
                let counted = source.digests[slice.seq.0 as usize - 1];
                if counted == slice.digest { Duplicate } else { Forked }
            }
            _ if !offer.is_sound => return Expected::Malformed,
            _ => return Expected::Taken,
        };
        Expected::Answered(answer)
    }

    /// Only what is expected to be taken.
    pub(crate) fn take(&mut self, offer: &Offer) {
        let source = self.sources.entry(offer.entry.source()).or_default();
        let promised_ms = match &offer.entry {
            Entry::Slice(slice) => {
                source.digests.push(slice.digest);
                Some(slice.sealed_to_ms)
            }
            Entry::Sealed { sealed_to_ms, .. } => Some(*sealed_to_ms),
            Entry::Close { .. } => {
                source.is_closed = true;
                None
            }
        };
        source.promised_ms = source.promised_ms.max(promised_ms);
        self.plain.add(&offer.says);
    }

    pub(crate) fn knows(&self, source: SourceId) -> bool {
        self.sources.contains_key(&source)
    }

    pub(crate) fn completeness(&self) -> Completeness {
        let live = self.sources.iter().filter(|(_, source)| !source.is_closed);
        let live: Vec<_> =
            live.map(|(id, source)| (*id, source.promised_ms.unwrap_or(i64::MIN))).collect();
        let slowest = live.iter().map(|(_, promised_ms)| *promised_ms).min();
        let furthest = self.sources.values().filter_map(|source| source.promised_ms).max();
        (slowest.or(furthest), live)
    }
}
