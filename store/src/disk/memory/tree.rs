//! Folders and names, with the names that a crash may forget kept apart.
//!
//! A name changes at once for those who look and durably when its folder is synced. A crash keeps,
//! for each name, some first part of its pending changes. Only a rename ties two names together: the
//! old one never goes before the new one has come, though both may be there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use super::contents::Contents;
use super::dice::Dice;
use super::tables::Tables;
use crate::disk::memory::locked;
use crate::disk::{DiskError, ErrorKind, Result};

#[derive(Clone)]
pub(super) enum Node {
    File(Arc<Mutex<Contents>>),
    Folder(FolderRef),
}

pub(super) type FolderRef = Arc<Mutex<Folder>>;

#[derive(Default)]
pub(super) struct Folder {
    now: BTreeMap<String, Node>,
    kept: BTreeMap<String, Node>,
    /// The families that were opened in this folder.
    pub(super) tables: Option<Arc<Mutex<Tables>>>,
}

struct Change {
    id: u64,
    folder: FolderRef,
    name: String,
    to: Option<Node>,
    /// The change that must survive for this one to survive.
    needs: Option<Place>,
}

#[derive(Clone)]
pub(super) struct Place {
    folder: FolderRef,
    name: String,
    id: u64,
}

#[derive(Default)]
pub(super) struct Tree {
    root: FolderRef,
    pending: Vec<Change>,
    changes: u64,
}

impl Tree {
    pub(super) fn find(&self, path: &str) -> Result<Option<Node>> {
        let mut node = Node::Folder(Arc::clone(&self.root));
        for part in parts(path)? {
            let Node::Folder(folder) = node else {
                return Ok(None);
            };
            match locked(&folder).now.get(part) {
                Some(next) => node = next.clone(),
                None => return Ok(None),
            }
        }
        Ok(Some(node))
    }

    /// The folder that holds the last part of `path`, and that part.
    pub(super) fn parent(&self, path: &str) -> Result<(FolderRef, String)> {
        let all = parts(path)?;
        let Some((name, above)) = all.split_last() else {
            return Err(fault(path, "find", "the disk's root has no name"));
        };
        match self.find(&above.join("/"))? {
            Some(Node::Folder(folder)) => Ok((folder, (*name).to_owned())),
            Some(Node::File(_)) => Err(fault(path, "find", "not a folder")),
            None => Err(fault(path, "find", "no such folder")),
        }
    }

    pub(super) fn names(&self, folder: &FolderRef) -> Vec<(String, Node)> {
        locked(folder).now.iter().map(|(name, node)| (name.clone(), node.clone())).collect()
    }

    /// Makes `path` a folder with what is missing above it.
    pub(super) fn make(&mut self, path: &str) -> Result<FolderRef> {
        let mut folder = Arc::clone(&self.root);
        for part in parts(path)? {
            let there = locked(&folder).now.get(part).cloned();
            folder = match there {
                Some(Node::Folder(next)) => next,
                Some(Node::File(_)) => return Err(fault(path, "make folder", "not a folder")),
                None => {
                    let next = FolderRef::default();
                    self.set(&folder, part, Some(Node::Folder(Arc::clone(&next))), None);
                    next
                }
            };
        }
        Ok(folder)
    }

    /// Makes every name on the way to `path` durable.
    pub(super) fn keep(&mut self, path: &str) -> Result<()> {
        let mut folder = Arc::clone(&self.root);
        for part in parts(path)? {
            self.settle(&folder, part, u64::MAX);
            let next = locked(&folder).now.get(part).cloned();
            match next {
                Some(Node::Folder(next)) => folder = next,
                _ => break,
            }
        }
        Ok(())
    }

    pub(super) fn set(
        &mut self,
        folder: &FolderRef,
        name: &str,
        to: Option<Node>,
        needs: Option<Place>,
    ) -> Place {
        self.changes += 1;
        let mut inner = locked(folder);
        match &to {
            Some(node) => inner.now.insert(name.to_owned(), node.clone()),
            None => inner.now.remove(name),
        };
        let (folder, name, id) = (Arc::clone(folder), name.to_owned(), self.changes);
        let place = Place { folder: Arc::clone(&folder), name: name.clone(), id };
        self.pending.push(Change { id, folder, name, to, needs });
        place
    }

