//! What was seen of nodes and on the wire: all that shards ever answered, which they may not take back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use tributary_proto::{Answer, Entry, OfferError, Seq, ShardId, Slice, SourceId};
use tributary_spanmetrics::Content;
use tributary_store::StoreHandle;

use super::{Violation, closed_stays_closed, never_forked};
use crate::oracle::Tally;
use crate::trace::Trace;

#[derive(Clone)]
pub(crate) struct Observed {
    trace: Trace,
    /// Edges may hear of what they no longer know.
    is_damaged: bool,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    /// Sources that a shard has said it knows.
    known: BTreeSet<(ShardId, SourceId)>,
    closed: BTreeSet<(ShardId, SourceId)>,
    counted: BTreeSet<(ShardId, SourceId, Seq)>,
    /// What the slices held that a shard has acked.
    acked: BTreeMap<ShardId, Tally>,
    violation: Option<Violation>,
    /// An edge has said at a start that it lost records.
    damage_told: bool,
}

impl Observed {
    pub(crate) fn new(trace: Trace, is_damaged: bool) -> Self {
        Observed { trace, is_damaged, inner: Arc::default() }
    }

    /// Offers an entry to a shard and keeps in mind what it answered.
    pub(crate) async fn offer(
        &self,
        store: &StoreHandle,
        shard: ShardId,
        entry: Entry,
    ) -> Result<Answer, OfferError> {
        let was_closed = self.locked().closed.contains(&(shard, entry.source()));
        let answer = store.offer(shard, entry.clone()).await;
        self.trace.event(format_args!(
            "shard {shard}: {} -> {}",
            brief(&entry),
            brief_answer(&answer)
        ));
        let forked = match self.is_damaged {
            true => Ok(()),
            false => never_forked::judge(shard, &entry, &answer),
        };
        let judged =
            forked.and_then(|()| closed_stays_closed::judge(was_closed, shard, &entry, &answer));
        let mut inner = self.locked();
        if let Err(violation) = judged {
            inner.violation.get_or_insert(violation);
        }
        if matches!(answer, Ok(Answer::Applied | Answer::Duplicate)) {
            inner.took(shard, &entry);
        }
        answer
    }

    pub(crate) fn known(&self) -> BTreeSet<(ShardId, SourceId)> {
        self.locked().known.clone()
    }

    pub(crate) fn closed(&self) -> BTreeSet<(ShardId, SourceId)> {
        self.locked().closed.clone()
    }

    pub(crate) fn acked(&self) -> BTreeMap<ShardId, Tally> {
        self.locked().acked.clone()
    }

    pub(crate) fn report(&self, violation: Violation) {
        self.locked().violation.get_or_insert(violation);
    }

    pub(crate) fn tell_damage(&self) {
        self.locked().damage_told = true;
    }

    /// Whether acked spans may be missing.
    pub(crate) fn is_damage_told(&self) -> bool {
        self.locked().damage_told
    }

    /// The first thing that was seen and should not have been.
    pub(crate) fn check(&self) -> Result<(), Violation> {
        self.locked().violation.clone().map_or(Ok(()), Err)
    }

    fn locked(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("nothing panics while it is held")
    }
}

impl Inner {
    fn took(&mut self, shard: ShardId, entry: &Entry) {
        let source = entry.source();
        self.known.insert((shard, source));
        match entry {
            Entry::Sealed { .. } => {}
            Entry::Close { .. } => {
                self.closed.insert((shard, source));
            }
            Entry::Slice(Slice { seq, payload, .. }) => {
                if self.counted.insert((shard, source, *seq)) {
                    let content = Content::decode(payload).expect("the shard could read it");
                    self.acked.entry(shard).or_default().add_content(&content);
                }
            }
        }
    }
}

fn brief(entry: &Entry) -> String {
    let source = entry.source();
    match entry {
        Entry::Sealed { after, sealed_to_ms, .. } => {
            format!("{source} sealed to {sealed_to_ms} after {after}")
        }
        Entry::Slice(slice) => {
            format!("{source} slice {} of {} to {}", slice.seq, slice.digest, slice.sealed_to_ms)
        }
        Entry::Close { last, .. } => format!("{source} close at {last}"),
    }
}

fn brief_answer(answer: &Result<Answer, OfferError>) -> String {
    match answer {
        Ok(answer) => format!("{answer:?}"),
        Err(error) => error.to_string(),
    }
}
