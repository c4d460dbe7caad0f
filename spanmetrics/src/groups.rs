//! The groups that an edge knows, by small numbers.
//!
//! A group is looked up by its id once and from then on is a [`Slot`], an index into tables, and a
//! [`GroupNumber`], its name in the journal. Slots are used again; numbers never are in one process, so
//! a number in a record can only mean the group that it was given to.
//!
//! **Bounded.** Beyond the limit a tenant's new groups are one, the overflow group: totals stay exact,
//! the attributes do not. What nobody uses is retired, and makes room again.
//!
//! **Retiring while requests are under way.** A request that was walked before a group was retired may
//! still name its slot. So a retired slot rests until the last request of its [`Generation`] is gone, and
//! one that is named meanwhile comes back.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak,
};

use hashbrown::HashTable;

use crate::codec::Writer;
use crate::group::{Group, GroupId, SpanKind, StatusCode};
use crate::labels::Labels;
use crate::tenant::Tenant;

/// A group's place in this process's tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub u32);

/// A group's name in the journal, together with the source that gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupNumber(pub u32);

/// Held by requests that name slots. Two are equal when no group was retired between them.
#[derive(Clone, Debug)]
pub struct Generation(Arc<()>);

impl PartialEq for Generation {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// Says which generation it was, and keeps no slot from being used again.
#[derive(Clone, Debug)]
pub struct PastGeneration(Weak<()>);

impl Generation {
    pub fn past(&self) -> PastGeneration {
        PastGeneration(Arc::downgrade(&self.0))
    }
}

impl PartialEq<Generation> for PastGeneration {
    fn eq(&self, other: &Generation) -> bool {
        // The weak one keeps its address from being given to another.
        std::ptr::eq(self.0.as_ptr(), Arc::as_ptr(&other.0))
    }
}

/// A group as the table knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interned {
    pub slot: Slot,
    pub number: GroupNumber,
    /// The tenant's overflow group took its place.
    pub overflowed: bool,
}

/// The attribute of an overflow group, as OpenTelemetry's SDKs name it.
const OVERFLOW: &str = "otel.metric.overflow";

#[derive(Debug)]
pub struct Groups {
    limit: AtomicUsize,
    /// The edge's own labels, which overflow groups have too.
    external: Labels,
    table: RwLock<Table>,
    /// Beside the table: a request of groups that are known asks for nothing else, and must not wait for
    /// those who read or write it. Changed by who writes the table.
    generation: Mutex<Generation>,
}

#[derive(Debug)]
struct Table {
    by_id: HashTable<u32>,
    entries: Vec<Entry>,
    tenants: Vec<Tenant>,
    free: Vec<u32>,
    resting: Vec<Resting>,
    next_number: u32,
    encoded_bytes: usize,
}

#[derive(Debug)]
struct Entry {
    id: GroupId,
    /// The group's own encoding.
    encoded: Box<[u8]>,
    tenant: u32,
    number: GroupNumber,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Known,
    Resting,
    Free,
}

/// Slots retired together, and the generation that may still name them.
#[derive(Debug)]
struct Resting {
    generation: Generation,
    slots: Vec<u32>,
}

/// A group's definition.
#[derive(Clone, Copy, Debug)]
pub struct Definition<'a> {
    pub id: GroupId,
    pub number: GroupNumber,
    pub tenant: &'a Tenant,
    /// Its place among all tenants, which it keeps.
    pub tenant_at: u32,
    pub encoded: &'a [u8],
}

impl Groups {
    pub fn new(limit: usize, external: Labels) -> Self {
        let table = Table {
            by_id: HashTable::new(),
            entries: Vec::new(),
            tenants: Vec::new(),
            free: Vec::new(),
            resting: Vec::new(),
            next_number: 0,
            encoded_bytes: 0,
        };
        Groups {
            limit: AtomicUsize::new(limit),
            external,
            table: RwLock::new(table),
            generation: Mutex::new(Generation(Arc::default())),
        }
    }

    pub fn generation(&self) -> Generation {
        self.current().clone()
    }

