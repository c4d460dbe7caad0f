//! Damage to a journal that an edge wrote, at each of its records in turn and over stretches of them: the
//! edge starts, goes on, and brings to the core what is left, each span once.
//!
//! `DAMAGE_SEED` makes other journals of it.

mod core;
mod journal;
mod life;

use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::time::sleep;
use tributary_proto::SourceId;

use core::Counted;
use journal::{Found, Harm, Kind, harm_header, records};
use life::{Acked, Left, World, lived, paused};

/// A damaged journal, and what may be missing behind it.
struct Case {
    name: String,
    left: Left,
    /// What stood in the journal before.
    records: Rc<[Found]>,
    /// Those of it that were harmed.
    harmed: Vec<Found>,
    /// The next start dies as well, after some steps with a core that comes and goes.
    dies_again: Option<u64>,
}

/// What became of it.
#[derive(Debug)]
struct Outcome {
    /// What the start said of the journal.
    records_damaged: u64,
    known_otherwise: u64,
    acked: Vec<Acked>,
    held: Counted,
    set_apart: Vec<String>,
}

impl Case {
    fn new(left: &Left, records: &Rc<[Found]>, harmed: &[Found], how: Harm, seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let (mut left, records, harmed) = (left.clone(), records.clone(), harmed.to_vec());
        harmed.iter().for_each(|record| record.harm(&mut left.folder, how, &mut rng));
        let kinds: Vec<_> = harmed.iter().map(|record| (record.index, record.kind)).collect();
        let name = format!("seed {seed}, {how:?} of {kinds:?}");
        Case { name, left, records, harmed, dies_again: None }
    }

    fn run(&self) -> Outcome {
        paused(async {
            let mut world = World::of(&self.left).await;
            let mut records_damaged = None;
            if let Some(seed) = self.dies_again {
                let mut rng = StdRng::seed_from_u64(seed);
                let life = world.open().await;
                records_damaged = Some(life.edge.metrics().journal_records_damaged.get());
                let steps = rng.gen_range(1..20);
                world.live(&life, steps, &mut rng).await;
                world.kill(life);
            }
            let life = world.open().await;
            let metrics = life.edge.metrics().clone();
            let records_damaged =
                records_damaged.unwrap_or_else(|| metrics.journal_records_damaged.get());
            world.live(&life, 15, &mut StdRng::seed_from_u64(99)).await;
            world.comfort();
            let mut old = world.core.sources();
            old.retain(|source| *source != life.source && self.still_names(*source));
            for second in 0.. {
                sleep(Duration::from_secs(1)).await;
                let open: Vec<_> = old.iter().filter(|of| !world.core.is_closed(**of)).collect();
                if second > 60 && open.is_empty() && metrics.unsettled_seals.get() == 0 {
                    break;
                }
                let (refused, unsettled) =
                    (metrics.slices_refused.get(), metrics.unsettled_seals.get());
                assert!(
                    second < 400,
                    "{}: does not drain: open {open:?}, refused {refused}, unsettled {unsettled}",
                    self.name
                );
            }
            Outcome {
                records_damaged,
                known_otherwise: metrics.slices_known_otherwise.get(),
                acked: world.acked.clone(),
                held: world.core.held().counted,
                set_apart: world.set_apart().await,
            }
        })
    }

    /// Whether a record that is left has the source's name.
    fn still_names(&self, source: SourceId) -> bool {
        let of_source = |record: &Found| record.source == Some(source);
        let is_left = |of: &Found| self.harmed.iter().all(|harmed| harmed.index != of.index);
        self.harmed.len() == 1 || self.records.iter().any(|of| of_source(of) && is_left(of))
    }

    /// Nothing counts twice.
    fn check(&self) -> Outcome {
        let outcome = self.run();
        let acked = sum(outcome.acked.iter());
        for (key, held) in &outcome.held {
            let acked = acked.get(key).copied().unwrap_or_default();
            assert!(*held <= acked, "{}: {key:?} holds {held} of {acked} acked", self.name);
        }
        outcome
    }

