//! What the crowd was answered, by kind, in words that add up.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context;

use crate::abuse::Kind;

/// How often each answer came, by the name of the kind.
pub(in crate::abuse) type Counted = BTreeMap<String, BTreeMap<String, u64>>;

/// Not a sum of its own: of several rounds the largest counts.
pub(in crate::abuse) const MOST_OPEN: &str = "most connections open";

#[derive(Clone, Default)]
pub(super) struct Answers(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    counted: Counted,
    /// By the name of the kind, now.
    open: BTreeMap<&'static str, u64>,
}

/// A connection, as long as this is kept.
pub(super) struct Open(AnswersOf);

/// Of one kind.
#[derive(Clone)]
pub(super) struct AnswersOf {
    all: Answers,
    kind: Kind,
}

impl Answers {
    pub(super) fn of(&self, kind: Kind) -> AnswersOf {
        AnswersOf { all: self.clone(), kind }
    }

    /// On one line, for the parent.
    pub(super) fn line(&self) -> String {
        let counted = &self.lock().counted;
        serde_json::to_value(counted).expect("texts and numbers are JSON").to_string()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AnswersOf {
    pub(super) fn note(&self, answer: impl Into<String>) {
        self.add(answer, 1);
    }

    pub(super) fn add(&self, answer: impl Into<String>, times: u64) {
        let mut state = self.all.lock();
        let of_kind = state.counted.entry(self.kind.name().to_owned()).or_default();
        *of_kind.entry(answer.into()).or_default() += times;
    }

    /// One connection more.
    pub(super) fn open(&self) -> Open {
        let mut state = self.all.lock();
        let State { counted, open } = &mut *state;
        let open = open.entry(self.kind.name()).or_default();
        *open += 1;
        let of_kind = counted.entry(self.kind.name().to_owned()).or_default();
        let most = of_kind.entry(MOST_OPEN.to_owned()).or_default();
        *most = (*most).max(*open);
        Open(self.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let AnswersOf { all, kind } = &self.0;
        *all.lock().open.entry(kind.name()).or_default() -= 1;
    }
}

pub(super) fn read(line: &str) -> anyhow::Result<Counted> {
    serde_json::from_str(line).with_context(|| format!("the crowd said {line:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_comes_through_the_line() {
        let answers = Answers::default();
        answers.of(Kind::Deep).note("HTTP 400");
        answers.of(Kind::Deep).add("HTTP 400", 2);
        answers.of(Kind::Slow).note("closed");
        let counted = read(&answers.line()).unwrap();
        assert_eq!(counted["deep"]["HTTP 400"], 3);
        assert_eq!(counted["slow"]["closed"], 1);
        assert!(read("ready").is_err());
    }

    #[test]
    fn the_most_that_were_open_at_once_stay_counted() {
        let answers = Answers::default();
        let slow = answers.of(Kind::Slow);
        let three = [slow.open(), slow.open(), slow.open()];
        drop(three);
        let _two = [slow.open(), slow.open()];
        assert_eq!(read(&answers.line()).unwrap()["slow"][MOST_OPEN], 3);
    }
}
