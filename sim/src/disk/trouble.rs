//! What a disk does for a while before it is well again: syncs that fail, writes that end half way, no
//! room. The folders of an edge, together or one alone.

use madsim::rand::seq::SliceRandom;
use madsim::rand::{Rng, thread_rng};
use tributary_store::disk::ErrorKind;
use tributary_store::disk::memory::{Fault, MemoryDisk, Operation};

use super::FINGERPRINTS;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Trouble {
    kind: Kind,
    /// Only for paths that start like this.
    under: &'static str,
    /// How many operations of the kind still go well.
    after: u64,
    /// How many fail then, if it does not end before.
    times: u64,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    /// EIO from syncs; what they were for may be there or not.
    SyncsFail,
    /// EIO from writes, of which a half is there.
    WritesTear,
    /// Names cannot be made, removed or synced.
    NamesFail,
    /// ENOSPC, beyond a few bytes that still fit.
    Full { room_bytes: u64 },
}

impl Trouble {
    pub(crate) fn random() -> Self {
        let mut rng = thread_rng();
        let kind = match rng.gen_range(0..8) {
            0..3 => Kind::SyncsFail,
            3..5 => Kind::WritesTear,
            5 => Kind::NamesFail,
            _ => Kind::Full { room_bytes: rng.gen_range(0..3_000) },
        };
        let folders = ["", "edge/journal", "edge/journal", FINGERPRINTS];
        let under = *folders.choose(&mut rng).expect("some");
        let times = if rng.gen_ratio(1, 3) { rng.gen_range(1..4) } else { u64::MAX };
        Trouble { kind, under, after: rng.gen_range(0..6), times }
    }

    pub(super) fn begin(self, disk: &MemoryDisk) {
        let Trouble { kind, under, after, times } = self;
        let fail = |on| {
            disk.fail(Fault { on, under: under.into(), after, times, kind: ErrorKind::Io });
        };
        match kind {
            Kind::SyncsFail => fail(Operation::Sync),
            Kind::WritesTear => fail(Operation::Append),
            Kind::NamesFail => {
                fail(Operation::Name);
                fail(Operation::SyncDir);
            }
            Kind::Full { room_bytes } => disk.set_capacity(Some(disk.used_bytes() + room_bytes)),
        }
    }

    pub(super) fn end(disk: &MemoryDisk) {
        disk.clear_faults();
        disk.set_capacity(None);
    }
}
