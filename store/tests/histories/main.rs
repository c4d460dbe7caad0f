//! Random histories against a judge that keeps plain maps of integers: every answer of a store is the judge's, after
//! each step, for readers during it and for readers that began long before.
//!
//! ```text
//! seed ─▶ history: steps in plain words ─▶ edges: entries, said again until they are answered
//!                                             │
//!                        store ◀── offers ────┴──── what they say ──▶ oracle
//!                          └──── answers ────▶ equal? ◀── expected ─────┘
//! ```
//!
//! - [`history`]: what may happen, drawn from a seed. [`names`]: tenants, groups, layouts and series it speaks of.
//! - [`oracle`]: what a shard must hold, in as many versions as its answers leave open.
//! - [`subject`]: the store; [`questions`]: what it is asked; [`run`]: both together, step by step.
//! - [`pair`]: two stores that are fed alike. [`many`]: seeds, and the shortest history that fails.
//!
//! `make histories HISTORIES=10000` runs many, and a twentieth of them on RocksDB, where a crash is a restart and no
//! disk fails: a process cannot lose what it has told RocksDB, and lives on.

mod calendar;
mod history;
mod many;
mod names;
mod oracle;
mod pair;
mod questions;
mod run;
mod send;
mod shrink;
mod subject;
mod tally;
mod wire;

use many::{Course, Kind, histories, judge};

#[test]
fn every_answer_is_the_judges() {
    let tally = judge(Course::Alone, Kind::Twin, histories(Kind::Twin));
    assert_eq!(tally.too_rare(), Vec::<&str>::new(), "too little happened: {tally}");
}

#[test]
fn two_stores_that_are_fed_alike_answer_alike() {
    judge(Course::Pair, Kind::Twin, histories(Kind::Twin).div_ceil(10));
}

#[test]
fn a_seed_tells_one_story() {
    let names = names::Names::new();
    for seed in 1..4 {
        let [one, other] = [(); 2].map(|()| {
            let history = history::History::draw(seed, &names);
            let tally = many::one(&history, Course::Alone, Kind::Twin, &names).expect("it holds");
            (history.to_string(), tally.to_string())
        });
        assert_eq!(one, other);
    }
}

#[cfg(feature = "rocksdb")]
mod rocksdb {
    use super::*;

    #[test]
    fn every_answer_is_the_judges() {
        judge(Course::Alone, Kind::RocksDb, histories(Kind::RocksDb));
    }

    #[test]
    fn a_store_on_the_twin_and_one_on_rocksdb_answer_alike() {
        judge(Course::Pair, Kind::RocksDb, histories(Kind::RocksDb).div_ceil(2));
    }
}
