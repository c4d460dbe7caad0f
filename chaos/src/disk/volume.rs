//! Files and folders together, without a kernel: what a write, a sync and a cut do to them.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use rand::Rng;
use thiserror::Error;

use super::body::{Body, Tearing};
use super::names::{Ino, Names};

/// As FUSE names it.
pub(crate) const ROOT: Ino = Ino(1);

#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(crate) enum Refused {
    #[error("there is no such name or file")]
    Absent,
    #[error("the name is taken")]
    Taken,
    #[error("the folder is not empty")]
    NotEmpty,
    #[error("a file is expected, this is a folder")]
    IsFolder,
    #[error("a folder is expected, this is a file")]
    NotFolder,
}

pub(crate) type Result<T> = std::result::Result<T, Refused>;

#[derive(Clone, Debug)]
pub(crate) struct Volume {
    names: Names,
    nodes: HashMap<Ino, Node>,
    last: Ino,
}

#[derive(Clone, Debug)]
struct Node {
    kind: Kind,
    /// The folder and name that it got last, by which faults find it.
    place: (Ino, OsString),
    /// Handles: an open file outlives its last name.
    opened: u32,
}

#[derive(Clone, Debug)]
enum Kind {
    File(Body),
    Folder,
}

/// What `stat` tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) ino: Ino,
    pub(crate) is_folder: bool,
    pub(crate) len: usize,
    pub(crate) links: usize,
}

impl Default for Volume {
    fn default() -> Self {
        let root = Node { kind: Kind::Folder, place: (ROOT, OsString::new()), opened: 0 };
        Volume { names: Names::default(), nodes: HashMap::from([(ROOT, root)]), last: ROOT }
    }
}

impl Volume {
    pub(crate) fn find(&self, folder: Ino, name: &OsStr) -> Result<Status> {
        self.status(self.names.find(folder, name).ok_or(Refused::Absent)?)
    }

    pub(crate) fn status(&self, ino: Ino) -> Result<Status> {
        let node = self.nodes.get(&ino).ok_or(Refused::Absent)?;
        Ok(match &node.kind {
            Kind::Folder => Status { ino, is_folder: true, len: 0, links: 2 },
            Kind::File(body) => {
                Status { ino, is_folder: false, len: body.len(), links: self.names.links(ino) }
            }
        })
    }

    pub(crate) fn list(&self, folder: Ino) -> Vec<(OsString, Status)> {
        let known = |(name, ino): (&OsStr, Ino)| Some((name.to_owned(), self.status(ino).ok()?));
        self.names.folder(folder).filter_map(known).collect()
    }

    /// Relative to the root, with `/` between its parts.
    pub(crate) fn path(&self, mut ino: Ino) -> PathBuf {
        let mut parts = Vec::new();
        while ino != ROOT
            && let Some(node) = self.nodes.get(&ino)
        {
            parts.push(node.place.1.as_os_str());
            ino = node.place.0;
        }
        parts.into_iter().rev().collect()
    }

    pub(crate) fn make(&mut self, folder: Ino, name: &OsStr, is_folder: bool) -> Result<Status> {
        if self.names.find(folder, name).is_some() {
            return Err(Refused::Taken);
        }
        self.last.0 += 1;
        let kind = if is_folder { Kind::Folder } else { Kind::File(Body::default()) };
        let place = (folder, name.to_owned());
        self.nodes.insert(self.last, Node { kind, place, opened: 0 });
        self.names.give(folder, name, self.last);
        self.status(self.last)
    }

    pub(crate) fn link(&mut self, ino: Ino, folder: Ino, name: &OsStr) -> Result<Status> {
        if self.names.find(folder, name).is_some() {
            return Err(Refused::Taken);
        }
        self.body(ino)?;
        self.names.give(folder, name, ino);
        self.status(ino)
    }

    pub(crate) fn remove(&mut self, folder: Ino, name: &OsStr, is_folder: bool) -> Result<()> {
        let found = self.find(folder, name)?;
        match (is_folder, found.is_folder) {
            (false, true) => return Err(Refused::IsFolder),
            (true, false) => return Err(Refused::NotFolder),
            (true, true) if !self.names.is_empty(found.ino) => return Err(Refused::NotEmpty),
            _ => {}
        }
        self.names.take(folder, name);
        self.sweep();
        Ok(())
    }

