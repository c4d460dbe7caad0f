//! Scripts: what was journalled, and what the ledger made of it. A replay of the same records must
//! make the same of it.

use std::fmt::Write;

use tributary_proto::{BootId, EdgeId};
use tributary_spanmetrics::{ConfigVersion, Group, Labels, Tenant};

use super::*;
use crate::dedup::{Fingerprint, Uptime};
use crate::ingest::TraceAnswer;
use crate::record::RequestHead;

const SHARDS: u16 = 4;
const ENDED: Scope = Scope::Ended { ahead_ms: 30_000 };
const AGAIN: Scope = Scope::Again { ahead_ms: 30_000 };

/// A journal in memory and the ledger that lives beside it.
struct Life {
    journal: BTreeMap<Index, Record>,
    next: u64,
    ledger: Ledger,
    /// What each seal that is not settled had for the shards.
    unsettled: BTreeMap<Index, Vec<Slice>>,
    script: String,
}

fn source(boot: u8) -> SourceId {
    SourceId { edge: EdgeId([7; 16]), boot: BootId([boot; 8]) }
}

const SERVICES: [&str; 4] = ["cart", "pay", "mail", "search"];

/// Stands in every segment, and here before every journal.
fn define(boot: u8) -> Record {
    let groups = SERVICES.iter().zip(0..).map(|(service, number)| Defined {
        number: GroupNumber(number),
        tenant: Tenant::default(),
        group: Group {
            service: (*service).into(),
            span_name: "GET /".into(),
            kind: Default::default(),
            status: Default::default(),
            dimensions: Labels::default(),
            external: Labels::default(),
        },
    });
    let (layouts, groups) = (vec![Layout::default()], groups.collect());
    Record::Define(Define { source: source(boot), layouts, groups })
}

/// One span of 3 ms for each service, in the window that ends at the second.
fn partial(spans: &[(&str, i64)]) -> Partial {
    let layout = Layout::default();
    let mut partial = Partial::new(layout.id());
    for (service, end_s) in spans {
        let end = WindowEnd(end_s * 1000);
        let known = partial.windows.iter().position(|known| *known == end);
        let window = known.map_or_else(|| partial.add_window(end), |known| known as u32);
        let number = SERVICES.iter().position(|known| known == service).expect("one of them");
        let number = GroupNumber(number as u32);
        partial.add_cell(Slot(u32::MAX), number, window, layout.bucket(3_000_000), 3000);
    }
    partial
}

fn request(boot: u8, spans: &[(&str, i64)]) -> Record {
    let answer = TraceAnswer { accepted: spans.len() as u64, late: 0, future: 0 };
    let head = RequestHead {
        source: source(boot),
        tenant: Tenant::default(),
        fingerprint: Fingerprint(1),
        config: ConfigVersion(1),
        arrival_ns: 1,
        uptime: Uptime(1),
        answer,
    };
    Record::decode(&head.record(&partial(spans))).expect("its own")
}

fn ledger() -> Ledger {
    Ledger::new(SHARDS, Arc::new(Groups::new(10, Labels::default())))
}

impl Life {
    fn new() -> Self {
        let mut ledger = ledger();
        for boot in 1..=3 {
            ledger.take_in(Index(0), define(boot)).expect("it names nothing");
        }
        Life {
            journal: BTreeMap::new(),
            next: 1,
            ledger,
            unsettled: BTreeMap::new(),
            script: String::new(),
        }
    }

    fn boot(&mut self, boot: u8) {
        let at = self.append(Record::Boot { source: source(boot) });
        self.note(at, &format!("boot {boot}"));
    }

    fn request(&mut self, boot: u8, spans: &[(&str, i64)]) {
        let at = self.append(request(boot, spans));
        let spans: Vec<_> = spans.iter().map(|(service, end)| format!("{service}@{end}")).collect();
        self.note(at, &format!("request {boot}: {}", spans.join(" ")));
    }

