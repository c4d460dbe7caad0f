//! Two stores that are fed one sequence of entries, in other batches, with other restarts, on other disks perhaps.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tributary_proto::{Answer, OfferError, ShardId};

use crate::history::edges::{Edges, Offer};
use crate::history::{History, Step};
use crate::names::{Names, SHARDS};
use crate::oracle::state::{Expected, State};
use crate::questions::Question;
use crate::run::Verdict;
use crate::send::{Progress, offer_all};
use crate::subject::{Ground, Subject};
use crate::tally::Tally;

/// When a store gets how much, and when it starts again. What is answered does not depend on it.
struct Schedule {
    most_at_once: usize,
    /// Once in so many batches.
    restart: u32,
    /// Once in so many batches.
    checkpoint: u32,
    head_bytes: usize,
    applied_bytes: usize,
}

const ONE_BY_ONE: Schedule = Schedule {
    most_at_once: 1,
    restart: 200,
    checkpoint: 100,
    head_bytes: 0,
    applied_bytes: 256 << 10,
};
const IN_BULK: Schedule = Schedule {
    most_at_once: 60,
    restart: 8,
    checkpoint: 20,
    head_bytes: 64 << 10,
    applied_bytes: 2 << 10,
};

/// An offer, and its answer.
type Fed = (Offer, Expected);

pub(crate) async fn run(history: &History, second: Ground, names: &Names) -> Result<Tally, String> {
    let entries = entries(history, names);
    let mut rng = StdRng::seed_from_u64(history.seed);
    let mut states = vec![State::default(); SHARDS];
    let first = Ground::Twin(tributary_store::disk::memory::MemoryDisk::new());
    let mut stores =
        [(ONE_BY_ONE, open(first, &ONE_BY_ONE).await?), (IN_BULK, open(second, &IN_BULK).await?)];
    let mut tally = Tally { histories: 1, ..Tally::default() };
    let mut rest = entries.as_slice();
    while !rest.is_empty() {
        let (part, later) = rest.split_at(rng.gen_range(1..=rest.len()));
        rest = later;
        for (offer, expected) in part {
            if *expected == Expected::Taken {
                states[offer.shard].take(offer);
            }
        }
        for (schedule, store) in &mut stores {
            feed(store, schedule, part, &mut rng, &mut tally).await?;
        }
        let [(_, one), (_, other)] = &stores;
        compare(one, other, &states, names, &mut rng, &mut tally).await?;
    }
    for (_, store) in &mut stores {
        store.end().await;
        tally.commits += store.counted.commits;
        tally.checkpoints += store.counted.checkpoints;
        tally.compactions += store.counted.compactions;
    }
    Ok(tally)
}

async fn open(ground: Ground, schedule: &Schedule) -> Result<Subject, String> {
    Subject::open(ground, schedule.head_bytes, schedule.applied_bytes).await
}

/// What a history comes to where nothing goes wrong.
fn entries(history: &History, names: &Names) -> Vec<Fed> {
    let mut edges = Edges::default();
    let mut states = vec![State::default(); SHARDS];
    let mut entries = Vec::new();
    for drawn in &history.steps {
        let (Step::Say { said, .. } | Step::CrashDuring { said, .. }) = &drawn.step else {
            continue;
        };
        for said in said {
            for offer in edges.resolve(said, names, false) {
                let expected = states[offer.shard].expect(&offer);
                if expected == Expected::Taken {
                    states[offer.shard].take(&offer);
                }
                edges.heard(&offer, &answer(expected, &offer));
                entries.push((offer, expected));
            }
            edges.settle();
        }
    }
    entries
}

fn answer(expected: Expected, offer: &Offer) -> Result<Answer, OfferError> {
    let shard = ShardId(offer.shard as u16);
    match expected {
        Expected::Taken => Ok(Answer::Applied),
        Expected::Answered(answer) => Ok(answer),
        Expected::Malformed => Err(OfferError::Malformed { shard, reason: String::new() }),
    }
}

async fn feed(
    store: &mut Subject,
    schedule: &Schedule,
    mut part: &[Fed],
    rng: &mut StdRng,
    tally: &mut Tally,
) -> Verdict {
    while !part.is_empty() {
        let many = rng.gen_range(1..=schedule.most_at_once).min(part.len());
        let (batch, later) = part.split_at(many);
        part = later;
        let offers = batch.iter().map(|(offer, _)| offer.clone()).collect();
        let answered = offer_all(store, offers, &Progress::default()).await;
        for ((offer, told), (_, expected)) in answered.iter().zip(batch) {
            let is_malformed = matches!(told, Err(OfferError::Malformed { .. }));
            let as_expected = match expected {
                Expected::Malformed => is_malformed,
                expected => *told == answer(*expected, offer),
            };
            if !as_expected {
                return Err(format!("{offer} was answered {told:?}, and expected is {expected:?}"));
            }
        }
        tally.offers += batch.len() as u64;
        if rng.gen_ratio(1, schedule.checkpoint) {
            store.checkpoint().await.map_err(|error| error.to_string())?;
        }
        if rng.gen_ratio(1, schedule.restart) {
            store.restart().await?;
            tally.restarts += 1;
        }
    }
    Ok(())
}

async fn compare(
    one: &Subject,
    other: &Subject,
    states: &[State],
    names: &Names,
    rng: &mut StdRng,
    tally: &mut Tally,
) -> Verdict {
    for (shard, state) in states.iter().enumerate() {
        let views = [one.view(shard), other.view(shard)];
        let drawn: Vec<_> = (0..4).map(|_| Question::draw(rng, state)).collect();
        for question in drawn.into_iter().chain([Question::Everything]) {
            let expected = question.expected(state);
            for (number, view) in (1..).zip(&views) {
                tally.questions += 1;
                let told = question.ask(view, shard, names).await?;
                if told != expected {
                    let wrong = expected.against(&told);
                    return Err(format!("store {number}, shard {shard}, {question}\n{wrong}"));
                }
            }
        }
        let error = |error: tributary_store::disk::DiskError| error.to_string();
        let [first, second] = &views;
        let digests = [
            first.replica_digest().await.map_err(error)?,
            second.replica_digest().await.map_err(error)?,
        ];
        if digests[0] != digests[1] {
            return Err(format!("shard {shard} has digest {} and {}", digests[0], digests[1]));
        }
    }
    Ok(())
}
