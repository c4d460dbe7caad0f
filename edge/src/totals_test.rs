//! Walks over a real ledger and table, while both change between pages.

use std::sync::Arc;
use std::time::Duration;

use tributary_proto::{BootId, EdgeId};
use tributary_spanmetrics::codec::Writer;
use tributary_spanmetrics::{Interned, Labels, Partial, SPAN_WEIGHT, WindowEnd};
use tributary_store::log::Index;

use super::*;
use crate::record::{Record, Scope};

const SOURCE: SourceId = SourceId { edge: EdgeId([7; 16]), boot: BootId([1; 8]) };
const ENDED: Scope = Scope::Ended { ahead_ms: 30_000 };

struct World {
    groups: Arc<Groups>,
    ledger: Ledger,
    layout: Layout,
    next: u64,
}

impl World {
    fn new() -> Self {
        let groups = Arc::new(Groups::new(1_000_000, Labels::default()));
        let mut ledger = Ledger::new(4, groups.clone());
        ledger.take_in(Index(0), Record::Boot { source: SOURCE }).expect("names nothing");
        let layout = Layout::default();
        ledger.know(&layout);
        World { groups, ledger, layout, next: 1 }
    }

    fn intern(&self, tenant: &Tenant, name: &str) -> Interned {
        let group = Group {
            service: "shop".into(),
            span_name: name.into(),
            kind: Default::default(),
            status: Default::default(),
            dimensions: Labels::default(),
            external: Labels::default(),
        };
        let mut w = Writer::new();
        group.encode(&mut w);
        let encoded = w.into_bytes();
        let mut interned = None;
        self.groups.intern(tenant, [(group.id(tenant), &encoded[..])].into_iter(), |_, found| {
            interned = Some(found);
        });
        interned.expect("one was asked for")
    }

    /// A span of 3 ms of each, in the window that ends at the second.
    fn count(&mut self, tenant: &Tenant, names: &[String], end_s: i64) {
        let mut partial = Partial::new(self.layout.id());
        let window = partial.add_window(WindowEnd(end_s * 1000));
        for name in names {
            let Interned { slot, number, .. } = self.intern(tenant, name);
            partial.add_cell(slot, number, window, self.layout.bucket(3_000_000), 3000);
        }
        self.ledger.merge(Index(self.next), SOURCE, &partial);
        self.next += 1;
    }

    fn seal(&mut self, to_s: i64) {
        let seal = self.ledger.prepare_seal(SOURCE, ENDED, to_s * 1000).expect("has something");
        self.ledger.take_in(Index(self.next), Record::Seal(seal)).expect("names nothing");
        self.next += 1;
    }

    fn page(&self, tenant: &Tenant, from: Option<Place>) -> TotalsPage {
        let shown = Shown { ledger: &self.ledger, groups: &self.groups, source: Some(SOURCE) };
        shown.page(tenant, from).decode()
    }

    /// Walks to the end; between two pages `meanwhile` happens. Answers each row's name and spans.
    fn walk(&mut self, mut meanwhile: impl FnMut(&mut World)) -> Vec<(String, u64)> {
        let (mut found, mut from) = (Vec::new(), None);
        loop {
            let page = self.page(&Tenant::default(), from);
            assert!(page.rows.len() <= PAGE_ROWS);
            found.extend(page.rows.into_iter().map(|row| {
                let [(_, delta)] = &row.by_layout[..] else { panic!("of one layout") };
                (row.group.span_name, delta.count / SPAN_WEIGHT)
            }));
            match page.next {
                None => return found,
                next => from = next,
            }
            meanwhile(self);
        }
    }
}

fn names(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|n| format!("op {n}")).collect()
}

#[test]
fn a_walk_shows_each_group_once_with_what_is_sealed_and_what_is_open() {
    let mut world = World::new();
    let (tenant, all) = (Tenant::default(), names(0..1300));
    world.count(&tenant, &all, 10);
    world.seal(10);
    world.count(&tenant, &all[..700], 20);
    world.count(&tenant, &all[..100], 30);
    let mut pages = 1;
    let found = world.walk(|_| pages += 1);
    let expected = (0..1300).map(|n| match n {
        0..100 => 3,
        100..700 => 2,
        _ => 1,
    });
    assert_eq!(found, all.iter().cloned().zip(expected).collect::<Vec<_>>());
    assert_eq!(pages, 3);
}

