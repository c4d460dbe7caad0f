//! The bytes of one file, with what a crash may take kept apart from what it may not.
//!
//! ```text
//!   bytes    ├────── synced ──────┤── tail: a crash keeps some prefix, its end perhaps garbled ──┤
//!   cut                           ├── synced once, truncated since: a crash may bring it back ───┤
//!   doubt           ├── a failed sync forgot these: later syncs prove nothing of them ──┤
//! ```
//!
//! `doubt` is how Linux behaves: after an error the pages count as clean, so the next sync answers
//! well without having written them. Truncating them away, or writing them again, heals it.

use std::ops::Range;

use super::dice::Dice;

#[derive(Default)]
pub(super) struct Contents {
    bytes: Vec<u8>,
    synced: usize,
    cut: Vec<u8>,
    doubt: Range<usize>,
    /// Everything from here on was written again since the last sync.
    rewritten: Option<usize>,
}

impl Contents {
    pub(super) fn durable(bytes: &[u8]) -> Self {
        Contents { bytes: bytes.to_vec(), synced: bytes.len(), ..Contents::default() }
    }

    pub(super) fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn read(&self, offset: u64, len: usize) -> &[u8] {
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(self.bytes.len());
        &self.bytes[from..from.saturating_add(len).min(self.bytes.len())]
    }

    pub(super) fn append(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(super) fn truncate(&mut self, len: u64) {
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        if len < self.synced {
            let mut cut = self.bytes[len..self.synced].to_vec();
            cut.append(&mut self.cut);
            self.cut = cut;
            self.synced = len;
        }
        self.bytes.truncate(len);
        self.doubt = clip(&self.doubt, len);
    }

    pub(super) fn rewrite(&mut self, offset: u64) {
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        self.rewritten = Some(self.rewritten.map_or(offset, |at| at.min(offset)));
    }

    pub(super) fn sync(&mut self) {
        self.synced = self.bytes.len();
        self.cut.clear();
        if let Some(from) = self.rewritten.take() {
            self.doubt = clip(&self.doubt, from);
        }
    }

    pub(super) fn sync_failed(&mut self) {
        self.rewritten = None;
        if self.synced < self.bytes.len() {
            let from =
                if self.doubt.is_empty() { self.synced } else { self.doubt.start.min(self.synced) };
            self.doubt = from..self.bytes.len();
        }
    }

    /// The power goes: what is left is all that there is, and durable.
    pub(super) fn crash(&mut self, dice: &mut Dice) {
        let lost = clip(&self.doubt, self.synced);
        if !lost.is_empty() && dice.coin() {
            let from = lost.start + dice.up_to(lost.len() - 1);
            self.bytes[from..lost.end].fill(0);
        }
        let mut tail = self.bytes.split_off(self.synced);
        tail.truncate(dice.up_to(tail.len()));
        garble(&mut tail, dice);
        if !self.cut.is_empty() && dice.coin() {
            // The truncation itself is lost; what was appended after it may have overwritten a part.
            let kept = self.cut.split_off(tail.len().min(self.cut.len()));
            tail.extend_from_slice(&kept);
        }
        self.bytes.append(&mut tail);
        *self = Contents::durable(&self.bytes);
    }
}

fn clip(range: &Range<usize>, end: usize) -> Range<usize> {
    range.start.min(end)..range.end.min(end)
}

/// One time in three the last piece is not what was written.
fn garble(tail: &mut [u8], dice: &mut Dice) {
    if tail.is_empty() || !dice.next().is_multiple_of(3) {
        return;
    }
    let from = dice.up_to(tail.len() - 1);
    if dice.coin() {
        tail[from..].fill(0);
    } else {
        tail[from..].iter_mut().for_each(|byte| *byte ^= dice.next() as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after_crash(seed: u64, make: impl Fn(&mut Contents)) -> Vec<u8> {
        let mut contents = Contents::default();
        make(&mut contents);
        contents.crash(&mut Dice::new(seed));
        contents.bytes
    }

    #[test]
    fn synced_bytes_survive_and_the_tail_may_go() {
        let mut lengths = std::collections::BTreeSet::new();
        for seed in 0..200 {
            let left = after_crash(seed, |c| {
                c.append(b"synced");
                c.sync();
                c.append(b"tail");
            });
            assert!(left.starts_with(b"synced"));
            lengths.insert(left.len());
        }
        assert_eq!(lengths, (6..=10).collect());
    }

    #[test]
    fn an_unsynced_truncation_may_come_undone() {
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..200 {
            seen.insert(after_crash(seed, |c| {
                c.append(b"abcdef");
                c.sync();
                c.truncate(2);
            }));
        }
        assert_eq!(seen, [b"ab".to_vec(), b"abcdef".to_vec()].into());
    }

    #[test]
    fn a_sync_after_a_failed_one_proves_nothing() {
        let lost = |heal: fn(&mut Contents)| {
            (0..200).any(|seed| {
                after_crash(seed, |c| {
                    c.append(b"bytes");
                    c.sync_failed();
                    heal(c);
                    c.sync();
                }) != b"bytes"
            })
        };
        assert!(lost(|_| {}));
        assert!(!lost(|c| c.rewrite(0)));
        assert!(!lost(|c| {
            c.truncate(0);
            c.append(b"bytes");
        }));
    }
}
