//! What the crowd was answered, by kind, in words that add up.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;

use crate::abuse::Kind;

/// How often each answer came, by the name of the kind.
pub(in crate::abuse) type Counted = BTreeMap<String, BTreeMap<String, u64>>;

#[derive(Clone, Default)]
pub(super) struct Answers(Arc<Mutex<Counted>>);

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
        let counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        serde_json::to_value(&*counted).expect("texts and numbers are JSON").to_string()
    }
}

impl AnswersOf {
    pub(super) fn note(&self, answer: impl Into<String>) {
        self.add(answer, 1);
    }

    pub(super) fn add(&self, answer: impl Into<String>, times: u64) {
        let mut counted = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_kind = counted.entry(self.kind.name().to_owned()).or_default();
        *of_kind.entry(answer.into()).or_default() += times;
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
}
