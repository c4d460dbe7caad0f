//! A core in memory that judges as a shard does, can be copied, and goes away or falls silent when told to.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tributary_edge::Shards;
use tributary_proto::{Answer, Digest, Entry, OfferError, Seq, ShardId, SourceId};
use tributary_spanmetrics::Content;

pub(crate) const SHARDS: u16 = 4;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mood {
    #[default]
    Well,
    /// It takes nothing.
    Away,
    /// It takes what is offered, and its answers are lost.
    Mute,
}

/// Spans by service and window, samples by series and time.
pub(crate) type Counted = BTreeMap<(String, i64), u64>;

#[derive(Clone, Debug, Default)]
pub(crate) struct Held {
    sources: BTreeMap<(SourceId, ShardId), Known>,
    pub(crate) counted: Counted,
}

#[derive(Clone, Debug, Default)]
struct Known {
    /// By seq, from one.
    digests: Vec<Digest>,
    closed: bool,
}

#[derive(Default)]
pub(crate) struct Core {
    held: Mutex<Held>,
    moods: Mutex<[Mood; SHARDS as usize]>,
}

/// One life's way to the core: it ends with that life, whatever was under way.
pub(crate) struct Link {
    pub(crate) core: Arc<Core>,
    pub(crate) is_up: AtomicBool,
}

impl Core {
    pub(crate) fn of(held: Held) -> Arc<Self> {
        Arc::new(Core { held: Mutex::new(held), moods: Mutex::default() })
    }

    pub(crate) fn link(self: &Arc<Self>) -> Arc<Link> {
        Arc::new(Link { core: Arc::clone(self), is_up: AtomicBool::new(true) })
    }

    pub(crate) fn held(&self) -> Held {
        self.held.lock().expect("nothing panics while it is held").clone()
    }

    pub(crate) fn set_mood(&self, shard: usize, mood: Mood) {
        self.moods.lock().expect("nothing panics while it is held")[shard] = mood;
    }

    pub(crate) fn is_closed(&self, source: SourceId) -> bool {
        let held = self.held.lock().expect("nothing panics while it is held");
        let mut shards = (0..SHARDS).map(ShardId);
        shards.all(|shard| held.sources.get(&(source, shard)).is_none_or(|known| known.closed))
    }

    pub(crate) fn sources(&self) -> Vec<SourceId> {
        let mut sources: Vec<_> = self
            .held
            .lock()
            .expect("nothing panics while it is held")
            .sources
            .keys()
            .map(|(source, _)| *source)
            .collect();
        sources.dedup();
        sources
    }
}

#[async_trait]
impl Shards for Link {
    fn count(&self) -> u16 {
        SHARDS
    }

    async fn offer(&self, shard: ShardId, entry: Entry) -> Result<Answer, OfferError> {
        tokio::task::yield_now().await;
        let away = || OfferError::Unavailable { shard, reason: "told to".into() };
        let mood =
            self.core.moods.lock().expect("nothing panics while it is held")[usize::from(shard.0)];
        if mood == Mood::Away || !self.is_up.load(Ordering::Relaxed) {
            return Err(away());
        }
        let answer =
            self.core.held.lock().expect("nothing panics while it is held").take(shard, &entry);
        if mood == Mood::Mute { Err(away()) } else { Ok(answer) }
    }
}

impl Held {
    fn take(&mut self, shard: ShardId, entry: &Entry) -> Answer {
        let known = self.sources.entry((entry.source(), shard)).or_default();
        let last = known.digests.len() as u64;
        let resend = Answer::Resend(Seq(last + 1));
        match entry {
            Entry::Close { .. } if known.closed => Answer::Duplicate,
            _ if known.closed => Answer::Closed,
            Entry::Close { last: of, .. } if of.0 > last => resend,
            Entry::Close { last: of, .. } if of.0 < last => Answer::Forked,
            Entry::Close { .. } => {
                known.closed = true;
                Answer::Applied
            }
            Entry::Sealed { after, .. } if after.0 > last => resend,
            Entry::Sealed { .. } => Answer::Applied,
            Entry::Slice(slice) if slice.seq.0 > last + 1 => resend,
            Entry::Slice(slice) if slice.seq.0 <= last => {
                match known.digests[slice.seq.0 as usize - 1] == slice.digest {
                    true => Answer::Duplicate,
                    false => Answer::Forked,
                }
            }
            Entry::Slice(slice) => {
                known.digests.push(slice.digest);
                let content = Content::decode(&slice.payload).expect("a slice can be read");
                assert_eq!(content.digest(), slice.digest.0);
                self.count(&content);
                Answer::Applied
            }
        }
    }

    fn count(&mut self, content: &Content) {
        for of_tenant in content.tenants.values() {
            let groups = of_tenant.layouts.values().flat_map(|of_layout| of_layout.groups.values());
            for group in groups {
                for (end, delta) in &group.windows {
                    let key = (group.group.service.to_string(), end.0);
                    *self.counted.entry(key).or_default() += delta.count / 1024;
                }
            }
            for series in of_tenant.samples.values() {
                for time_ms in series.points.keys() {
                    *self.counted.entry(("sample".into(), *time_ms)).or_default() += 1;
                }
            }
        }
    }
}
