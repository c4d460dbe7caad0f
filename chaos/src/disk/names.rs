//! Which name stands for which file: as everybody sees it, as a power cut is sure to leave it, and the
//! operations between.
//!
//! Every operation takes a name away, gives one, or both in one step (a rename). Syncing a folder makes
//! its operations durable, with those that they build on. A cut keeps a prefix of all, a prefix in each
//! folder, or any subset in which nothing stands on what was lost: ext4 promises the first, POSIX no
//! more than the last.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::{OsStr, OsString};

use rand::Rng;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Ino(pub(crate) u64);

pub(crate) type Folder = BTreeMap<OsString, Ino>;
type Tree = HashMap<Ino, Folder>;

/// A place for a name.
type Slot = (Ino, OsString);

#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    live: Tree,
    durable: Tree,
    pending: Vec<Operation>,
}

#[derive(Clone, Debug)]
struct Operation {
    takes: Option<Slot>,
    gives: Option<(Slot, Ino)>,
}

/// What a cut may leave of the operations that no sync covered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    Prefix,
    PrefixByFolder,
    Subset,
}

impl Names {
    pub(crate) fn find(&self, folder: Ino, name: &OsStr) -> Option<Ino> {
        self.live.get(&folder)?.get(name).copied()
    }

    pub(crate) fn folder(&self, folder: Ino) -> impl Iterator<Item = (&OsStr, Ino)> {
        let names = self.live.get(&folder).into_iter().flatten();
        names.map(|(name, ino)| (name.as_os_str(), *ino))
    }

    pub(crate) fn is_empty(&self, folder: Ino) -> bool {
        self.live.get(&folder).is_none_or(Folder::is_empty)
    }

    /// How many names stand for a file.
    pub(crate) fn links(&self, ino: Ino) -> usize {
        self.live.values().flat_map(Folder::values).filter(|named| **named == ino).count()
    }

    pub(crate) fn give(&mut self, folder: Ino, name: &OsStr, ino: Ino) {
        self.change(Operation { takes: None, gives: Some(((folder, name.to_owned()), ino)) });
    }

    pub(crate) fn take(&mut self, folder: Ino, name: &OsStr) {
        self.change(Operation { takes: Some((folder, name.to_owned())), gives: None });
    }

    pub(crate) fn rename(&mut self, from: (Ino, &OsStr), to: (Ino, &OsStr), ino: Ino) {
        let takes = Some((from.0, from.1.to_owned()));
        self.change(Operation { takes, gives: Some(((to.0, to.1.to_owned()), ino)) });
    }

    fn change(&mut self, operation: Operation) {
        operation.apply(&mut self.live);
        self.pending.push(operation);
    }

    /// `fsync` of a folder.
    pub(crate) fn sync(&mut self, folder: Ino) {
        let mut needed = HashSet::new();
        let mut covered = vec![false; self.pending.len()];
        for (at, operation) in self.pending.iter().enumerate().rev() {
            let slots = || operation.slots();
            if slots().any(|slot| slot.0 == folder || needed.contains(slot)) {
                needed.extend(slots().cloned());
                covered[at] = true;
            }
        }
        for (operation, is_covered) in std::mem::take(&mut self.pending).into_iter().zip(covered) {
            if is_covered {
                operation.apply(&mut self.durable);
            } else {
                self.pending.push(operation);
            }
        }
    }

    /// The power goes. What is left is what everybody sees from now on.
    pub(crate) fn cut(&mut self, rng: &mut impl Rng) {
        let left = [Left::Prefix, Left::Prefix, Left::PrefixByFolder, Left::Subset];
        self.cut_to(left[rng.gen_range(0..left.len())], rng);
    }

    fn cut_to(&mut self, left: Left, rng: &mut impl Rng) {
        let pending = std::mem::take(&mut self.pending);
        let loss = 1.0 / (pending.len() as f64 + 1.0);
        let (mut lost_slots, mut closed) = (HashSet::new(), HashSet::new());
        let mut is_over = false;
        for operation in pending {
            let stands_on_lost = match left {
                Left::Prefix => is_over,
                Left::PrefixByFolder => operation.slots().any(|slot| closed.contains(&slot.0)),
                Left::Subset => operation.slots().any(|slot| lost_slots.contains(slot)),
            };
            let chance = if left == Left::Subset { 0.5 } else { loss.max(0.1) };
            if !stands_on_lost && !rng.gen_bool(chance) {
                operation.apply(&mut self.durable);
                continue;
            }
            is_over = true;
            closed.extend(operation.slots().map(|slot| slot.0));
            lost_slots.extend(operation.slots().cloned());
        }
        self.live.clone_from(&self.durable);
    }

    /// Every file and folder that can be reached from `root`, with the folder and name that lead there.
    pub(crate) fn reachable(&self, root: Ino) -> Vec<(Ino, Slot)> {
        let (mut found, mut open) = (Vec::new(), vec![root]);
        while let Some(folder) = open.pop() {
            for (name, ino) in self.folder(folder) {
                found.push((ino, (folder, name.to_owned())));
                open.push(ino);
            }
        }
        found
    }

