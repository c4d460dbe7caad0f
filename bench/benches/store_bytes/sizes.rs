//! What a folder takes on disk.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde::Serialize;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Sizes {
    /// As `du` counts: blocks that are taken, folders too.
    pub(crate) taken: u64,
    /// As long as the files are.
    pub(crate) long: u64,
    /// `taken` by kind of file.
    pub(crate) kinds: BTreeMap<String, u64>,
    /// Of tables, by family, where the engine was asked.
    pub(crate) families: BTreeMap<String, u64>,
}

impl Sizes {
    pub(crate) fn of(folder: &Path) -> anyhow::Result<Self> {
        let mut sizes = Sizes::default();
        sizes.add(folder)?;
        Ok(sizes)
    }

    /// The engine may remove a file while others are looked at.
    fn add(&mut self, folder: &Path) -> io::Result<()> {
        self.count("folders", &fs::metadata(folder)?);
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            match entry.metadata() {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
                Ok(found) if found.is_dir() => self.add(&entry.path())?,
                Ok(found) => {
                    self.long += found.len();
                    self.count(kind(&entry.file_name().to_string_lossy()), &found);
                }
            }
        }
        Ok(())
    }

    fn count(&mut self, kind: &str, found: &fs::Metadata) {
        let taken = found.blocks() * 512;
        self.taken += taken;
        *self.kinds.entry(kind.to_owned()).or_default() += taken;
    }
}

/// By the ending of its name; RocksDB's own files by how their names begin.
fn kind(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((_, ending)) if ending.bytes().all(|b| b.is_ascii_alphabetic()) => ending,
        _ => name.split(['-', '_', '.']).next().unwrap_or(name),
    }
}