    fn seal(&mut self, boot: u8, scope: Scope, to_s: i64) -> Option<Index> {
        let to = if scope == Scope::Whole { "whole".into() } else { format!("to {to_s}") };
        let what = format!("seal {boot} {to}");
        let Some(seal) = self.ledger.prepare_seal(source(boot), scope, to_s * 1000) else {
            writeln!(self.script, "- {what}: nothing to take").unwrap();
            return None;
        };
        let at = self.append(Record::Seal(seal));
        let named =
            self.unsettled[&at].iter().map(|slice| format!(" {}#{}", slice.shard, slice.seq));
        let named: String = named.collect();
        self.note(at, &format!("{what}:{named}"));
        Some(at)
    }

    /// Every shard answers the seal, and that is noted and trimmed behind.
    fn settle(&mut self, seal: Index) {
        for _ in 1..self.unsettled[&seal].len() {
            assert!(!self.ledger.answered(seal), "another shard is waited for");
        }
        assert!(self.ledger.answered(seal), "that was the last");
        let at = self.append(self.ledger.standing(Some(seal)));
        let from = self.ledger.needs_from(at);
        self.journal.retain(|at, _| *at >= from);
        self.note(at, &format!("settled {}, needed from {}", seal.0, from.0));
    }

    fn close(&mut self, boot: u8) {
        assert!(self.ledger.is_drained(source(boot)));
        let at = self.append(Record::Closed { source: source(boot) });
        self.note(at, &format!("closed {boot}"));
    }

    fn append(&mut self, record: Record) -> Index {
        let at = Index(self.next);
        self.next += 1;
        self.journal.insert(at, record.clone());
        if let Some(sealed) = self.ledger.take_in(at, record).expect("all is defined") {
            self.unsettled.insert(at, sealed.slices);
        }
        self.unsettled.retain(|seal, _| self.ledger.is_unsettled(*seal));
        at
    }

    fn note(&mut self, at: Index, what: &str) {
        writeln!(self.script, "{} {what}; backlog {}", at.0, self.ledger.backlog()).unwrap();
    }

    /// The process ends; the next one reads what is left of the journal.
    fn crash(&mut self) {
        let mut next = Life::new();
        for (at, record) in &self.journal {
            let record = Record::decode(&record.encode().into()).expect("the journal can be read");
            next.next = at.0;
            next.append(record);
        }
        next.script = std::mem::take(&mut self.script);
        // Slices compare with their payloads, byte for byte, and with their digests and names.
        assert_eq!(next.unsettled, self.unsettled, "the unsettled seals after the replay");
        for boot in 1..=3 {
            let last = |ledger: &Ledger| -> Vec<_> {
                (0..SHARDS).map(|shard| ledger.last(source(boot), ShardId(shard))).collect()
            };
            assert_eq!(last(&next.ledger), last(&self.ledger), "numbers of boot {boot}");
        }
        let end = Index(self.next);
        assert_eq!(next.ledger.needs_from(end), self.ledger.needs_from(end));
        assert_eq!(next.ledger.old_sources_of(None), self.ledger.old_sources_of(None));
        let first = self.journal.keys().next().map_or(self.next, |at| at.0);
        *self = next;
        writeln!(self.script, "- crash, replay from {first}; backlog {}", self.ledger.backlog())
            .unwrap();
    }
}

#[test]
fn a_replay_derives_the_same_slices_under_the_same_names() {
    let mut life = Life::new();
    life.boot(1);
    life.request(1, &[("cart", 10), ("pay", 10), ("mail", 20)]);
    life.request(1, &[("cart", 10), ("pay", 20)]);
    life.crash();
    let first = life.seal(1, ENDED, 10).expect("a window ended");
    life.crash();
    life.request(1, &[("cart", 10), ("search", 20)]);
    let second = life.seal(1, ENDED, 20).expect("a window ended");
    assert_eq!(life.seal(1, ENDED, 30), None);
    life.crash();
    life.settle(first);
    life.crash();
    life.settle(second);
    life.crash();
    // The head with all earlier seals is gone, and the numbers go on.
    life.request(1, &[("cart", 30), ("pay", 30), ("mail", 30), ("search", 40)]);
    life.seal(1, ENDED, 30).expect("a window ended");
    life.crash();
    // A second start: what the first left open is sealed whole, at once.
    life.boot(2);
    life.request(2, &[("cart", 40)]);
    let whole = life.seal(1, Scope::Whole, 0).expect("a window is open");
    assert_eq!(life.ledger.old_sources_of(Some(source(2))), [source(1)]);
    life.crash();
    assert!(!life.ledger.is_drained(source(1)), "two of its seals are not settled");
    let third = *life.unsettled.keys().next().expect("it is not settled");
    life.settle(whole);
    life.crash();
    life.settle(third);
    life.close(1);
    life.crash();
    assert_eq!(life.ledger.old_sources_of(Some(source(2))), []);
    assert_eq!(life.ledger.last(source(1), ShardId(0)), Seq(0), "nothing is known of it");
    life.seal(2, ENDED, 40).expect("a window ended");
    life.crash();
    assert_eq!(life.script, SCRIPT, "\n{}", life.script);
}

