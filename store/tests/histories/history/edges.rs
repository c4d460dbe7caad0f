//! Edges as shards see them: what was not answered is said again, in order, before anything new.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use tributary_proto::{Answer, Digest, Entry, OfferError, Seq, ShardId, Slice, SourceId};
use tributary_spanmetrics::Content;

use super::{Said, Word};
use crate::names::{Names, SHARDS, source};
use crate::oracle::plain::Plain;
use crate::wire;

/// While a disk is ill an edge says again no more than this at a time: each may count or not.
const CAREFUL: usize = 2;

/// An entry, and what it says in plain integers.
#[derive(Clone, Debug)]
pub(crate) struct Offer {
    pub(crate) shard: usize,
    pub(crate) entry: Entry,
    pub(crate) says: Arc<Plain>,
    /// Whether a shard takes it where its turn has come.
    pub(crate) is_sound: bool,
}

#[derive(Default)]
pub(crate) struct Edges {
    /// By shard and edge.
    all: BTreeMap<(usize, usize), Edge>,
}

#[derive(Default)]
struct Edge {
    boot: u64,
    is_closed: bool,
    /// Every slice of this boot.
    made: Vec<Offer>,
    /// How many of them were answered, and how many were sent in this step.
    answered: usize,
    sent: usize,
}

impl Edges {
    pub(crate) fn resolve(&mut self, said: &Said, names: &Names, is_careful: bool) -> Vec<Offer> {
        let edge = self.all.entry((said.shard, said.edge)).or_default();
        if edge.is_closed && matches!(said.word, Word::Slice { .. } | Word::Promise { .. }) {
            *edge = Edge { boot: edge.boot + 1, ..Edge::default() };
        }
        let mut offers = Vec::new();
        if matches!(said.word, Word::Slice { .. } | Word::Promise { .. } | Word::Close) {
            offers = edge.waiting(if is_careful { CAREFUL } else { usize::MAX });
            if is_careful && !offers.is_empty() {
                return offers;
            }
        }
        offers.extend(edge.speak(said, names));
        offers
    }

    /// What every edge still has to be answered.
    pub(crate) fn rest(&mut self, is_careful: bool) -> Vec<Offer> {
        let most = if is_careful { CAREFUL } else { usize::MAX };
        self.all.values_mut().flat_map(|edge| edge.waiting(most)).collect()
    }

    pub(crate) fn heard(&mut self, offer: &Offer, answer: &Result<Answer, OfferError>) {
        let number = usize::from(offer.entry.source().edge.0[0]);
        let Some(edge) = self.all.get_mut(&(offer.shard, number)) else { return };
        // Not what is answered to an earlier life.
        if source(number, edge.boot) == offer.entry.source()
            && let Ok(answer) = answer
        {
            edge.heard(offer, *answer);
        }
    }

    /// Every answer of a step has come.
    pub(crate) fn settle(&mut self) {
        self.all.values_mut().for_each(|edge| edge.sent = 0);
    }
}

impl Edge {
    fn waiting(&mut self, most: usize) -> Vec<Offer> {
        let from = self.sent.max(self.answered);
        let waiting: Vec<_> = self.made[from..].iter().take(most).cloned().collect();
        self.sent = from + waiting.len();
        waiting
    }

    fn heard(&mut self, offer: &Offer, answer: Answer) {
        let is_done = matches!(answer, Answer::Applied | Answer::Duplicate);
        match &offer.entry {
            _ if answer == Answer::Closed => self.is_closed = true,
            Entry::Close { .. } => self.is_closed |= is_done,
            Entry::Slice(slice) if is_done => {
                self.answered = self.answered.max(slice.seq.0 as usize);
            }
            _ => {}
        }
    }

