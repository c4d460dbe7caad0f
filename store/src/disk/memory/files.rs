//! Files, names and locks of the memory disk.

use std::fmt;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;

use super::contents::Contents;
use super::faults::Operation;
use super::tree::{FolderRef, Node, Tree, fault};
use super::{MemoryDisk, locked, refusal};
use crate::disk::{DiskError, ErrorKind, File, Files, Lock, Result};

struct MemoryFile {
    disk: MemoryDisk,
    path: String,
    contents: Arc<Mutex<Contents>>,
}

struct MemoryLock {
    disk: MemoryDisk,
    path: String,
}

#[async_trait]
impl Files for MemoryDisk {
    async fn open(&self, path: &str) -> Result<Arc<dyn File>> {
        let contents = self
            .act(Operation::Open, path, |state| match state.tree.find(path)? {
                Some(Node::File(contents)) => Ok(contents),
                Some(Node::Folder(_)) => Err(fault(path, "open", "is a folder")),
                None => {
                    let (folder, name) = state.tree.parent(path)?;
                    let contents = Arc::default();
                    state.tree.set(&folder, &name, Some(Node::File(Arc::clone(&contents))), None);
                    Ok(contents)
                }
            })
            .await?;
        Ok(Arc::new(MemoryFile { disk: self.clone(), path: path.to_owned(), contents }))
    }

    async fn read(&self, path: &str) -> Result<Option<Bytes>> {
        self.act(Operation::Read, path, |state| match state.tree.find(path)? {
            Some(Node::File(contents)) => {
                Ok(Some(Bytes::copy_from_slice(locked(&contents).bytes())))
            }
            Some(Node::Folder(_)) => Err(fault(path, "read", "is a folder")),
            None => Ok(None),
        })
        .await
    }

    async fn replace(&self, path: &str, bytes: Bytes) -> Result<()> {
        self.act(Operation::Replace, path, |state| {
            let (folder, name) = state.tree.parent(path)?;
            if (bytes.len() as u64) > state.room() {
                return Err(refusal(ErrorKind::Full, Operation::Replace, path));
            }
            let contents = Arc::new(Mutex::new(Contents::durable(&bytes)));
            state.tree.set_durably(&folder, &name, Node::File(contents));
            Ok(())
        })
        .await
    }

    async fn list(&self, dir: &str) -> Result<Vec<String>> {
        self.act(Operation::Read, dir, |state| match state.tree.find(dir)? {
            Some(Node::Folder(folder)) => {
                Ok(state.tree.names(&folder).into_iter().map(|(name, _)| name).collect())
            }
            Some(Node::File(_)) => Err(fault(dir, "list", "not a folder")),
            None => Ok(Vec::new()),
        })
        .await
    }

    async fn create_dir(&self, dir: &str) -> Result<()> {
        self.act(Operation::Name, dir, |state| state.tree.make(dir).map(drop)).await
    }

    async fn sync_dir(&self, dir: &str) -> Result<()> {
        self.act(Operation::SyncDir, dir, |state| {
            let folder = folder(&state.tree, dir, "sync folder")?;
            state.tree.sync(&folder);
            Ok(())
        })
        .await
    }

    async fn rename(&self, from: &str, to: &str) -> Result<()> {
        self.act(Operation::Name, from, |state| {
            let tree = &mut state.tree;
            let node = tree.find(from)?.ok_or_else(|| fault(from, "rename", "no such name"))?;
            let (old_folder, old_name) = tree.parent(from)?;
            let (new_folder, new_name) = tree.parent(to)?;
            if Arc::ptr_eq(&old_folder, &new_folder) && old_name == new_name {
                return Ok(());
            }
            if let Some(Node::Folder(there)) = tree.find(to)?
                && !tree.names(&there).is_empty()
            {
                return Err(fault(to, "rename", "a folder with something in it is there"));
            }
            let come = tree.set(&new_folder, &new_name, Some(node), None);
            tree.set(&old_folder, &old_name, None, Some(come));
            Ok(())
        })
        .await
    }

    async fn remove(&self, path: &str) -> Result<()> {
        self.act(Operation::Name, path, |state| match state.tree.find(path)? {
            Some(Node::File(_)) => {
                let (folder, name) = state.tree.parent(path)?;
                state.tree.set(&folder, &name, None, None);
                Ok(())
            }
            Some(Node::Folder(_)) => Err(fault(path, "remove", "is a folder")),
            None => Ok(()),
        })
        .await
    }

