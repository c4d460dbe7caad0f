//! From a seed to steps.

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use tributary_store::disk::ErrorKind;
use tributary_store::disk::memory::Operation;

use super::values::Values;
use super::{Crash, Drawn, History, Ill, Pace, Said, Step, Trouble, Word};
use crate::names::{Names, SHARDS};

const EDGES: usize = 4;

struct Draw<'a> {
    rng: StdRng,
    values: Values<'a>,
    is_troubled: bool,
}

type Kind = fn(&mut Draw<'_>) -> Step;

/// How often each kind of step comes.
const KINDS: [(u32, Kind); 11] = [
    (12, |draw| draw.at_once()),
    (6, |draw| draw.one_by_one()),
    (3, |_| Step::SayAgain),
    (3, |draw| draw.hold()),
    (2, |_| Step::Release),
    (1, |draw| Step::Crash(draw.crash())),
    (2, |draw| draw.crash_during()),
    (2, |_| Step::Restart),
    (3, |_| Step::Checkpoint),
    (3, |draw| draw.trouble()),
    (1, |draw| draw.heal()),
];

pub(super) fn history(seed: u64, names: &Names) -> History {
    let mut rng = StdRng::seed_from_u64(seed);
    let values = Values::new(names, &mut rng);
    let mut draw = Draw { rng, values, is_troubled: false };
    let steps = (0..draw.rng.gen_range(8..28)).map(|_| draw.next()).collect();
    History { seed, steps }
}

impl Draw<'_> {
    fn next(&mut self) -> Drawn {
        let is_over = self.is_troubled && self.rng.gen_ratio(1, 4);
        let step = match () {
            () if is_over => self.heal(),
            () if self.is_troubled && self.rng.gen_ratio(1, 4) => Step::Checkpoint,
            () => self.any(),
        };
        Drawn { step, dice: self.rng.r#gen() }
    }

    fn any(&mut self) -> Step {
        let (_, kind) = KINDS.choose_weighted(&mut self.rng, |(often, _)| *often).expect("some");
        kind(self)
    }

    fn at_once(&mut self) -> Step {
        let many = if self.rng.gen_ratio(1, 8) { 30 } else { 6 };
        let said = self.said(1..many, 0..SHARDS);
        Step::Say { said, pace: Pace::AtOnce, is_watched: self.rng.gen_ratio(1, 3) }
    }

    /// Often enough to one shard for it to add rows together.
    fn one_by_one(&mut self) -> Step {
        let shard = self.rng.gen_range(0..SHARDS);
        let said = self.said(4..40, shard..shard + 1);
        Step::Say { said, pace: Pace::OneByOne, is_watched: self.rng.gen_ratio(1, 3) }
    }

    fn hold(&mut self) -> Step {
        Step::Hold { shard: self.rng.gen_range(0..SHARDS) }
    }

    fn crash(&mut self) -> Crash {
        self.is_troubled = false;
        Crash { seed: self.rng.gen_range(0..1000), power: self.rng.r#gen() }
    }

    fn crash_during(&mut self) -> Step {
        let said = self.said(1..12, 0..SHARDS);
        Step::CrashDuring { said, after_yields: self.rng.gen_range(0..40), crash: self.crash() }
    }

    fn trouble(&mut self) -> Step {
        self.is_troubled = true;
        let shard = self.rng.gen_ratio(3, 4).then(|| self.rng.gen_range(0..SHARDS));
        if self.rng.gen_ratio(1, 4) {
            return Step::Trouble(Trouble { shard: None, what: Ill::NoRoom });
        }
        if self.rng.gen_ratio(1, 3) {
            return Step::Trouble(Trouble { shard: None, what: self.log_fails() });
        }
        let on = [Operation::Write, Operation::Flush, Operation::Flush, Operation::Read];
        let on = *on.choose(&mut self.rng).expect("some");
        let is_full = on != Operation::Read && self.rng.gen_ratio(1, 3);
        let kind = if is_full { ErrorKind::Full } else { ErrorKind::Io };
        Step::Trouble(Trouble { shard, what: self.fails(on, kind) })
    }

    fn log_fails(&mut self) -> Ill {
        let on = [Operation::Append, Operation::Sync, Operation::Sync, Operation::Open];
        let on = *on.choose(&mut self.rng).expect("some");
        let kind = if self.rng.gen_ratio(1, 3) { ErrorKind::Full } else { ErrorKind::Io };
        self.fails(on, kind)
    }

    fn fails(&mut self, on: Operation, kind: ErrorKind) -> Ill {
        let times = if self.rng.r#gen() { self.rng.gen_range(1..4) } else { u64::MAX };
        Ill::Fails { on, kind, after: self.rng.gen_range(0..4), times }
    }

    fn heal(&mut self) -> Step {
        self.is_troubled = false;
        Step::Heal
    }

    fn said(&mut self, many: std::ops::Range<usize>, shards: std::ops::Range<usize>) -> Vec<Said> {
        let many = self.rng.gen_range(many);
        (0..many)
            .map(|_| {
                self.values.move_on(&mut self.rng);
                let edge = self.rng.gen_range(0..EDGES);
                let shard = self.rng.gen_range(shards.clone());
                Said { edge, shard, word: self.word() }
            })
            .collect()
    }

    fn word(&mut self) -> Word {
        let Draw { rng, values, .. } = self;
        let promise_ms = values.promise(rng);
        let near = rng.gen_range(1..4);
        match rng.gen_range(0..100) {
            0..10 => Word::Promise { promise_ms },
            10..12 => Word::OldPromise { back: near, promise_ms },
            12 => Word::EarlyPromise { ahead: near, promise_ms },
            13..18 => Word::Repeat { back: rng.gen_range(0..20) },
            18..21 => Word::Fork { back: near - 1, says: values.some_plain(rng) },
            21..24 => Word::Gap { ahead: near, says: values.plain(rng) },
            24 => Word::WrongDigest { says: values.plain(rng) },
            25..27 => Word::Stray { says: values.plain(rng), strays: values.some_plain(rng) },
            27 => Word::WrongShard { says: values.plain(rng) },
            28 => Word::Garbage { bytes: (0..near * 3).map(|_| rng.r#gen()).collect() },
            29..31 => Word::Close,
            31 => Word::WrongClose { last: if rng.r#gen() { -1 } else { 1 } },
            _ => Word::Slice { says: values.plain(rng), promise_ms },
        }
    }
}