/// `2#1` is a slice: its shard and its seq.
const SCRIPT: &str = "\
1 boot 1; backlog 0
2 request 1: cart@10 pay@10 mail@20; backlog 0
3 request 1: cart@10 pay@20; backlog 0
- crash, replay from 1; backlog 0
4 seal 1 to 10: 1#1; backlog 1
- crash, replay from 1; backlog 1
5 request 1: cart@10 search@20; backlog 1
6 seal 1 to 20: 1#2 2#1 3#1; backlog 2
- seal 1 to 30: nothing to take
- crash, replay from 1; backlog 2
7 settled 4, needed from 2; backlog 1
- crash, replay from 2; backlog 1
8 settled 6, needed from 8; backlog 0
- crash, replay from 8; backlog 0
9 request 1: cart@30 pay@30 mail@30 search@40; backlog 0
10 seal 1 to 30: 1#3 3#2; backlog 1
- crash, replay from 8; backlog 1
11 boot 2; backlog 1
12 request 2: cart@40; backlog 1
13 seal 1 whole: 2#2; backlog 2
- crash, replay from 8; backlog 2
14 settled 13, needed from 9; backlog 2
- crash, replay from 9; backlog 2
15 settled 10, needed from 12; backlog 0
16 closed 1; backlog 0
- crash, replay from 12; backlog 0
17 seal 2 to 40: 1#1; backlog 1
- crash, replay from 12; backlog 1
";

#[test]
fn the_note_that_restates_the_numbers_outlives_a_trim_with_later_windows_open() {
    let mut life = Life::new();
    life.boot(1);
    life.request(1, &[("cart", 10), ("pay", 10)]);
    let seal = life.seal(1, ENDED, 10).expect("a window ended");
    life.settle(seal);
    // Everything in the journal is younger than the note, and no seal restates the numbers.
    life.request(1, &[("cart", 20)]);
    let noted_at = Index(seal.0 + 1);
    assert_eq!(life.ledger.needs_from(noted_at), noted_at);
    let from = life.ledger.needs_from(noted_at);
    life.journal.retain(|at, _| *at >= from);
    life.crash();
    assert_eq!(life.ledger.last(source(1), ShardId(1)), Seq(1));
}

#[test]
fn a_settled_seal_whose_head_is_partly_gone_changes_nothing() {
    // Segments are trimmed whole, so of a settled seal's requests some may still be there, or none.
    let mut life = Life::new();
    life.boot(1);
    life.request(1, &[("cart", 10), ("pay", 10)]);
    life.request(1, &[("mail", 10), ("search", 10)]);
    let untrimmed = life.journal.clone();
    let first = life.seal(1, ENDED, 10).expect("a window ended");
    life.request(1, &[("cart", 20), ("mail", 20)]);
    let second = life.seal(1, ENDED, 20).expect("a window ended");
    let seal = life.journal[&first].clone();
    life.settle(first);
    assert!(!life.journal.contains_key(&first) && life.unsettled.contains_key(&second));
    for kept in 2..=4 {
        life.journal.insert(first, seal.clone());
        life.journal.extend(untrimmed.range(Index(kept)..).map(|(at, r)| (*at, r.clone())));
        life.crash();
        life.journal.retain(|at, _| *at > first);
    }
}