    pub fn read(&self) -> Definitions<'_> {
        Definitions(self.reading())
    }

    /// From now on new groups beyond this many fold into the overflow group.
    pub fn set_limit(&self, limit: usize) {
        self.limit.store(limit, Relaxed);
    }

    /// Bytes that the table holds.
    pub fn bytes(&self) -> usize {
        let table = self.reading();
        table.entries.capacity() * size_of::<Entry>()
            + table.by_id.allocation_size()
            + table.encoded_bytes
    }

    /// Groups in use.
    pub fn len(&self) -> usize {
        self.reading().by_id.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Looks up groups of one tenant by id and encoding, adding those that are new.
    pub fn intern<'a>(
        &self,
        tenant: &Tenant,
        wanted: impl Iterator<Item = (GroupId, &'a [u8])>,
        mut found: impl FnMut(usize, Interned),
    ) {
        let mut table = self.writing();
        let tenant_at = table.tenant(tenant);
        for (at, (id, encoded)) in wanted.enumerate() {
            found(at, table.intern(tenant_at, id, encoded, self));
        }
    }

    /// Looks up or adds groups whatever the limit: those of a journal count as what they were.
    pub fn intern_all<'a>(
        &self,
        tenant: &Tenant,
        wanted: impl Iterator<Item = (GroupId, &'a [u8])>,
        mut found: impl FnMut(usize, Interned),
    ) {
        let mut table = self.writing();
        let tenant_at = table.tenant(tenant);
        for (at, (id, encoded)) in wanted.enumerate() {
            let slot = table.find(id).unwrap_or_else(|| table.add(tenant_at, id, encoded));
            found(at, table.interned(slot, false));
        }
    }

    /// The slot that a group has now which had `slot` when a request was walked.
    pub fn revive(&self, slot: Slot) -> Slot {
        self.writing().revive(slot)
    }

    /// Retires the groups that `is_used` knows nothing of; answers how many.
    pub fn retire(&self, mut is_used: impl FnMut(Slot) -> bool) -> usize {
        let mut table = self.writing();
        table.free_rested();
        let slots = table.retire(&mut is_used);
        let retired = slots.len();
        if retired > 0 {
            let generation = std::mem::replace(&mut *self.current(), Generation(Arc::default()));
            table.resting.push(Resting { generation, slots });
        }
        retired
    }

    fn current(&self) -> MutexGuard<'_, Generation> {
        self.generation.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // A panicking holder leaves at most a slot that nobody names: every step keeps the table whole.
    fn reading(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn writing(&self) -> RwLockWriteGuard<'_, Table> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The table, held still.
pub struct Definitions<'a>(RwLockReadGuard<'a, Table>);

impl Definitions<'_> {
    pub fn get(&self, slot: Slot) -> Definition<'_> {
        let &Entry { id, number, tenant: tenant_at, ref encoded, .. } =
            &self.0.entries[slot.0 as usize];
        let tenant = &self.0.tenants[tenant_at as usize];
        Definition { id, number, tenant, tenant_at, encoded }
    }

    /// All that there are; none goes.
    pub fn tenants(&self) -> &[Tenant] {
        &self.0.tenants
    }

    /// The slot of a group that is known.
    pub fn find(&self, id: GroupId) -> Option<Slot> {
        self.0.find(id).map(Slot)
    }

    /// What the next new group is called: all that are known have lower numbers.
    pub fn next_number(&self) -> GroupNumber {
        GroupNumber(self.0.next_number)
    }

    /// One more than the highest slot.
    pub fn slots(&self) -> usize {
        self.0.entries.len()
    }

    pub fn is_known(&self, slot: Slot) -> bool {
        self.0.entries.get(slot.0 as usize).is_some_and(|entry| entry.state == State::Known)
    }
}

impl Table {
    fn tenant(&mut self, tenant: &Tenant) -> u32 {
        let found = self.tenants.iter().position(|known| known == tenant);
        let at = found.unwrap_or_else(|| {
            self.tenants.push(tenant.clone());
            self.tenants.len() - 1
        });
        at as u32
    }

    fn find(&self, id: GroupId) -> Option<u32> {
        let entries = &self.entries;
        self.by_id.find(hash(id), |&slot| entries[slot as usize].id == id).copied()
    }

    fn intern(&mut self, tenant: u32, id: GroupId, encoded: &[u8], of: &Groups) -> Interned {
        match self.find(id) {
            Some(slot) => self.interned(slot, false),
            None if self.by_id.len() < of.limit.load(Relaxed) => {
                let slot = self.add(tenant, id, encoded);
                self.interned(slot, false)
            }
            None => {
                let overflow = overflow_group(&of.external);
                let id = overflow.id(&self.tenants[tenant as usize]);
                let mut w = Writer::new();
                overflow.encode(&mut w);
                let slot = self.find(id).unwrap_or_else(|| self.add(tenant, id, &w.into_bytes()));
                self.interned(slot, true)
            }
        }
    }

    fn interned(&self, slot: u32, overflowed: bool) -> Interned {
        let number = self.entries[slot as usize].number;
        Interned { slot: Slot(slot), number, overflowed }
    }

    fn add(&mut self, tenant: u32, id: GroupId, encoded: &[u8]) -> u32 {
        let number = GroupNumber(self.next_number);
        self.next_number = self.next_number.checked_add(1).expect("fewer than 2^32 groups a start");
        let entry = Entry { id, encoded: encoded.into(), tenant, number, state: State::Known };
        self.encoded_bytes += encoded.len();
        let slot = match self.free.pop() {
            Some(slot) => {
                self.entries[slot as usize] = entry;
                slot
            }
            None => {
                self.entries.push(entry);
                (self.entries.len() - 1) as u32
            }
        };
        self.index(slot);
        slot
    }

    fn index(&mut self, slot: u32) {
        let entries = &self.entries;
        let id = entries[slot as usize].id;
        self.by_id.insert_unique(hash(id), slot, |&slot| hash(entries[slot as usize].id));
    }

