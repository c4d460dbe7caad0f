//! What a shard knows of the sources that speak to it, and what it answers them.
//!
//! A slice counts when its seq is the next one of its source; one that was counted is recognised by its
//! digest. Completeness is what every live source promises: until when its windows are sealed and
//! here. No clock moves it, and only the source's own `Close` ends it.

use std::collections::BTreeMap;
use std::sync::Arc;

use tributary_proto::{Answer, Digest, Entry, Seq, SourceId};

use crate::family::commit::{DIGESTS_KEPT, SourceState};

#[derive(Clone, Debug, Default)]
pub(crate) struct Sources {
    known: BTreeMap<SourceId, SourceState>,
}

/// What an entry does, decided before anything is changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The source's state afterwards; the entry's payload, if any, counts.
    Take(SourceState),
    Answer(Answer),
}

/// Until when a shard holds everything, and who says so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Completeness {
    /// `None` while no source was ever heard.
    pub complete_to_ms: Option<i64>,
    /// Each live source's promise.
    pub live: Arc<[(SourceId, i64)]>,
}

impl Sources {
    pub(crate) fn insert(&mut self, source: SourceId, state: SourceState) {
        self.known.insert(source, state);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&SourceId, &SourceState)> {
        self.known.iter()
    }

    pub(crate) fn get(&self, source: SourceId) -> Option<&SourceState> {
        self.known.get(&source)
    }

    pub(crate) fn completeness(&self) -> Completeness {
        let live: Arc<[_]> = self
            .known
            .iter()
            .filter(|(_, state)| !state.closed)
            .map(|(source, state)| (*source, state.sealed_to_ms))
            .collect();
        let slowest_live = live.iter().map(|(_, sealed_to_ms)| *sealed_to_ms).min();
        // A source that was closed before it promised anything says nothing.
        let promised = |sealed_to_ms: &i64| *sealed_to_ms > i64::MIN;
        let closed = self.known.values().map(|state| state.sealed_to_ms);
        let furthest_closed = || closed.filter(promised).max();
        Completeness { complete_to_ms: slowest_live.or_else(furthest_closed), live }
    }
}

/// `known`: the source's state, if it was ever heard.
pub(crate) fn judge(known: Option<&SourceState>, entry: &Entry) -> Verdict {
    let fresh = SourceState { sealed_to_ms: i64::MIN, ..SourceState::default() };
    let state = known.unwrap_or(&fresh);
    let resend = Verdict::Answer(Answer::Resend(state.last.next()));
    match entry {
        Entry::Close { .. } if state.closed => Verdict::Answer(Answer::Duplicate),
        _ if state.closed => Verdict::Answer(Answer::Closed),
        Entry::Sealed { after, .. } | Entry::Close { last: after, .. } if *after > state.last => {
            resend
        }
        Entry::Close { last, .. } if *last < state.last => Verdict::Answer(Answer::Forked),
        Entry::Close { .. } => Verdict::Take(SourceState {
            closed: true,
            digests: Default::default(),
            ..state.clone()
        }),
        // Overtaken by a later slice, which carried a promise of its own.
        Entry::Sealed { after, .. } if *after < state.last => Verdict::Answer(Answer::Duplicate),
        Entry::Sealed { sealed_to_ms, .. } => {
            let sealed_to_ms = state.sealed_to_ms.max(*sealed_to_ms);
            Verdict::Take(SourceState { sealed_to_ms, ..state.clone() })
        }
        Entry::Slice(slice) if slice.seq > state.last.next() => resend,
        Entry::Slice(slice) if slice.seq <= state.last => {
            Verdict::Answer(repeated(state, slice.seq, slice.digest))
        }
        Entry::Slice(slice) => {
            let mut next = state.clone();
            next.last = slice.seq;
            next.sealed_to_ms = state.sealed_to_ms.max(slice.sealed_to_ms);
            next.digests.push_back(slice.digest);
            if next.digests.len() > DIGESTS_KEPT {
                next.digests.pop_front();
            }
            Verdict::Take(next)
        }
    }
}

