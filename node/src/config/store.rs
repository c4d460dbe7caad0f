//! `store`: what the shards hold, and where.

use super::checks::Checks;
use super::page::section;
use super::size::Size;

section! {
    /// What is kept of what was counted.
    pub struct Store {
        /// Held in memory, over all shards, until it is written as rows; 0: written at once. What is held is in the
        /// log, and read from there at the next start.
        pub head: Size = Size::mib(8),
        /// A fuller log refuses slices, which edges keep and offer again, until rows are written.
        pub log: Size = Size::gib(4),
    }
}

/// A slice has to fit in one of its segments.
const LEAST_LOG: Size = Size::gib(1);

impl Store {
    pub(super) fn check(&self, checks: &mut Checks) {
        checks.within("head", self.head, Size::bytes(0)..=Size::gib(1));
        checks.within("log", self.log, LEAST_LOG..=Size::gib(1 << 10));
    }
}
