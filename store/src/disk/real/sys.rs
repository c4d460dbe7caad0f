//! The two things that safe Rust has no words for here.

#![allow(unsafe_code, reason = "flock has no safe form; a snapshot borrows what it is kept beside")]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;

use rocksdb::{DB, Snapshot};

/// Takes the whole file for this open handle, or fails at once when another has it.
pub(super) fn flock(file: &File) -> io::Result<()> {
    // SAFETY: the descriptor is open for as long as `file` is borrowed, and flock touches no memory.
    match unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// A snapshot together with its database.
pub(super) struct OwnedSnapshot {
    /// Declared, and so dropped, before what it borrows.
    snapshot: Snapshot<'static>,
    db: Arc<DB>,
}

impl OwnedSnapshot {
    pub(super) fn take(db: Arc<DB>) -> Self {
        let snapshot = db.snapshot();
        // SAFETY: the snapshot borrows the `DB` inside the `Arc`, which neither moves nor ends while
        // `db` is kept beside it, and nobody gets the snapshot for longer than a borrow of both.
        let snapshot = unsafe { std::mem::transmute::<Snapshot<'_>, Snapshot<'static>>(snapshot) };
        OwnedSnapshot { snapshot, db }
    }

    pub(super) fn get(&self) -> &Snapshot<'_> {
        &self.snapshot
    }

    pub(super) fn db(&self) -> &DB {
        &self.db
    }
}