    /// Whether any name, seen or durable or on its way, stands for it.
    pub(crate) fn named(&self) -> HashSet<Ino> {
        let on_the_way = self.pending.iter().filter_map(|operation| operation.gives.as_ref());
        let trees = self.live.values().chain(self.durable.values());
        trees.flat_map(Folder::values).copied().chain(on_the_way.map(|(_, ino)| *ino)).collect()
    }

    /// Folders that are gone for good.
    pub(crate) fn forget(&mut self, is_gone: impl Fn(Ino) -> bool) {
        self.live.retain(|folder, _| !is_gone(*folder));
        self.durable.retain(|folder, _| !is_gone(*folder));
    }
}

impl Operation {
    fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.takes.iter().chain(self.gives.iter().map(|(slot, _)| slot))
    }

    fn apply(&self, tree: &mut Tree) {
        if let Some((folder, name)) = &self.takes
            && let Some(names) = tree.get_mut(folder)
        {
            names.remove(name);
        }
        if let Some(((folder, name), ino)) = &self.gives {
            tree.entry(*folder).or_default().insert(name.clone(), *ino);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    const ROOT: Ino = Ino(1);
    const SUB: Ino = Ino(2);
    const EVERY: [Left; 3] = [Left::Prefix, Left::PrefixByFolder, Left::Subset];

    fn name(text: &str) -> &OsStr {
        OsStr::new(text)
    }

    /// The names left in both folders, by any of many cuts.
    fn left_by_cuts(names: &Names, left: Left) -> BTreeSet<String> {
        let cut = |seed| {
            let mut names = names.clone();
            names.cut_to(left, &mut StdRng::seed_from_u64(seed));
            let of = |folder| names.folder(folder).map(|(name, ino)| format!("{name:?}{}", ino.0));
            of(ROOT).chain(of(SUB)).collect::<Vec<_>>().join(" ").replace('"', "")
        };
        (0..300).map(cut).collect()
    }

    fn set(expected: &[&str]) -> BTreeSet<String> {
        expected.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_synced_name_stays_and_an_unsynced_one_may_go() {
        let mut names = Names::default();
        names.give(ROOT, name("a"), Ino(10));
        names.sync(ROOT);
        names.give(ROOT, name("b"), Ino(11));
        for left in EVERY {
            assert_eq!(left_by_cuts(&names, left), set(&["a10", "a10 b11"]), "{left:?}");
        }
    }

    #[test]
    fn a_rename_over_another_leaves_one_of_the_two() {
        let mut names = Names::default();
        names.give(ROOT, name("a"), Ino(10));
        names.sync(ROOT);
        names.give(ROOT, name("n"), Ino(11));
        names.rename((ROOT, name("n")), (ROOT, name("a")), Ino(11));
        for left in EVERY {
            assert_eq!(left_by_cuts(&names, left), set(&["a10", "a10 n11", "a11"]), "{left:?}");
        }
    }

    #[test]
    fn only_a_subset_loses_an_earlier_name_and_keeps_a_later_one() {
        let mut names = Names::default();
        names.give(ROOT, name("a"), Ino(10));
        names.give(ROOT, name("b"), Ino(11));
        assert!(!left_by_cuts(&names, Left::Prefix).contains("b11"));
        assert!(!left_by_cuts(&names, Left::PrefixByFolder).contains("b11"));
        assert!(left_by_cuts(&names, Left::Subset).contains("b11"));
    }

    #[test]
    fn syncing_one_folder_leaves_another_to_chance() {
        let mut names = Names::default();
        names.give(ROOT, name("a"), Ino(10));
        names.give(SUB, name("b"), Ino(11));
        names.sync(SUB);
        for left in EVERY {
            assert_eq!(left_by_cuts(&names, left), set(&["b11", "a10 b11"]), "{left:?}");
        }
    }

    #[test]
    fn syncing_where_a_rename_came_to_covers_where_it_came_from() {
        let mut names = Names::default();
        names.give(ROOT, name("a"), Ino(10));
        names.rename((ROOT, name("a")), (SUB, name("b")), Ino(10));
        names.sync(SUB);
        for left in EVERY {
            assert_eq!(left_by_cuts(&names, left), set(&["b10"]), "{left:?}");
        }
    }

    #[test]
    fn a_name_taken_away_may_come_back_until_the_folder_is_synced() {
        let mut names = Names::default();
        names.give(ROOT, name("a"), Ino(10));
        names.sync(ROOT);
        names.take(ROOT, name("a"));
        assert_eq!(left_by_cuts(&names, Left::Prefix), set(&["", "a10"]));
        assert!(names.named().contains(&Ino(10)), "its bytes are still needed");
        names.sync(ROOT);
        assert_eq!(left_by_cuts(&names, Left::Prefix), set(&[""]));
        assert!(!names.named().contains(&Ino(10)));
    }
}
