//! A history: steps drawn from a seed, in words that hold whatever the store answers, so that a step can be left out.
//!
//! A further kind of step (a checkpoint, a rollup, retention, a delete, an export) is a variant of [`Step`], a line in
//! `draw::KINDS`, and what it does in `run`.

mod draw;
pub(crate) mod edges;
mod values;

use std::fmt;

use tributary_store::disk::ErrorKind;
use tributary_store::disk::memory::Operation;

use crate::calendar::text;
use crate::oracle::plain::Plain;

#[derive(Clone, Debug)]
pub(crate) struct History {
    pub(crate) seed: u64,
    pub(crate) steps: Vec<Drawn>,
}

#[derive(Clone, Debug)]
pub(crate) struct Drawn {
    pub(crate) step: Step,
    /// What is asked during it and after it.
    pub(crate) dice: u64,
}

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Say {
        said: Vec<Said>,
        pace: Pace,
        is_watched: bool,
    },
    /// Every edge, what it waits for an answer to, and nothing new.
    SayAgain,
    /// Somebody begins to read a shard, and goes on reading what stood then.
    Hold {
        shard: usize,
    },
    /// The reader that began first is asked everything, and ends.
    Release,
    Crash(Crash),
    /// The crash comes while these are on their way.
    CrashDuring {
        said: Vec<Said>,
        after_yields: usize,
        crash: Crash,
    },
    Restart,
    /// Every shard writes what it holds in memory as rows.
    Checkpoint,
    Trouble(Trouble),
    /// The disk is well again.
    Heal,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    AtOnce,
    /// Each waits for the answer before: a commit each.
    OneByOne,
}

#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub(crate) edge: usize,
    pub(crate) shard: usize,
    pub(crate) word: Word,
}

/// What a source says. Numbers are relative to what it said before.
#[derive(Clone, Debug)]
pub(crate) enum Word {
    /// Its next slice, behind those that were not answered yet.
    Slice {
        says: Plain,
        promise_ms: i64,
    },
    Promise {
        promise_ms: i64,
    },
    /// Made before its last slices, and overtaken by them.
    OldPromise {
        back: u64,
        promise_ms: i64,
    },
    /// It names slices that never came.
    EarlyPromise {
        ahead: u64,
        promise_ms: i64,
    },
    Repeat {
        back: u64,
    },
    /// Something else under the number of a slice that counts.
    Fork {
        back: u64,
        says: Plain,
    },
    Gap {
        ahead: u64,
        says: Plain,
    },
    WrongDigest {
        says: Plain,
    },
    /// With something that lives in the other shard.
    Stray {
        says: Plain,
        strays: Plain,
    },
    WrongShard {
        says: Plain,
    },
    Garbage {
        bytes: Vec<u8>,
    },
    Close,
    /// Before its last slices, or behind slices that never came.
    WrongClose {
        last: i64,
    },
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Crash {
    pub(crate) seed: u64,
    /// The machine as well, not the process alone.
    pub(crate) power: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Trouble {
    /// `None`: the whole disk.
    pub(crate) shard: Option<usize>,
    pub(crate) what: Ill,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Ill {
    Fails { on: Operation, kind: ErrorKind, after: u64, times: u64 },
    NoRoom,
}

impl History {
    pub(crate) fn draw(seed: u64, names: &crate::names::Names) -> Self {
        draw::history(seed, names)
    }
}

impl Trouble {
    pub(crate) fn hits(self, shard: usize) -> bool {
        self.shard.is_none_or(|hit| hit == shard)
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}, {} steps", self.seed, self.steps.len())?;
        for (number, drawn) in (1..).zip(&self.steps) {
            writeln!(f, "{number:4}. {}", drawn.step)?;
        }
        Ok(())
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Say { said, pace, is_watched } => {
                let pace = if *pace == Pace::AtOnce { "at once" } else { "one by one" };
                let watched = if *is_watched { ", while somebody reads" } else { "" };
                write!(f, "{pace}{watched}:")?;
                list(f, said)
            }
            Step::SayAgain => write!(f, "every edge says again what was not answered"),
            Step::Hold { shard } => write!(f, "a reader of shard {shard} begins"),
            Step::Release => write!(f, "the reader that began first is asked everything and ends"),
            Step::Crash(crash) => write!(f, "{crash}"),
            Step::CrashDuring { said, after_yields, crash } => {
                write!(f, "{crash} after {after_yields} turns of:")?;
                list(f, said)
            }
            Step::Restart => write!(f, "a restart in peace"),
            Step::Checkpoint => write!(f, "every shard writes a checkpoint"),
            Step::Trouble(Trouble { shard, what }) => {
                let whose = shard.map_or("all shards".into(), |shard| format!("shard {shard}"));
                write!(f, "trouble for {whose}: {what:?}")
            }
            Step::Heal => write!(f, "the disk is well again"),
        }
    }
}

fn list(f: &mut fmt::Formatter<'_>, said: &[Said]) -> fmt::Result {
    said.iter().try_for_each(|said| write!(f, "\n        {said}"))
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Said { edge, shard, word } = self;
        write!(f, "edge {edge} to shard {shard}: ")?;
        match word {
            Word::Slice { says, promise_ms } => {
                write!(f, "a slice, whole to {}: {says}", text(*promise_ms))
            }
            Word::Promise { promise_ms } => write!(f, "nothing, whole to {}", text(*promise_ms)),
            Word::OldPromise { back, .. } => write!(f, "a promise from {back} slices ago"),
            Word::EarlyPromise { ahead, .. } => write!(f, "a promise for {ahead} slices ahead"),
            Word::Repeat { back } => write!(f, "again its slice of {back} before the last"),
            Word::Fork { back, .. } => {
                write!(f, "another slice for that of {back} before the last")
            }
            Word::Gap { ahead, .. } => write!(f, "a slice {ahead} too far"),
            Word::WrongDigest { .. } => write!(f, "a slice with a wrong digest"),
            Word::Stray { .. } => write!(f, "a slice with strays of another shard"),
            Word::WrongShard { .. } => write!(f, "a slice that is meant for another shard"),
            Word::Garbage { bytes } => write!(f, "{} bytes of garbage", bytes.len()),
            Word::Close => write!(f, "its end"),
            Word::WrongClose { last } => write!(f, "its end, {last} slices off"),
        }
    }
}

impl fmt::Display for Crash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.power { "the power goes" } else { "the process dies" };
        write!(f, "{what} (seed {})", self.seed)
    }
}

/// By tenant, group and layout: how many windows, from when to when.
impl fmt::Display for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.cells.is_empty() && self.points.is_empty() {
            return write!(f, "empty");
        }
        let mut runs = Vec::<((usize, usize, usize), Vec<i64>)>::new();
        for (tenant, group, layout, end) in self.cells.keys() {
            let key = (*tenant, *group, *layout);
            match runs.last_mut() {
                Some((last, ends)) if *last == key => ends.push(*end),
                _ => runs.push((key, vec![*end])),
            }
        }
        for ((tenant, group, layout), ends) in runs {
            write!(f, "t{tenant}/g{group}/layout {layout} ")?;
            match ends.as_slice() {
                [end] => write!(f, "{}; ", text(*end))?,
                [first, .., last] => {
                    write!(f, "{} from {} to {}; ", ends.len(), text(*first), text(*last))?;
                }
                [] => {}
            }
        }
        for ((tenant, series, time), bits) in &self.points {
            write!(f, "t{tenant}/m{series} {} = {bits:x}; ", text(*time))?;
        }
        Ok(())
    }
}