    /// And nothing is missing but what the harmed records held. Answers what is.
    fn check_strictly(&self) -> (Outcome, u64) {
        let outcome = self.check();
        if outcome.records_damaged == 0 && !self.harmed.is_empty() {
            let last = self.records.last().expect("a journal").index;
            let first = self.harmed.iter().map(|record| record.index).min().expect("some");
            let most = 6 + self.harmed.len() as u64;
            assert!(last - first < most, "{}: not told, and not the end", self.name);
            // A seal that was cut may have been counted in part: then what was open goes with it.
            if self.records.iter().any(|of| of.index >= first && of.kind == Kind::Seal) {
                return (outcome, 0);
            }
        }
        let acked = sum(outcome.acked.iter());
        let is_cut = outcome.records_damaged == 0;
        let may_be_lost = |acked: &&Acked| match is_cut {
            true => self.may_be_cut(acked),
            false => self.may_be_lost(acked),
        };
        let lost = sum(outcome.acked.iter().filter(may_be_lost));
        let mut missing = 0;
        for (key, acked) in acked {
            let held = outcome.held.get(&key).copied().unwrap_or_default();
            let lost = lost.get(&key).copied().unwrap_or_default();
            assert!(
                held + lost >= acked,
                "{}: {key:?} holds {held} of {acked} acked, {lost} may be lost",
                self.name
            );
            missing += acked - held;
        }
        (outcome, missing)
    }

    fn may_be_lost(&self, acked: &Acked) -> bool {
        // With a definition those requests of its segment that name what it says.
        let goes_with = |record: &Found| {
            record.kind == Kind::Define && self.behind(record).any(|behind| holds(behind, acked))
        };
        self.harmed.iter().any(|record| holds(record, acked) || goes_with(record))
    }

    /// As a harmed record that nothing vouches for takes with it what stands behind.
    fn may_be_cut(&self, acked: &Acked) -> bool {
        let first = self.harmed.iter().map(|record| record.index).min();
        let mut cut = self.records.iter().filter(|of| first.is_some_and(|first| of.index >= first));
        cut.any(|record| holds(record, acked))
    }

    fn behind(&self, record: &Found) -> impl Iterator<Item = &Found> {
        let (path, index) = (record.path.clone(), record.index);
        let in_segment = self.records.iter().filter(move |of| of.path == path && of.index > index);
        in_segment.filter(|of| of.kind == Kind::Request)
    }
}

/// Whether it is the record of what was acked.
fn holds(record: &Found, acked: &Acked) -> bool {
    let text = acked.at_ns.to_string();
    let is_said = || record.payload.windows(text.len()).any(|bytes| bytes == text.as_bytes());
    match record.kind {
        Kind::Request => record.arrival_ns == Some(acked.at_ns),
        Kind::Samples => is_said(),
        _ => false,
    }
}

fn sum<'a>(acked: impl Iterator<Item = &'a Acked>) -> Counted {
    let mut sum = Counted::new();
    for (key, n) in acked.flat_map(|acked| &acked.counts) {
        *sum.entry(key.clone()).or_default() += n;
    }
    sum
}

const HARMS: [Harm; 3] = [Harm::Flip, Harm::Length, Harm::Zeros];