    fn speak(&mut self, said: &Said, names: &Names) -> Option<Offer> {
        let source = source(said.edge, self.boot);
        let made = self.made.len() as u64;
        let counted = |back: &u64| (self.answered as u64).checked_sub(*back).filter(|seq| *seq > 0);
        let slice = |seq, says: &Plain| Offer::slice(source, said.shard, seq, says, names);
        let entry = match &said.word {
            Word::Slice { says, promise_ms } => {
                let mut offer = slice(made + 1, says);
                offer.change(|slice| slice.sealed_to_ms = *promise_ms);
                self.made.push(offer.clone());
                self.sent = self.made.len();
                return Some(offer);
            }
            Word::Repeat { back } => return Some(self.made[counted(back)? as usize - 1].clone()),
            Word::Fork { back, says } => return Some(slice(counted(back)?, says)),
            Word::Gap { ahead, says } => return Some(slice(made + 1 + ahead, says)),
            Word::WrongDigest { says } => {
                return Some(slice(made + 1, says).spoiled(|slice| slice.digest.0 ^= 1));
            }
            Word::Stray { says, strays } => {
                let mut content = Content::default();
                wire::add(&mut content, names, said.shard, says);
                wire::add(&mut content, names, (said.shard + 1) % SHARDS, strays);
                let sent = |slice: &mut Slice| {
                    slice.digest = Digest(content.digest());
                    slice.payload = Bytes::from(content.encode());
                };
                return Some(slice(made + 1, says).spoiled(sent));
            }
            Word::WrongShard { says } => {
                let other = ShardId(((said.shard + 1) % SHARDS) as u16);
                return Some(slice(made + 1, says).spoiled(|slice| slice.shard = other));
            }
            Word::Garbage { bytes } => {
                let payload = Bytes::copy_from_slice(bytes);
                let offer = slice(made + 1, &Plain::default());
                return Some(offer.spoiled(|slice| slice.payload = payload));
            }
            Word::Promise { promise_ms } => sealed(source, made, *promise_ms),
            Word::OldPromise { back, promise_ms } => {
                sealed(source, made.saturating_sub(*back), *promise_ms)
            }
            Word::EarlyPromise { ahead, promise_ms } => sealed(source, made + ahead, *promise_ms),
            Word::Close => Entry::Close { source, last: Seq(made) },
            Word::WrongClose { last } => {
                Entry::Close { source, last: Seq(made.saturating_add_signed(*last)) }
            }
        };
        Some(Offer { shard: said.shard, entry, says: Arc::default(), is_sound: true })
    }
}

impl Offer {
    pub(crate) fn slice(
        source: SourceId,
        shard: usize,
        seq: u64,
        says: &Plain,
        names: &Names,
    ) -> Self {
        let mut content = Content::default();
        wire::add(&mut content, names, shard, says);
        let entry = Entry::Slice(Slice {
            source,
            shard: ShardId(shard as u16),
            seq: Seq(seq),
            digest: Digest(content.digest()),
            sealed_to_ms: 0,
            payload: Bytes::from(content.encode()),
        });
        Offer { shard, entry, says: Arc::new(says.clone()), is_sound: true }
    }

    fn change(&mut self, change: impl FnOnce(&mut Slice)) {
        if let Entry::Slice(slice) = &mut self.entry {
            change(slice);
        }
    }

    /// Nothing of it may ever count.
    fn spoiled(mut self, spoil: impl FnOnce(&mut Slice)) -> Self {
        self.change(spoil);
        Offer { is_sound: false, says: Arc::default(), ..self }
    }
}

fn sealed(source: SourceId, after: u64, sealed_to_ms: i64) -> Entry {
    Entry::Sealed { source, after: Seq(after), sealed_to_ms }
}

impl fmt::Display for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match &self.entry {
            Entry::Sealed { after, .. } => format!("a promise after {after}"),
            Entry::Close { last, .. } => format!("the end after {last}"),
            Entry::Slice(slice) => format!("slice {}", slice.seq),
        };
        let number = self.entry.source().edge.0[0];
        write!(f, "{what} of edge {number} to shard {}", self.shard)
    }
}