#[test]
fn groups_that_come_between_pages_are_left_to_the_next_walk() {
    let mut world = World::new();
    let tenant = Tenant::default();
    let old = names(0..600);
    world.count(&tenant, &old, 10);
    let mut more = 600;
    let found = world.walk(|world| {
        world.count(&tenant, &names(more..more + 600), 10);
        more += 600;
    });
    assert_eq!(found.len(), 600, "of those that were there at the beginning");
    assert!(more > 600, "some came meanwhile");
    let found = world.walk(|_| {});
    assert_eq!(found.len(), more);
}

#[test]
fn a_slot_that_is_used_again_between_pages_shows_nobody_twice() {
    let mut world = World::new();
    let tenant = Tenant::default();
    let all = names(0..1200);
    world.count(&tenant, &all, 10);
    world.seal(10);
    // The second half lives on; the first is forgotten between two pages, and comes back at once in
    // slots of its own, on both sides of the place.
    world.ledger.has_run(Duration::from_secs(90));
    world.count(&tenant, &all[600..], 100);
    world.seal(100);
    let mut done = false;
    let found = world.walk(|world| {
        if !std::mem::replace(&mut done, true) {
            assert_eq!(world.ledger.retire(Duration::from_secs(60)), 600);
            // The slots rest until the next look.
            assert_eq!(world.ledger.retire(Duration::from_secs(60)), 0);
            world.count(&tenant, &all[..600], 110);
        }
    });
    let mut shown: Vec<_> = found.iter().map(|(name, _)| name.clone()).collect();
    shown.sort();
    shown.dedup();
    assert_eq!(shown.len(), found.len(), "nobody twice");
    for name in &all[600..] {
        assert!(found.contains(&(name.clone(), 2)), "{name} was there all the while");
    }
    assert!(done && found.len() < 1200);
    let again = world.walk(|_| {});
    assert_eq!(again.len(), 1200);
    assert!(again.contains(&("op 0".into(), 1)), "what is forgotten begins at zero");
}

#[test]
fn groups_without_anything_and_other_tenants_are_not_shown() {
    let mut world = World::new();
    let (tenant, other) = (Tenant::default(), Tenant::new("other").expect("valid"));
    let idle = world.intern(&tenant, "never merged");
    world.count(&other, &names(0..10), 10);
    world.count(&tenant, &names(10..12), 10);
    let shown = |world: &mut World| world.walk(|_| {}).into_iter().map(|(name, _)| name);
    assert!(shown(&mut world).eq(names(10..12)));
    assert_eq!(world.page(&other, None).rows.len(), 10);
    assert!(world.groups.read().is_known(idle.slot));
}

#[test]
fn a_page_looks_at_few_slots_even_where_nobody_is_shown() {
    let mut world = World::new();
    let other = Tenant::new("other").expect("valid");
    world.count(&other, &names(0..PAGE_SLOTS + 1), 10);
    let page = world.page(&Tenant::default(), None);
    assert!(page.rows.is_empty());
    assert_eq!(page.next.expect("there is more").slot, Slot(PAGE_SLOTS as u32));
}

#[test]
fn groups_are_found_by_id() {
    let mut world = World::new();
    let tenant = Tenant::default();
    world.count(&tenant, &names(0..3), 10);
    let ids: Vec<_> = world.page(&tenant, None).rows.iter().map(|row| row.id).collect();
    let shown = Shown { ledger: &world.ledger, groups: &world.groups, source: Some(SOURCE) };
    let unknown = GroupId(1);
    let rows = shown.groups(&tenant, &[ids[2], unknown, ids[0]]).decode().rows;
    assert_eq!(rows.iter().map(|row| row.id).collect::<Vec<_>>(), [ids[2], ids[0]]);
}
