//! One file's bytes: what a reader sees, what a power cut is sure to leave, and the changes between.
//!
//! ```text
//! durable ──change──change──change──▶ live
//!    ▲                                  │
//!    └────────────── sync ──────────────┘
//! ```
//!
//! A cut takes each unsynced write by itself: kept, dropped, torn, or its length without its bytes. That
//! is all that POSIX promises, on a disk whose pages are not atomic; an orderly file system (ext4 with
//! `data=ordered`) leaves a prefix of what was written. A change of length is metadata, and what was written behind a lost one is lost with it: the blocks
//! that it would stand on were not given out yet.

use rand::Rng;

const SECTOR_BYTES: usize = 512;

/// What a cut does to unsynced writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tearing {
    /// To each by itself, down to sectors.
    Any,
    /// To the end of them.
    Prefix,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Body {
    live: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Length(usize),
}

impl Body {
    pub(crate) fn len(&self) -> usize {
        self.live.len()
    }

    pub(crate) fn live(&self) -> &[u8] {
        &self.live
    }

    pub(crate) fn read(&self, at: usize, len: usize) -> &[u8] {
        let from = at.min(self.live.len());
        &self.live[from..at.saturating_add(len).min(self.live.len())]
    }

    pub(crate) fn write(&mut self, at: usize, bytes: &[u8]) {
        write(&mut self.live, at, bytes);
        self.pending.push(Change::Write { at, bytes: bytes.to_vec() });
    }

    pub(crate) fn set_len(&mut self, len: usize) {
        self.live.resize(len, 0);
        self.pending.push(Change::Length(len));
    }

    /// `fsync`. `fdatasync` is the same: Linux counts a length among what it makes durable.
    pub(crate) fn sync(&mut self) {
        for change in self.pending.drain(..) {
            change.apply(&mut self.durable);
        }
    }

    /// A sync that answered EIO: some pages reached the disk, some did not, and all of them count as
    /// clean from now on, so that no later sync brings the others. The length stays to be written.
    pub(crate) fn fail_sync(&mut self, rng: &mut impl Rng) {
        for change in self.pending.drain(..) {
            if matches!(change, Change::Length(_)) || rng.gen_bool(0.5) {
                change.apply(&mut self.durable);
            }
        }
        if self.durable.len() != self.live.len() {
            self.pending.push(Change::Length(self.live.len()));
        }
    }

    /// The power goes. What is left is what everybody sees from now on.
    pub(crate) fn cut(&mut self, tearing: Tearing, rng: &mut impl Rng) {
        for change in std::mem::take(&mut self.pending) {
            match change {
                Change::Write { at, bytes } if tearing == Tearing::Prefix && rng.gen_bool(0.4) => {
                    write(&mut self.durable, at, &bytes[..rng.gen_range(0..=bytes.len())]);
                    break;
                }
                Change::Write { .. } if tearing == Tearing::Prefix => {
                    change.apply(&mut self.durable);
                }
                Change::Length(_) if rng.gen_bool(0.5) => break,
                Change::Length(_) => change.apply(&mut self.durable),
                Change::Write { at, bytes } => tear(&mut self.durable, at, &bytes, rng),
            }
        }
        self.live.clone_from(&self.durable);
    }
}

impl Change {
    fn apply(&self, to: &mut Vec<u8>) {
        match self {
            Change::Write { at, bytes } => write(to, *at, bytes),
            Change::Length(len) => to.resize(*len, 0),
        }
    }
}

fn write(to: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let end = at + bytes.len();
    if to.len() < end {
        to.resize(end, 0);
    }
    to[at..end].copy_from_slice(bytes);
}

