use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

const KEY: u64 = 7;
const WINDOW: Duration = Duration::from_millis(100);
const ROOMY: Options = Options { window: WINDOW, limit_bytes: 1 << 20 };
/// An empty table's: its first page of slots, and what stands in no page.
const BARE: usize = (16 << 10) + 256;

fn answer(accepted: u64) -> TraceAnswer {
    TraceAnswer { accepted, late: 1, future: accepted << 19 }
}

fn remembered(fingerprint: u128, uptime: u64, accepted: u64) -> Remembered {
    let (fingerprint, uptime) = (Fingerprint(fingerprint), Uptime(uptime));
    Remembered { fingerprint, uptime, answer: answer(accepted) }
}

/// What the table says, said plainly.
#[derive(Default)]
struct Model {
    latest: u64,
    known: BTreeMap<u128, Remembered>,
    in_flight: BTreeSet<u128>,
}

impl Model {
    fn is_young(&self, entry: &Remembered) -> bool {
        Duration::from_millis(self.latest.saturating_sub(entry.uptime.0)) < WINDOW
    }

    fn register(&mut self, fingerprint: u128, now: u64) -> Seen {
        self.latest = self.latest.max(now);
        match self.known.get(&fingerprint) {
            Some(known) if self.is_young(known) => Seen::Known(known.answer),
            _ if self.in_flight.insert(fingerprint) => Seen::New,
            _ => Seen::InFlight,
        }
    }

    fn remember(&mut self, new: Remembered) {
        self.latest = self.latest.max(new.uptime.0);
        let known = self.known.get(&new.fingerprint.0);
        if self.is_young(&new) && known.is_none_or(|known| known.uptime < new.uptime) {
            self.known.insert(new.fingerprint.0, new);
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Pass(u64),
    Register(u128),
    /// The one in flight at this place, some time after or before the present.
    Complete(prop::sample::Index, i64),
    GiveUp(prop::sample::Index),
    Remember(u128, i64),
    /// All that was remembered so far, from somewhere on.
    Replay(prop::sample::Index),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0u64..60).prop_map(Step::Pass),
        8 => (0u128..12).prop_map(Step::Register),
        5 => (any::<prop::sample::Index>(), -20i64..5).prop_map(|(at, off)| Step::Complete(at, off)),
        2 => any::<prop::sample::Index>().prop_map(Step::GiveUp),
        2 => (0u128..12, -150i64..20).prop_map(|(fingerprint, off)| Step::Remember(fingerprint, off)),
        1 => any::<prop::sample::Index>().prop_map(Step::Replay),
    ]
}

proptest! {
    #[test]
    fn it_says_what_a_plain_map_says(
        expected in 0u64..50,
        steps in prop::collection::vec(step(), 0..150),
    ) {
        let (mut table, mut model) = (Table::new(ROOMY, KEY), Model::default());
        table.expect(expected);
        let (mut now, mut recorded) = (1_000_u64, Vec::new());
        for (n, step) in (0..).zip(steps) {
            let off = |off: i64| now.saturating_add_signed(off);
            match step {
                Step::Pass(ms) => now += ms,
                Step::Register(fingerprint) => {
                    let seen = table.lookup_or_register(Fingerprint(fingerprint), Uptime(now));
                    prop_assert_eq!(seen, model.register(fingerprint, now));
                }
                Step::Complete(at, by) if !model.in_flight.is_empty() => {
                    let fingerprint = *at.get(&model.in_flight.iter().copied().collect::<Vec<_>>());
                    let done = remembered(fingerprint, off(by), n);
                    model.in_flight.remove(&fingerprint);
                    recorded.push(done);
                    table.complete(done);
                    model.remember(done);
                }
                Step::GiveUp(at) if !model.in_flight.is_empty() => {
                    let fingerprint = *at.get(&model.in_flight.iter().copied().collect::<Vec<_>>());
                    model.in_flight.remove(&fingerprint);
                    table.give_up(Fingerprint(fingerprint));
                }
                Step::Remember(fingerprint, by) => {
                    let new = remembered(fingerprint, off(by), n);
                    recorded.push(new);
                    table.remember(new);
                    model.remember(new);
                }
                Step::Replay(from) => {
                    let (len, bytes) = (table.len(), table.bytes());
                    for again in &recorded[from.index(recorded.len() + 1)..] {
                        table.remember(*again);
                    }
                    prop_assert!(table.len() <= len && table.bytes() <= bytes);
                }
                Step::Complete(..) | Step::GiveUp(_) => {}
            }
            prop_assert_eq!(table.in_flight(), model.in_flight.len());
            prop_assert_eq!(table.evicted(), 0);
            prop_assert_eq!(table.latest(), Uptime(model.latest));
        }
        // And of each fingerprint, with nothing on its way any more.
        for fingerprint in 0..12 {
            table.give_up(Fingerprint(fingerprint));
            model.in_flight.remove(&fingerprint);
            let seen = table.lookup_or_register(Fingerprint(fingerprint), Uptime(now));
            prop_assert_eq!(seen, model.register(fingerprint, now));
        }
    }

    /// What was trimmed from the journal comes from the log, some of it comes from both.
    #[test]
    fn a_replay_with_overlaps_tells_the_same_as_the_life_before(
        lived in prop::collection::vec((0u128..40, 0u64..9), 1..80),
        cut in any::<prop::sample::Index>(),
        overlap in any::<prop::sample::Index>(),
    ) {
        let mut before = Table::new(ROOMY, KEY);
        let (mut now, mut counted) = (0, Vec::new());
        for (fingerprint, pause) in lived {
            now += pause;
            if before.lookup_or_register(Fingerprint(fingerprint), Uptime(now)) == Seen::New {
                let done = remembered(fingerprint, now, now);
                before.complete(done);
                counted.push(done);
            }
        }
        let cut = cut.index(counted.len());
        let overlap = overlap.index(cut + 1);
        let mut after = Table::new(ROOMY, KEY);
        counted[..cut].iter().for_each(|entry| after.remember(*entry));
        counted[overlap..].iter().for_each(|entry| after.remember(*entry));
        for fingerprint in 0..40 {
            let seen = after.lookup_or_register(Fingerprint(fingerprint), Uptime(now));
            prop_assert_eq!(seen, before.lookup_or_register(Fingerprint(fingerprint), Uptime(now)));
        }
    }
}