    pub(crate) fn rename(&mut self, from: (Ino, &OsStr), to: (Ino, &OsStr)) -> Result<()> {
        let moved = self.find(from.0, from.1)?;
        if let Ok(over) = self.find(to.0, to.1) {
            match (moved.is_folder, over.is_folder) {
                _ if over.ino == moved.ino => return Ok(()),
                (false, true) => return Err(Refused::IsFolder),
                (true, false) => return Err(Refused::NotFolder),
                (true, true) if !self.names.is_empty(over.ino) => return Err(Refused::NotEmpty),
                _ => {}
            }
        }
        self.names.rename(from, to, moved.ino);
        if let Some(node) = self.nodes.get_mut(&moved.ino) {
            node.place = (to.0, to.1.to_owned());
        }
        self.sweep();
        Ok(())
    }

    pub(crate) fn open(&mut self, ino: Ino) -> Result<()> {
        self.nodes.get_mut(&ino).ok_or(Refused::Absent)?.opened += 1;
        Ok(())
    }

    pub(crate) fn close(&mut self, ino: Ino) {
        if let Some(node) = self.nodes.get_mut(&ino) {
            node.opened = node.opened.saturating_sub(1);
        }
        self.sweep();
    }

    pub(crate) fn body(&self, ino: Ino) -> Result<&Body> {
        match &self.nodes.get(&ino).ok_or(Refused::Absent)?.kind {
            Kind::File(body) => Ok(body),
            Kind::Folder => Err(Refused::IsFolder),
        }
    }

    pub(crate) fn body_mut(&mut self, ino: Ino) -> Result<&mut Body> {
        match &mut self.nodes.get_mut(&ino).ok_or(Refused::Absent)?.kind {
            Kind::File(body) => Ok(body),
            Kind::Folder => Err(Refused::IsFolder),
        }
    }

    pub(crate) fn sync_folder(&mut self, folder: Ino) {
        self.names.sync(folder);
        self.sweep();
    }

    /// The power goes: names first, then the bytes of what can still be reached.
    /// `tearing` says how a path's bytes go.
    pub(crate) fn cut(&mut self, tearing: impl Fn(&Path) -> Tearing, rng: &mut impl Rng) {
        self.names.cut(rng);
        let reachable: HashMap<Ino, _> = self.names.reachable(ROOT).into_iter().collect();
        self.nodes.retain(|ino, _| *ino == ROOT || reachable.contains_key(ino));
        for (ino, node) in &mut self.nodes {
            node.opened = 0;
            if let Some(place) = reachable.get(ino) {
                node.place.clone_from(place);
            }
        }
        let mut left: Vec<Ino> = self.nodes.keys().copied().collect();
        left.sort_unstable();
        for ino in left {
            let path = self.path(ino);
            if let Ok(body) = self.body_mut(ino) {
                body.cut(tearing(&path), rng);
            }
        }
        let nodes = &self.nodes;
        self.names.forget(|folder| !nodes.contains_key(&folder));
    }

    /// Every file and folder by its path, parents first, as everybody sees them.
    pub(crate) fn tree(&self) -> Vec<(PathBuf, Option<&[u8]>)> {
        let reachable = self.names.reachable(ROOT);
        let mut paths: HashMap<Ino, PathBuf> = HashMap::from([(ROOT, PathBuf::new())]);
        let mut tree = Vec::new();
        for (ino, (folder, name)) in reachable {
            let path = paths.get(&folder).cloned().unwrap_or_default().join(name);
            paths.insert(ino, path.clone());
            tree.push((path, self.body(ino).ok().map(Body::live)));
        }
        tree
    }

    /// Lets go of what has no name anywhere and no handle.
    fn sweep(&mut self) {
        let named = self.names.named();
        let count = self.nodes.len();
        self.nodes.retain(|ino, node| *ino == ROOT || node.opened > 0 || named.contains(ino));
        if self.nodes.len() < count {
            let nodes = &self.nodes;
            self.names.forget(|folder| !nodes.contains_key(&folder));
        }
    }
}

#[cfg(test)]
#[path = "volume_test.rs"]
mod tests;