fn repeated(state: &SourceState, seq: Seq, digest: Digest) -> Answer {
    let back = (state.last.0 - seq.0) as usize;
    match state.digests.iter().nth_back(back) {
        Some(known) if *known == digest => Answer::Duplicate,
        _ => Answer::Forked,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use tributary_proto::{BootId, EdgeId, ShardId, Slice};

    fn source(boot: u8) -> SourceId {
        SourceId { edge: EdgeId([1; 16]), boot: BootId([boot; 8]) }
    }

    fn slice(seq: u64, digest: u128, sealed_to_ms: i64) -> Entry {
        Entry::Slice(Slice {
            source: source(1),
            shard: ShardId(0),
            seq: Seq(seq),
            digest: Digest(digest),
            sealed_to_ms,
            payload: Bytes::new(),
        })
    }

    fn sealed(after: u64, sealed_to_ms: i64) -> Entry {
        Entry::Sealed { source: source(1), after: Seq(after), sealed_to_ms }
    }

    fn close(last: u64) -> Entry {
        Entry::Close { source: source(1), last: Seq(last) }
    }

    /// Applies and answers as a shard does.
    fn offer(state: &mut Option<SourceState>, entry: &Entry) -> Answer {
        match judge(state.as_ref(), entry) {
            Verdict::Take(next) => {
                *state = Some(next);
                Answer::Applied
            }
            Verdict::Answer(answer) => answer,
        }
    }

    #[test]
    fn a_source_from_its_first_word_to_its_last() {
        let mut state = None;
        let script = [
            (sealed(0, 10), Answer::Applied),
            (slice(2, 22, 20), Answer::Resend(Seq(1))),
            (slice(1, 11, 20), Answer::Applied),
            (slice(1, 11, 20), Answer::Duplicate),
            (slice(1, 12, 20), Answer::Forked),
            (sealed(0, 99), Answer::Duplicate),
            (sealed(2, 99), Answer::Resend(Seq(2))),
            (slice(2, 22, 15), Answer::Applied),
            (slice(1, 11, 20), Answer::Duplicate),
            (close(3), Answer::Resend(Seq(3))),
            (close(1), Answer::Forked),
            (close(2), Answer::Applied),
            (close(2), Answer::Duplicate),
            (slice(2, 22, 20), Answer::Closed),
            (slice(3, 33, 20), Answer::Closed),
            (sealed(2, 99), Answer::Closed),
        ];
        for (step, (entry, answer)) in script.iter().enumerate() {
            assert_eq!(offer(&mut state, entry), *answer, "step {step}: {entry:?}");
        }
        assert_eq!(state.expect("known").sealed_to_ms, 20);
    }

    #[test]
    fn a_repeat_beyond_memory_is_a_fork() {
        let mut state = None;
        let last = DIGESTS_KEPT as u64 + 1;
        for seq in 1..=last {
            assert_eq!(offer(&mut state, &slice(seq, seq.into(), 0)), Answer::Applied);
        }
        assert_eq!(offer(&mut state, &slice(2, 2, 0)), Answer::Duplicate);
        assert_eq!(offer(&mut state, &slice(1, 1, 0)), Answer::Forked);
    }

    #[test]
    fn completeness_is_the_slowest_live_source_and_outlives_the_last() {
        let mut sources = Sources::default();
        assert_eq!(sources.completeness().complete_to_ms, None);
        let live = |sealed_to_ms| SourceState { sealed_to_ms, ..SourceState::default() };
        sources.insert(source(1), live(30));
        sources.insert(source(2), live(20));
        assert_eq!(sources.completeness().complete_to_ms, Some(20));
        sources.insert(source(2), SourceState { closed: true, ..live(20) });
        assert_eq!(sources.completeness().complete_to_ms, Some(30));
        sources.insert(source(1), SourceState { closed: true, ..live(30) });
        assert_eq!(sources.completeness().complete_to_ms, Some(30));
        assert!(sources.completeness().live.is_empty());
    }
}