    /// Sets a name for those who look and after a crash alike.
    pub(super) fn set_durably(&mut self, folder: &FolderRef, name: &str, to: Node) {
        let place = self.set(folder, name, Some(to), None);
        self.settle(folder, name, place.id);
    }

    pub(super) fn sync(&mut self, folder: &FolderRef) {
        let names: BTreeSet<String> = self
            .pending
            .iter()
            .filter(|change| Arc::ptr_eq(&change.folder, folder))
            .map(|change| change.name.clone())
            .collect();
        for name in names {
            self.settle(folder, &name, u64::MAX);
        }
    }

    /// Makes the changes of one name up to `last` durable, and what they need.
    fn settle(&mut self, folder: &FolderRef, name: &str, last: u64) {
        let (mine, rest) = std::mem::take(&mut self.pending).into_iter().partition(|change| {
            Arc::ptr_eq(&change.folder, folder) && change.name == name && change.id <= last
        });
        self.pending = rest;
        for change in mine {
            if let Some(needed) = &change.needs {
                self.settle(&needed.folder, &needed.name, needed.id);
            }
            change.apply();
        }
    }

    /// The power goes: pending names are kept or lost, files and folders that nothing names are gone.
    pub(super) fn crash(&mut self, dice: &mut Dice) {
        let mut kept = BTreeSet::new();
        let mut lost: Vec<(FolderRef, String)> = Vec::new();
        for change in std::mem::take(&mut self.pending) {
            let is_cut_off = lost
                .iter()
                .any(|(folder, name)| Arc::ptr_eq(folder, &change.folder) && *name == change.name);
            // A needed change that is pending no more was settled.
            let first = change.needs.as_ref().is_none_or(|needed| {
                kept.contains(&needed.id)
                    || !lost.iter().any(|(folder, name)| {
                        Arc::ptr_eq(folder, &needed.folder) && *name == needed.name
                    })
            });
            if !is_cut_off && first && dice.coin() {
                kept.insert(change.id);
                change.apply();
            } else {
                lost.push((change.folder, change.name));
            }
        }
        crash_folder(&self.root, dice);
    }

    /// Bytes in files and families, as a quota would count them.
    pub(super) fn used(&self) -> u64 {
        used(&self.root)
    }
}

impl Change {
    fn apply(&self) {
        let mut folder = locked(&self.folder);
        match &self.to {
            Some(node) => folder.kept.insert(self.name.clone(), node.clone()),
            None => folder.kept.remove(&self.name),
        };
    }
}

fn crash_folder(folder: &FolderRef, dice: &mut Dice) {
    let nodes: Vec<Node> = {
        let mut folder = locked(folder);
        folder.now = folder.kept.clone();
        folder.now.values().cloned().collect()
    };
    for node in nodes {
        match node {
            Node::File(contents) => locked(&contents).crash(dice),
            Node::Folder(folder) => crash_folder(&folder, dice),
        }
    }
}

fn used(folder: &FolderRef) -> u64 {
    let folder = locked(folder);
    let tables = folder.tables.as_ref().map_or(0, |tables| locked(tables).bytes());
    let below: u64 = folder
        .now
        .values()
        .map(|node| match node {
            Node::File(contents) => locked(contents).len(),
            Node::Folder(folder) => used(folder),
        })
        .sum();
    tables + below
}

fn parts(path: &str) -> Result<Vec<&str>> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    if parts.iter().any(|part| matches!(*part, "." | "..")) {
        return Err(fault(path, "find", "a path goes down only, without . and .."));
    }
    Ok(parts)
}

pub(super) fn fault(path: &str, doing: &'static str, reason: &str) -> DiskError {
    DiskError::new(ErrorKind::Io, path, doing, reason)
}
