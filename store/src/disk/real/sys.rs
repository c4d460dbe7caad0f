//! The one thing that safe Rust has no words for here.

#![allow(unsafe_code, reason = "a snapshot borrows what it is kept beside")]

use std::sync::Arc;

use rocksdb::{DB, Snapshot};

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
