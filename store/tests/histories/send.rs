//! Offers on their way, and whoever looks meanwhile.

use std::cell::Cell;

use futures::future::join_all;
use rand::Rng;
use rand::rngs::StdRng;
use tokio::task::{unconstrained, yield_now};
use tributary_proto::{Answer, OfferError};

use crate::history::edges::{Edges, Offer};
use crate::history::{Pace, Said};
use crate::names::{Names, SHARDS};
use crate::oracle::state::State;
use crate::questions::{Asked, Question};
use crate::subject::Subject;

/// While a disk is ill, more would leave too much in doubt.
const CAREFUL: usize = 4;
const GLIMPSES: usize = 4;

pub(crate) type Answered = (Offer, Result<Answer, OfferError>);

/// Seen while offers were on their way, when at least so many of those to the shard were answered.
pub(crate) struct Glimpse {
    pub(crate) shard: usize,
    pub(crate) answered: usize,
    pub(crate) question: Question,
    pub(crate) told: Asked,
}

#[derive(Default)]
pub(crate) struct Progress {
    answered: [Cell<usize>; SHARDS],
    is_over: Cell<bool>,
}

/// All that `said` comes to, with the answers, in the order that each shard gets them.
pub(crate) async fn send(
    subject: &Subject,
    edges: &mut Edges,
    names: &Names,
    said: &[Said],
    (pace, is_careful): (Pace, bool),
    progress: &Progress,
) -> Vec<Answered> {
    let said = if is_careful { &said[..said.len().min(CAREFUL)] } else { said };
    let at_a_time = if pace == Pace::AtOnce { said.len().max(1) } else { 1 };
    let mut answered = Vec::new();
    for said in said.chunks(at_a_time) {
        let resolve = |said| edges.resolve(said, names, is_careful);
        let offers: Vec<_> = said.iter().flat_map(resolve).collect();
        if pace == Pace::AtOnce {
            answered.extend(offer_all(subject, offers, progress).await);
        } else {
            for offer in offers {
                answered.extend(offer_all(subject, vec![offer], progress).await);
            }
        }
        answered.iter().for_each(|(offer, answer)| edges.heard(offer, answer));
        edges.settle();
    }
    progress.is_over.set(true);
    answered
}

pub(crate) async fn offer_all(
    subject: &Subject,
    offers: Vec<Offer>,
    progress: &Progress,
) -> Vec<Answered> {
    let offer = |offer: Offer| async {
        // Or the runtime would let others go first now and then.
        let answer = unconstrained(subject.offer(&offer)).await;
        let answered = &progress.answered[offer.shard];
        answered.set(answered.get() + 1);
        (offer, answer)
    };
    join_all(offers.into_iter().map(offer)).await
}

/// Asks until all is answered. `states`: what each shard held before, to draw questions from.
pub(crate) async fn watch(
    subject: &Subject,
    names: &Names,
    states: &[State],
    rng: &mut StdRng,
    progress: &Progress,
) -> Vec<Glimpse> {
    let mut glimpses = Vec::new();
    while !progress.is_over.get() && glimpses.len() < GLIMPSES {
        for _ in 0..rng.gen_range(0..30) {
            yield_now().await;
        }
        let shard = rng.gen_range(0..SHARDS);
        let is_all = rng.gen_ratio(1, 2);
        let question =
            if is_all { Question::Everything } else { Question::draw(rng, &states[shard]) };
        let answered = progress.answered[shard].get();
        let view = subject.view(shard);
        let told = question.ask(&view, shard, names).await;
        glimpses.push(Glimpse { shard, answered, question, told });
    }
    glimpses
}