#[test]
fn a_window_ends_to_the_millisecond() {
    let mut table = Table::new(ROOMY, KEY);
    table.remember(remembered(1, 1_000, 5));
    let known = Seen::Known(answer(5));
    assert_eq!(table.lookup_or_register(Fingerprint(1), Uptime(1_099)), known);
    assert_eq!(table.lookup_or_register(Fingerprint(1), Uptime(1_100)), Seen::New);
    table.complete(remembered(1, 1_100, 6));
    let known = Seen::Known(answer(6));
    assert_eq!(table.lookup_or_register(Fingerprint(1), Uptime(1_199)), known);
    assert_eq!(table.lookup_or_register(Fingerprint(1), Uptime(1_200)), Seen::New);
}

#[test]
fn a_repeat_does_not_prolong_the_window() {
    let mut table = Table::new(ROOMY, KEY);
    table.remember(remembered(1, 0, 5));
    for now in 0..100 {
        assert_eq!(table.lookup_or_register(Fingerprint(1), Uptime(now)), Seen::Known(answer(5)));
    }
    assert_eq!(table.lookup_or_register(Fingerprint(1), Uptime(100)), Seen::New);
}

#[test]
fn an_older_uptime_than_heard_of_does_not_bring_back_what_expired() {
    let mut table = Table::new(ROOMY, KEY);
    table.remember(remembered(1, 0, 5));
    assert_eq!(table.lookup_or_register(Fingerprint(2), Uptime(100)), Seen::New);
    assert_eq!(table.lookup_or_register(Fingerprint(1), Uptime(50)), Seen::New);
    table.remember(remembered(3, 0, 5));
    assert_eq!(table.lookup_or_register(Fingerprint(3), Uptime(50)), Seen::New);
}

/// Pushes `n` entries, a hundred to a millisecond, and checks at each step that those that are kept are the
/// last ones, and that of those that are gone the young ones were counted.
fn flood(table: &mut Table, n: u64, at_each: impl Fn(&Table)) {
    let mut gone = table.end().0 - table.len();
    let first = table.end().0;
    let mut evicted = table.evicted();
    for number in first..first + n {
        let now = number / 100;
        let fingerprint = Fingerprint(number.into());
        assert_eq!(table.lookup_or_register(fingerprint, Uptime(now)), Seen::New);
        table.complete(remembered(number.into(), now, number % 3));
        let kept_from = table.end().0 - table.len();
        let young = (gone..kept_from).filter(|number| now - number / 100 < 100).count();
        evicted += young as u64;
        gone = kept_from;
        assert_eq!(table.evicted(), evicted);
        at_each(table);
    }
    let now = Uptime((first + n - 1) / 100);
    let probes = (first..first + n)
        .step_by(17)
        .chain([kept_boundary(table).saturating_sub(1), kept_boundary(table)]);
    for number in probes {
        let known = Seen::Known(answer(number % 3));
        let is_kept = number >= kept_boundary(table) && now.0 - number / 100 < 100;
        let fingerprint = Fingerprint(number.into());
        let expected = if is_kept { known } else { Seen::New };
        assert_eq!(table.lookup_or_register(fingerprint, now), expected, "{number}");
        table.give_up(fingerprint);
    }
}

fn kept_boundary(table: &Table) -> u64 {
    table.end().0 - table.len()
}