    fn revive(&mut self, slot: Slot) -> Slot {
        let entry = &mut self.entries[slot.0 as usize];
        if entry.state == State::Known {
            return slot;
        }
        debug_assert_eq!(entry.state, State::Resting, "a free slot is named by nobody");
        let id = entry.id;
        if let Some(again) = self.find(id) {
            return Slot(again);
        }
        self.entries[slot.0 as usize].state = State::Known;
        self.index(slot.0);
        slot
    }

    fn retire(&mut self, is_used: &mut impl FnMut(Slot) -> bool) -> Vec<u32> {
        let mut slots = Vec::new();
        for slot in 0..self.entries.len() as u32 {
            if self.entries[slot as usize].state == State::Known && !is_used(Slot(slot)) {
                self.entries[slot as usize].state = State::Resting;
                let entries = &self.entries;
                let id = entries[slot as usize].id;
                if let Ok(found) =
                    self.by_id.find_entry(hash(id), |&slot| entries[slot as usize].id == id)
                {
                    found.remove();
                }
                slots.push(slot);
            }
        }
        slots
    }

    /// In order: a request of an older generation may name what a younger one retired.
    fn free_rested(&mut self) {
        while let Some(oldest) = self.resting.first()
            && Arc::strong_count(&oldest.generation.0) == 1
        {
            for slot in self.resting.remove(0).slots {
                let entry = &mut self.entries[slot as usize];
                if entry.state == State::Resting {
                    entry.state = State::Free;
                    self.encoded_bytes -= entry.encoded.len();
                    entry.encoded = Box::default();
                    self.free.push(slot);
                }
            }
        }
    }
}

/// An id is a hash already.
fn hash(id: GroupId) -> u64 {
    id.0 as u64
}

fn overflow_group(external: &Labels) -> Group {
    Group {
        service: String::new(),
        span_name: String::new(),
        kind: SpanKind::default(),
        status: StatusCode::default(),
        dimensions: Labels::from_pairs([(OVERFLOW, "true")]),
        external: external.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intern(groups: &Groups, name: &str) -> Interned {
        let tenant = Tenant::default();
        let group = Group { span_name: name.into(), ..overflow_group(&Labels::default()) };
        let mut w = Writer::new();
        group.encode(&mut w);
        let encoded = w.into_bytes();
        let mut interned = None;
        groups.intern(&tenant, [(group.id(&tenant), &encoded[..])].into_iter(), |_, found| {
            interned = Some(found);
        });
        interned.expect("one was asked for")
    }

    #[test]
    fn a_group_keeps_its_slot_while_it_is_known() {
        let groups = Groups::new(10, Labels::default());
        let (a, b) = (intern(&groups, "a"), intern(&groups, "b"));
        assert_ne!(a.slot, b.slot);
        assert_eq!(intern(&groups, "a"), a);
        let definitions = groups.read();
        assert_eq!(definitions.get(a.slot).number, a.number);
        assert_eq!(definitions.find(definitions.get(b.slot).id), Some(b.slot));
        assert!(b.number < definitions.next_number());
        assert!(definitions.is_known(b.slot));
    }

    #[test]
    fn beyond_the_limit_new_groups_are_one() {
        let groups = Groups::new(2, Labels::default());
        let known = [intern(&groups, "a"), intern(&groups, "b")];
        let over = [intern(&groups, "c"), intern(&groups, "d")];
        assert!(known.iter().all(|group| !group.overflowed));
        assert!(over.iter().all(|group| group.overflowed && group.slot == over[0].slot));
        assert_eq!(intern(&groups, "a"), known[0]);
        assert_eq!(groups.len(), 3);
    }

    #[test]
    fn a_retired_slot_rests_until_its_generation_is_gone() {
        let groups = Groups::new(10, Labels::default());
        let a = intern(&groups, "a");
        let request = groups.generation();
        assert_eq!(groups.retire(|_| false), 1);
        assert_ne!(groups.generation(), request);
        assert_eq!(groups.retire(|_| false), 0, "the request is still there");
        assert_ne!(intern(&groups, "b").slot, a.slot);
        let past = request.past();
        assert!(past == request && past != groups.generation());
        drop(request);
        assert_eq!(groups.retire(|_| true), 0);
        let c = intern(&groups, "c");
        assert_eq!(c.slot, a.slot);
        assert_ne!(c.number, a.number, "a number is never given twice");
    }

    #[test]
    fn a_group_that_is_named_while_it_rests_comes_back() {
        let groups = Groups::new(10, Labels::default());
        let (a, b) = (intern(&groups, "a"), intern(&groups, "b"));
        let _request = groups.generation();
        assert_eq!(groups.retire(|_| false), 2);
        let again = intern(&groups, "b");
        assert_eq!(groups.revive(a.slot), a.slot);
        assert_eq!(groups.revive(b.slot), again.slot, "it is known under another slot by now");
        assert_eq!(intern(&groups, "a"), a);
    }
}