fn seed() -> u64 {
    std::env::var("DAMAGE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0)
}

/// Journals of many small segments that were trimmed, and of one that never was; after one life and after
/// several, with what earlier ones left still under way.
fn journals() -> Vec<(Left, Rc<[Found]>)> {
    let lives =
        [(1, 1 << 20, 1, 40), (2, 2 << 10, 1, 60), (3, 3 << 10, 3, 25), (4, 1 << 20, 3, 20)];
    let seeds = seed();
    let lived =
        lives.map(|(seed, segment, lives, steps)| lived(seeds * 4 + seed, segment, lives, steps));
    lived.into_iter().map(|left| (left.clone(), records(&left.folder).into())).collect()
}

#[test]
fn a_journal_without_damage_is_whole() {
    for (left, records) in journals() {
        let case = Case::new(&left, &records, &[], Harm::Flip, 0);
        let (outcome, missing) = case.check_strictly();
        assert_eq!((outcome.records_damaged, outcome.known_otherwise, missing), (0, 0, 0));
        assert_eq!(outcome.set_apart, [""; 0]);
    }
}

#[test]
fn each_record_is_damaged_in_turn() {
    let (mut cases, mut missing, mut known_otherwise) = (0, 0, 0);
    let mut kinds = BTreeSet::new();
    for (left, records) in journals() {
        for (at, record) in records.iter().enumerate() {
            let how = HARMS[at % 3];
            for dies_again in [None, Some(at as u64)] {
                let harmed = std::slice::from_ref(record);
                let case = Case::new(&left, &records, harmed, how, at as u64);
                let (outcome, lost) = Case { dies_again, ..case }.check_strictly();
                if outcome.records_damaged > 0 {
                    let most = match record.kind {
                        Kind::Define => 1 + records.len() as u64,
                        _ => 1,
                    };
                    assert!((1..=most).contains(&outcome.records_damaged), "{record:?}");
                    assert_eq!(outcome.set_apart.len(), 1, "{record:?}");
                    kinds.insert(format!("{:?}", record.kind));
                }
                (cases, missing) = (cases + 1, missing + lost);
                known_otherwise += outcome.known_otherwise;
            }
        }
    }
    println!(
        "{cases} cases, {missing} spans missing, {known_otherwise} slices known otherwise, {kinds:?}"
    );
    assert!(missing > 0 && known_otherwise > 0, "the sweep has met nothing");
    // Not every journal has a source's end in it.
    assert!(kinds.len() >= 6, "{kinds:?}");
}

/// Just after a trim, just before what restates a record, in the middle of whatever goes on.
#[test]
fn the_ends_of_a_journal_are_damaged_wherever_it_ends() {
    let seeds = seed();
    for steps in 1..40 {
        let left = lived(seeds * 60 + steps, 2 << 10, 1, steps as usize);
        let records: Rc<[Found]> = records(&left.folder).into();
        let ends = (0..3).chain(records.len().saturating_sub(3)..records.len());
        for at in ends.filter(|at| *at < records.len()) {
            let case = Case::new(&left, &records, &records[at..=at], HARMS[at % 3], steps);
            let dies_again = (at % 2 == 0).then_some(steps);
            Case { dies_again, ..case }.check_strictly();
        }
    }
}

#[test]
fn a_damaged_header_loses_nothing() {
    for (left, records) in journals() {
        let paths: BTreeSet<_> = records.iter().map(|record| &record.path).collect();
        for path in &paths {
            let mut case = Case::new(&left, &records, &[], Harm::Flip, 0);
            harm_header(&mut case.left.folder, path, &mut StdRng::seed_from_u64(0));
            let outcome = case.check();
            assert_eq!(outcome.records_damaged, 0, "{path}");
            // A last segment of one batch looks as if its making had never ended.
            if outcome.set_apart.is_empty() {
                assert_eq!(Some(path), paths.last());
                continue;
            }
            assert_eq!((outcome.set_apart.len(), case.check_strictly().1), (1, 0), "{path}");
        }
    }
}

/// What restates a lost record may be lost with it. Then more may be missing; nothing counts twice, and the
/// edge comes to rest all the same.
#[test]
fn stretches_of_records_are_damaged() {
    let mut rng = StdRng::seed_from_u64(5);
    for (left, records) in journals() {
        for seed in 0..40 {
            let from = rng.gen_range(0..records.len());
            let to = (from + rng.gen_range(2..12)).min(records.len());
            let harmed = &records[from..to];
            let mut case = Case::new(&left, &records, harmed, Harm::Zeros, seed);
            case.dies_again = rng.r#gen::<bool>().then_some(seed);
            let words = [Kind::Boot, Kind::Seal, Kind::Standing, Kind::Closed];
            match harmed.iter().any(|record| words.contains(&record.kind)) {
                true => drop(case.check()),
                false => drop(case.check_strictly()),
            }
        }
    }
}

#[test]
fn records_here_and_there_are_damaged() {
    let mut rng = StdRng::seed_from_u64(6);
    for (left, records) in journals() {
        for seed in 0..40 {
            let harmed: Vec<_> = records.iter().filter(|_| rng.gen_ratio(1, 12)).cloned().collect();
            let mut case = Case::new(&left, &records, &harmed, HARMS[seed as usize % 3], seed);
            case.dies_again = rng.r#gen::<bool>().then_some(seed);
            case.check();
        }
    }
}

/// Not the first nor the last: those that are left say nothing of them.
#[test]
fn a_segment_is_gone() {
    for (left, records) in journals() {
        let mut paths: BTreeSet<_> = records.iter().map(|record| &record.path).collect();
        paths.pop_first();
        paths.pop_last();
        for path in paths.iter() {
            let harmed: Vec<_> =
                records.iter().filter(|record| record.path == **path).cloned().collect();
            let mut case = Case::new(&left, &records, &harmed, Harm::Zeros, 0);
            case.left.folder.remove(*path);
            case.check();
        }
    }
}
