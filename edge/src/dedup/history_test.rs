use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

const KEY: u64 = 0x0123_4567_89ab_cdef;

fn remembered(fingerprint: u128, uptime: u64, accepted: u64) -> Remembered {
    let answer = TraceAnswer { accepted, late: accepted / 2, future: 7 };
    Remembered { fingerprint: Fingerprint(fingerprint), uptime: Uptime(uptime), answer }
}

/// How many entries are in each slot's chain.
fn chains(history: &History) -> Vec<usize> {
    let chain = |head: u64| {
        let mut at = history.heads.get(head);
        std::iter::from_fn(|| {
            let number = history.number(at)?;
            at = history.entries.get(number).older;
            Some(number)
        })
        .collect::<Vec<_>>()
    };
    let chains: Vec<_> = history.heads.kept().map(chain).collect();
    assert!(chains.iter().flatten().all(|number| history.entries.kept().contains(number)));
    assert!(chains.iter().all(|chain| chain.is_sorted_by(|newer, older| newer > older)));
    chains.iter().map(Vec::len).collect()
}

fn check(history: &History, model: &VecDeque<Remembered>) {
    let end = history.end();
    let first = Place(end.0 - model.len() as u64);
    assert!(history.copied(first..end).eq(model.iter().copied()));
    assert_eq!(history.oldest(), model.front().map(|oldest| oldest.uptime));
    assert_eq!(chains(history).iter().sum::<usize>(), model.len(), "each is in one chain");
    for entry in model {
        let last = model.iter().rfind(|other| other.fingerprint == entry.fingerprint);
        assert_eq!(history.find(entry.fingerprint).as_ref(), last);
    }
}

#[derive(Clone, Debug)]
enum Step {
    Push(u128, u64),
    Pop,
    AddSlot,
}

fn step() -> impl Strategy<Value = Step> {
    // Few fingerprints, so that some are there twice; all sizes of counts.
    let accepted = (0u32..64).prop_map(|bits| u64::MAX >> bits);
    prop_oneof![
        5 => (0u128..20, accepted).prop_map(|(fingerprint, accepted)| Step::Push(fingerprint, accepted)),
        4 => Just(Step::Pop),
        2 => Just(Step::AddSlot),
    ]
}

proptest! {
    #[test]
    fn it_is_a_queue_that_finds_the_last_of_a_fingerprint(
        key: u64,
        steps in prop::collection::vec(step(), 0..120),
    ) {
        let (mut history, mut model) = (History::new(key), VecDeque::new());
        for (uptime, step) in (0..).zip(steps) {
            match step {
                Step::Push(fingerprint, accepted) => {
                    let new = remembered(fingerprint, uptime, accepted);
                    let due = history.bytes() + history.bytes_due(new.answer);
                    history.push(new);
                    prop_assert_eq!(history.bytes(), due);
                    model.push_back(new);
                }
                Step::Pop => {
                    let gone = model.pop_front().map(|gone| gone.uptime);
                    prop_assert_eq!(history.pop(), gone);
                }
                Step::AddSlot => history.add_slot(),
            }
            check(&history, &model);
            prop_assert_eq!(history.find(Fingerprint(99)), None);
        }
    }

    #[test]
    fn an_answer_comes_back_exactly(accepted: u64, late: u64, future: u64, shift in 0..64) {
        for answer in [
            TraceAnswer { accepted, late, future },
            TraceAnswer { accepted: accepted >> shift, late: late >> shift, future: future >> shift },
        ] {
            let mut history = History::new(KEY);
            history.push(Remembered { answer, ..remembered(1, 2, 0) });
            prop_assert_eq!(history.find(Fingerprint(1)).map(|found| found.answer), Some(answer));
        }
    }
}

#[test]
fn only_large_answers_take_more_than_an_entry() {
    assert_eq!((size_of::<Entry>(), size_of::<Link>()), (36, 4));
    let most = (1 << 21) - 1;
    let packed = TraceAnswer { accepted: most, late: most, future: most };
    assert!(Packed::counts(packed).is_some_and(|packed| packed.as_counts() == packed_back()));
    assert_eq!(Packed::counts(TraceAnswer { accepted: most + 1, ..packed }), None);
    assert_eq!(Packed::counts(TraceAnswer { late: most + 1, ..packed }), None);
    assert_eq!(Packed::counts(TraceAnswer { future: most + 1, ..packed }), None);

    fn packed_back() -> TraceAnswer {
        TraceAnswer { accepted: 2_097_151, late: 2_097_151, future: 2_097_151 }
    }
}

/// The links are 31 bits wide; the numbers go on beyond.
#[test]
fn numbers_outgrow_their_links() {
    for first in [(1 << 31) - 100, (1 << 32) - 100, (1 << 33) - 100_u64] {
        let (mut history, mut model) = (History::new(KEY), VecDeque::new());
        history.entries = Pages::starting_at(first);
        for n in 0..300 {
            let new = remembered(n.into(), n, n);
            history.push(new);
            history.add_slot();
            model.push_back(new);
            if n >= 50 {
                assert_eq!(history.pop(), model.pop_front().map(|gone| gone.uptime));
            }
            check(&history, &model);
        }
    }
}

#[test]
fn as_many_slots_as_entries_keep_chains_short() {
    let mut history = History::new(KEY);
    for n in 0..50_000 {
        history.push(remembered(n, 0, 1));
        if history.len() > history.slots() {
            history.add_slot();
        }
    }
    let longest = chains(&history).into_iter().max();
    assert!(longest < Some(20), "{longest:?}");
}

#[test]
fn fingerprints_chosen_to_meet_do_not_meet() {
    // Alike in their low bits, in their high ones, or in both halves' low ones.
    let chosen: [fn(u128) -> u128; 5] =
        [|n| n << 64, |n| n << 40, |n| n, |n| n << 104, |n| n << 24 | n << 104];
    for choose in chosen {
        let mut history = History::new(KEY);
        for n in 0..20_000 {
            history.push(remembered(choose(n), 0, 1));
            history.add_slot();
        }
        let longest = chains(&history).into_iter().max();
        assert!(longest < Some(20), "{longest:?}");
    }
}