#[test]
fn the_backlog_counts_from_the_oldest_unsettled_seal() {
    let mut life = Life::new();
    life.boot(1);
    assert_eq!(life.ledger.backlog(), 0);
    let seals: Vec<_> = (1..=5)
        .map(|window| {
            life.request(1, &[("cart", window * 10)]);
            life.seal(1, ENDED, window * 10).expect("a window ended")
        })
        .collect();
    assert_eq!(life.ledger.backlog(), 5);
    life.settle(seals[2]);
    assert_eq!((life.ledger.backlog(), life.ledger.unsettled()), (5, 4));
    life.settle(seals[0]);
    assert_eq!((life.ledger.backlog(), life.ledger.unsettled()), (4, 3));
    for seal in [1, 3, 4] {
        life.settle(seals[seal]);
    }
    assert_eq!((life.ledger.backlog(), life.ledger.unsettled()), (0, 0));
}

#[test]
fn an_answer_to_a_seal_that_is_settled_is_nobodys_last() {
    let mut life = Life::new();
    life.boot(1);
    life.request(1, &[("cart", 10)]);
    let seal = life.seal(1, ENDED, 10).expect("a window ended");
    life.settle(seal);
    assert!(!life.ledger.answered(seal));
}

#[test]
fn a_seal_that_finds_nothing_has_no_slices_and_is_not_waited_for() {
    let mut ledger = ledger();
    let numbers = vec![Seq(4), Seq(3), Seq(2), Seq(1)];
    let seal = Seal {
        source: source(1),
        scope: Scope::Whole,
        sealed_to_ms: 0,
        numbers: numbers.clone(),
        shards: BTreeSet::new(),
    };
    let sealed = ledger.take_in(Index(9), Record::Seal(seal)).expect("it names nothing");
    let sealed = sealed.expect("a seal answers");
    assert_eq!((sealed.slices.len(), ledger.unsettled(), ledger.backlog()), (0, 0, 0));
    let last: Vec<_> = (0..SHARDS).map(|shard| ledger.last(source(1), ShardId(shard))).collect();
    assert_eq!(last, numbers, "its numbers stand all the same");
}

#[test]
fn a_request_that_names_what_nothing_defines_is_told_and_changes_nothing() {
    let mut ledger = ledger();
    ledger.take_in(Index(1), Record::Boot { source: source(1) }).expect("it names nothing");
    let unreadable = ledger.take_in(Index(2), request(1, &[("cart", 10)]));
    assert_eq!(unreadable.unwrap_err(), DecodeError::Bad("layout: not defined before"));
    assert!(ledger.is_drained(source(1)));
    // Another source's definitions are not this one's.
    ledger.take_in(Index(3), define(2)).expect("it names nothing");
    let unreadable = ledger.take_in(Index(4), request(1, &[("cart", 10)]));
    assert_eq!(unreadable.unwrap_err(), DecodeError::Bad("group: not defined before"));
    ledger.take_in(Index(5), request(2, &[("cart", 10)])).expect("defined");
}

/// What the next start makes of a journal that begins with a word.
fn after(word: &Record) -> Ledger {
    let mut next = ledger();
    next.take_in(Index(1), word.clone()).expect("it names no group");
    next
}

#[test]
fn that_a_source_is_touched_outlives_what_touched_it() {
    let mut life = Life::new();
    life.boot(1);
    life.ledger.damaged();
    life.boot(2);
    life.ledger.cut();
    life.boot(3);
    for ledger in [&life.ledger, &after(&life.ledger.standing(None))] {
        let touched = [1, 2, 3].map(|boot| ledger.touched(source(boot)));
        assert_eq!(touched, [Touched::Damaged, Touched::Cut, Touched::Not]);
    }
}

#[test]
fn a_word_ends_what_it_does_not_name() {
    let mut life = Life::new();
    life.boot(1);
    life.boot(2);
    life.request(1, &[("cart", 10), ("pay", 10)]);
    let first = life.seal(1, ENDED, 10).expect("a window ended");
    life.request(1, &[("cart", 20)]);
    let second = life.seal(1, ENDED, 20).expect("a window ended");
    let Record::Standing(mut word) = life.ledger.standing(Some(first)) else { panic!("a word") };
    word.sources.retain(|of| of.source == source(1));
    life.ledger.take_in(Index(life.next), Record::Standing(word)).expect("it names no group");
    assert!(!life.ledger.is_unsettled(first) && life.ledger.is_unsettled(second));
    assert_eq!(life.ledger.old_sources_of(None), [source(1)]);
}