#[test]
fn beyond_the_limit_the_oldest_go_early_and_are_counted() {
    for limit_bytes in (50_000..250_000).step_by(7_000) {
        let mut table = Table::new(Options { limit_bytes, ..ROOMY }, KEY);
        let most = |table: &Table| assert!(table.bytes() <= limit_bytes, "{}", table.bytes());
        flood(&mut table, 7_000, most);
        let kept = table.len() as usize;
        assert!(kept * 40 + (48 << 10) > limit_bytes, "{kept} of {limit_bytes} bytes");
        assert_eq!(table.evicted() + table.len(), 7_000, "none had expired");
    }
}

#[test]
fn what_is_expected_takes_no_more_room_than_what_comes() {
    let limit_bytes = 250_000;
    let mut table = Table::new(Options { limit_bytes, ..ROOMY }, KEY);
    table.expect(u64::MAX);
    assert!(table.bytes() < limit_bytes / 5, "{}", table.bytes());
    flood(&mut table, 9_000, |table| assert!(table.bytes() <= limit_bytes));
    assert!(table.len() as usize * 40 + (48 << 10) > limit_bytes, "{}", table.len());
}

#[test]
fn within_the_limit_only_what_expired_goes() {
    let mut table = Table::new(ROOMY, KEY);
    // A window holds ten thousand.
    flood(&mut table, 50_000, |_| {});
    assert_eq!(table.evicted(), 0);
    assert!(table.len() <= 10_000 + 100, "{}", table.len());
    assert!(table.bytes() <= 10_000 * 40 + BARE + (40 << 10), "{}", table.bytes());
}

#[test]
fn what_expired_but_did_not_leave_yet_is_not_counted_as_evicted() {
    let mut table = Table::new(Options { limit_bytes: 250_000, ..ROOMY }, KEY);
    let is_full = |table: &Table| !table.has_room(table.history.bytes_due(answer(0)));
    for n in 0.. {
        if is_full(&table) {
            break;
        }
        table.remember(remembered(n, 0, 0));
    }
    let full = table.len();
    table.remember(remembered(1 << 90, 200, 0));
    assert_eq!(table.evicted(), 0);
    assert!(table.len() < full - EXPIRED_PER_CALL as u64, "it made room");
}

#[test]
fn a_limit_that_is_too_small_for_anything_keeps_a_page() {
    let mut table = Table::new(Options { limit_bytes: 0, ..ROOMY }, KEY);
    let most = |table: &Table| assert!(table.bytes() <= BARE + (17 << 10), "{}", table.bytes());
    flood(&mut table, 3_000, most);
    assert!(table.evicted() > 2_000);
}

#[test]
fn what_is_in_flight_is_never_evicted_and_takes_room_from_the_rest() {
    let limit_bytes = 250_000;
    let mut table = Table::new(Options { limit_bytes, ..ROOMY }, KEY);
    flood(&mut table, 5_000, |_| {});
    let registered = |n: u128| Fingerprint(1 << 100 | n);
    for n in 0..4_000 {
        assert_eq!(table.lookup_or_register(registered(n), Uptime(50)), Seen::New);
        assert!(table.bytes() <= limit_bytes, "{}", table.bytes());
    }
    assert!(table.evicted() > 0, "it took room");
    flood(&mut table, 5_000, |table| assert_eq!(table.in_flight(), 4_000));
    for n in 0..4_000 {
        assert_eq!(table.lookup_or_register(registered(n), Uptime(100)), Seen::InFlight);
    }
}

#[test]
fn large_answers_count_against_the_limit() {
    let limit_bytes = 250_000;
    let mut table = Table::new(Options { limit_bytes, ..ROOMY }, KEY);
    for n in 0..20_000 {
        let large = TraceAnswer { accepted: u64::MAX - n, late: n, future: u64::MAX };
        let (fingerprint, uptime) = (Fingerprint(n.into()), Uptime(0));
        table.remember(Remembered { fingerprint, uptime, answer: large });
        assert!(table.bytes() <= limit_bytes, "{}", table.bytes());
        assert_eq!(table.lookup_or_register(fingerprint, uptime), Seen::Known(large));
    }
    assert!(table.len() * 60 > 180_000, "{}", table.len());
    assert_eq!(table.len() + table.evicted(), 20_000);
}

#[test]
fn places_tell_what_came_between_two_moments() {
    let mut table = Table::new(ROOMY, KEY);
    let entries: Vec<_> = (0..10).map(|n| remembered(n, n as u64 * 10, 1)).collect();
    entries[..4].iter().for_each(|entry| table.remember(*entry));
    let between = table.end();
    entries[4..].iter().for_each(|entry| table.remember(*entry));
    let copied = |table: &Table, places| table.copied(places).collect::<Vec<_>>();
    assert_eq!(copied(&table, Place(0)..between), entries[..4]);
    assert_eq!(copied(&table, between..table.end()), entries[4..]);
    assert_eq!((table.oldest(), table.latest()), (Uptime(0), Uptime(90)));
    // The first two expire.
    table.remember(remembered(10, 110, 1));
    assert_eq!(copied(&table, Place(0)..between), entries[2..4]);
    assert_eq!(table.oldest(), Uptime(20));
    assert_eq!(copied(&table, Place(0)..Place(1)), []);
}