    async fn remove_dir(&self, dir: &str) -> Result<()> {
        self.act(Operation::Name, dir, |state| match state.tree.find(dir)? {
            Some(Node::Folder(folder)) => {
                empty(&mut state.tree, &folder);
                let (above, name) = state.tree.parent(dir)?;
                state.tree.set(&above, &name, None, None);
                Ok(())
            }
            Some(Node::File(_)) => Err(fault(dir, "remove folder", "not a folder")),
            None => Ok(()),
        })
        .await
    }

    async fn link(&self, from: &str, to: &str) -> Result<()> {
        self.act(Operation::Name, from, |state| {
            let node = match state.tree.find(from)? {
                Some(node @ Node::File(_)) => node,
                _ => return Err(fault(from, "link", "no such file")),
            };
            if state.tree.find(to)?.is_some() {
                return Err(fault(to, "link", "the name is taken"));
            }
            let (folder, name) = state.tree.parent(to)?;
            state.tree.set(&folder, &name, Some(node), None);
            Ok(())
        })
        .await
    }

    async fn lock(&self, path: &str) -> Result<Box<dyn Lock>> {
        self.act(Operation::Open, path, |state| {
            if !state.locks.insert(path.to_owned()) {
                let reason = "another tributary process uses this folder; stop it or choose \
                              another --data";
                return Err(DiskError::new(ErrorKind::Locked, path, "lock", reason));
            }
            Ok(())
        })
        .await?;
        Ok(Box::new(MemoryLock { disk: self.clone(), path: path.to_owned() }))
    }
}

#[async_trait]
impl File for MemoryFile {
    fn len(&self) -> u64 {
        locked(&self.contents).len()
    }

    async fn append(&self, bytes: Bytes) -> Result<()> {
        self.disk
            .act_or_fail(Operation::Append, &self.path, |state, refused| {
                let mut contents = locked(&self.contents);
                if let Some(error) = refused {
                    contents.append(&bytes[..bytes.len() / 2]);
                    return Err(error);
                }
                // Looking up the room takes every file's lock.
                drop(contents);
                let room = state.room();
                contents = locked(&self.contents);
                if room < bytes.len() as u64 {
                    contents.append(&bytes[..room as usize]);
                    return Err(refusal(ErrorKind::Full, Operation::Append, &self.path));
                }
                contents.append(&bytes);
                Ok(())
            })
            .await
    }

    async fn sync(&self) -> Result<()> {
        self.disk
            .act_or_fail(Operation::Sync, &self.path, |_, refused| {
                let mut contents = locked(&self.contents);
                match refused {
                    None => contents.sync(),
                    Some(_) => contents.sync_failed(),
                }
                refused.map_or(Ok(()), Err)
            })
            .await
    }

    async fn rewrite(&self, offset: u64) -> Result<()> {
        self.disk
            .act(Operation::Append, &self.path, |_| {
                locked(&self.contents).rewrite(offset);
                Ok(())
            })
            .await
    }

    async fn truncate(&self, len: u64) -> Result<()> {
        self.disk
            .act(Operation::Truncate, &self.path, |_| {
                locked(&self.contents).truncate(len);
                Ok(())
            })
            .await
    }

    async fn read_at(&self, offset: u64, len: usize) -> Result<Bytes> {
        self.disk
            .act(Operation::Read, &self.path, |_| {
                Ok(Bytes::copy_from_slice(locked(&self.contents).read(offset, len)))
            })
            .await
    }
}

impl Lock for MemoryLock {}

impl fmt::Debug for MemoryLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MemoryLock").field(&self.path).finish()
    }
}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        self.disk.release(|state| {
            state.locks.remove(&self.path);
        });
    }
}

fn folder(tree: &Tree, dir: &str, doing: &'static str) -> Result<FolderRef> {
    match tree.find(dir)? {
        Some(Node::Folder(folder)) => Ok(folder),
        _ => Err(fault(dir, doing, "no such folder")),
    }
}

/// Takes everything out of a folder, each name for itself: a crash may leave a part.
fn empty(tree: &mut Tree, folder: &FolderRef) {
    if let Some(tables) = &locked(folder).tables {
        locked(tables).is_torn = true;
    }
    for (name, node) in tree.names(folder) {
        if let Node::Folder(below) = node {
            empty(tree, &below);
        }
        tree.set(folder, &name, None, None);
    }
}