/// Two seals, of which the first is lost, and what becomes of the numbers and of what they took.
fn lost(open: &[(&str, i64)], behind: impl FnOnce(&mut Life)) -> (Life, Vec<Slice>) {
    let mut life = Life::new();
    life.boot(1);
    life.request(1, &[("mail", 10)]);
    life.seal(1, ENDED, 10).expect("a window ended");
    life.request(1, open);
    let lost = life.seal(1, ENDED, 20).expect("a window ended");
    behind(&mut life);
    let mut next = Life::new();
    let mut slices = Vec::new();
    for (at, record) in &life.journal {
        match *at == lost {
            true => next.ledger.damaged(),
            false => {
                let sealed = next.ledger.take_in(*at, record.clone()).expect("all is defined");
                slices = sealed.map_or(slices, |sealed| sealed.slices);
            }
        }
    }
    (next, slices)
}

#[test]
fn a_seal_that_is_lost_takes_what_it_may_have_taken_under_its_own_numbers() {
    let (next, slices) = lost(&[("cart", 20), ("pay", 30)], |life| {
        life.request(1, &[("cart", 30)]);
        life.seal(1, ENDED, 30).expect("a window ended");
    });
    // Of the shard of `cart` and `pay`: the lost one's number with its window, then the next.
    let named: Vec<_> = slices.iter().map(|slice| (slice.shard.0, slice.seq.0)).collect();
    let ends: Vec<Vec<_>> = slices
        .iter()
        .map(|slice| Content::decode(&slice.payload).expect("its own"))
        .map(|content| content.window_ends().map(|end| end.0).collect())
        .collect();
    assert_eq!(named.len(), ends.len());
    let of_lost = ends.iter().position(|ends| *ends == [20_000]).expect("the lost window");
    let behind = ends.iter().rposition(|ends| ends.contains(&30_000)).expect("the next");
    assert!(of_lost < behind && named[of_lost].1 < named[behind].1, "{named:?} {ends:?}");
    assert_eq!(next.ledger.touched(source(1)), Touched::Damaged);
}

#[test]
fn a_lost_seal_may_have_come_as_far_as_one_that_promises_nothing_further() {
    let mut life = Life::new();
    life.boot(1);
    life.request(1, &[("cart", 10)]);
    life.seal(1, ENDED, 20).expect("a window ended");
    // By a clock that is behind the promise: the same window, three times.
    life.request(1, &[("cart", 20)]);
    let lost = life.seal(1, AGAIN, 20).expect("a window ended");
    life.request(1, &[("cart", 20)]);
    let last = life.seal(1, AGAIN, 20).expect("a window ended");
    let mut next = Life::new();
    let mut named = Vec::new();
    for (at, record) in &life.journal {
        if *at == lost {
            next.ledger.damaged();
            continue;
        }
        let sealed = next.ledger.take_in(*at, record.clone()).expect("all is defined");
        named.extend(sealed.into_iter().flat_map(|sealed| sealed.slices).map(|slice| slice.seq.0));
    }
    assert_eq!(life.unsettled[&last][0].seq, Seq(3));
    // A shard that has the second has counted some of it. As the third it would count twice.
    assert_eq!(named, [1, 2]);
}

#[test]
fn what_a_settled_seal_took_that_is_lost_is_dropped() {
    let (mut next, _) = lost(&[("cart", 20), ("pay", 30)], |life| {
        let seal = *life.unsettled.keys().last().expect("it is not settled");
        let word = life.ledger.standing(Some(seal));
        life.append(word);
    });
    let seal = next.ledger.prepare_seal(source(1), Scope::Whole, 0).expect("a window is open");
    let whole = next.ledger.take_in(Index(99), Record::Seal(seal)).expect("it names no group");
    let whole = whole.expect("a seal has slices").slices;
    let ends = whole.iter().flat_map(|slice| {
        let content = Content::decode(&slice.payload).expect("its own");
        content.window_ends().map(|end| end.0).collect::<Vec<_>>()
    });
    assert_eq!(ends.collect::<Vec<_>>(), [30_000], "what was not sealed, and that alone");
}