/// Leaves of one unsynced write what a disk may leave of it.
fn tear(to: &mut Vec<u8>, at: usize, bytes: &[u8], rng: &mut impl Rng) {
    match rng.gen_range(0..10) {
        0..=3 => write(to, at, bytes),
        4..=6 => {}
        7 => write(to, at, &bytes[..rng.gen_range(0..=bytes.len())]),
        8 => {
            let end = (at + bytes.len()).max(to.len());
            to.resize(end, 0);
            let mut from = 0;
            while from < bytes.len() {
                let until = bytes.len().min(from + SECTOR_BYTES - (at + from) % SECTOR_BYTES);
                if rng.gen_bool(0.5) {
                    write(to, at + from, &bytes[from..until]);
                }
                from = until;
            }
        }
        _ => {
            let end = (at + bytes.len()).max(to.len());
            to.resize(end, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    /// Everything that any of many cuts leaves.
    fn left_by_cuts(body: &Body) -> BTreeSet<Vec<u8>> {
        left_by(body, Tearing::Any)
    }

    fn left_by(body: &Body, tearing: Tearing) -> BTreeSet<Vec<u8>> {
        (0..400)
            .map(|seed| {
                let mut body = body.clone();
                body.cut(tearing, &mut StdRng::seed_from_u64(seed));
                body.live
            })
            .collect()
    }

    #[test]
    fn synced_bytes_stay_through_every_cut() {
        let mut body = Body::default();
        body.write(0, b"synced");
        body.sync();
        assert_eq!(left_by_cuts(&body), [b"synced".to_vec()].into());
        body.write(6, b" and not");
        assert!(left_by_cuts(&body).iter().all(|left| left.starts_with(b"synced")));
    }

    #[test]
    fn an_unsynced_write_is_kept_dropped_torn_or_only_its_length() {
        let mut body = Body::default();
        body.write(0, b"abcd");
        let left = left_by_cuts(&body);
        for wanted in [&b"abcd"[..], b"", b"ab", b"\0\0\0\0"] {
            assert!(left.contains(wanted), "{wanted:?} of {left:?}");
        }
    }

    #[test]
    fn writes_are_lost_apart_from_one_another() {
        let mut body = Body::default();
        body.write(0, b"ab");
        body.write(2, b"cd");
        let left = left_by_cuts(&body);
        assert!(left.contains(&b"ab"[..]) && left.contains(&b"\0\0cd"[..]), "{left:?}");
    }

    #[test]
    fn an_orderly_file_system_leaves_a_prefix() {
        let mut body = Body::default();
        body.write(0, b"ab");
        body.write(2, b"cd");
        let prefixes = [&b""[..], b"a", b"ab", b"abc", b"abcd"].map(<[u8]>::to_vec);
        assert_eq!(left_by(&body, Tearing::Prefix), prefixes.into());
    }

    #[test]
    fn a_torn_write_has_whole_sectors_of_the_disk() {
        let mut body = Body::default();
        body.write(0, &[1; 100]);
        body.sync();
        body.write(100, &[2; 1000]);
        let is_sectors = |left: &[u8]| {
            let sectors = [100..512, 512..1024, 1024..1100].map(|range| left.get(range));
            let whole = |sector: &Option<&[u8]>| {
                sector.is_some_and(|sector| sector.windows(2).all(|two| two[0] == two[1]))
            };
            sectors.iter().all(whole) && left[100] == 2 && left[600] == 0 && left[1050] == 2
        };
        assert!(left_by_cuts(&body).iter().any(|left| is_sectors(left)));
    }

    #[test]
    fn what_stands_behind_a_lost_truncation_is_lost_with_it() {
        let mut body = Body::default();
        body.write(0, b"old old");
        body.sync();
        body.set_len(3);
        body.write(3, b"!");
        let left = left_by_cuts(&body);
        assert!(left.contains(&b"old old"[..]) && left.contains(&b"old!"[..]), "{left:?}");
        assert!(!left.contains(&b"old!old"[..]), "{left:?}");
    }

    #[test]
    fn after_a_failed_sync_a_good_one_brings_nothing_back() {
        let mut lost = 0;
        for seed in 0..100 {
            let mut rng = StdRng::seed_from_u64(seed);
            let mut body = Body::default();
            body.write(0, b"ab");
            body.fail_sync(&mut rng);
            assert_eq!(body.read(0, 9), b"ab", "the page stays in memory");
            body.sync();
            body.cut(Tearing::Any, &mut rng);
            assert!([&b"ab"[..], b"\0\0"].contains(&body.live()), "{:?}", body.live());
            lost += u64::from(body.live() == b"\0\0");
            body.write(0, b"ab");
            body.sync();
            body.cut(Tearing::Any, &mut rng);
            assert_eq!(body.live(), b"ab", "written again it is durable");
        }
        assert!((20..80).contains(&lost), "{lost} of 100 lost");
    }

    #[test]
    fn reads_end_with_the_file() {
        let mut body = Body::default();
        body.write(2, b"ab");
        assert_eq!(body.read(0, 100), b"\0\0ab");
        assert_eq!(body.read(3, 1), b"b");
        assert_eq!(body.read(9, 1), b"");
    }
}
