//! What is wrong with the disk at the moment.

use std::path::Path;
use std::time::Duration;

use rand::Rng;

use super::body::Tearing;

/// Switched at run time, between any two calls. The default is a good disk without latency.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    /// `fsync` of a file answers EIO, and some of its pages are lost for good.
    pub(crate) fail_sync: Option<Failing>,
    /// Bytes that may still be written; beyond them a write answers ENOSPC.
    pub(crate) room_bytes: Option<u64>,
    /// Planted: `fsync` of files with one of these in their path answers, and does nothing.
    pub(crate) ignore_sync: Option<&'static str>,
    /// Planted: `fsync` of a folder answers, and does nothing.
    pub(crate) ignore_folder_sync: bool,
    /// A sync takes up to so long, and now and then ten times as long.
    pub(crate) sync_latency: Duration,
    /// A cut tears only files with one of these in their path at will; others keep a prefix of what was not
    /// synced.
    pub(crate) tear_only: Option<&'static [&'static str]>,
    /// The power goes at the step that this counts down to.
    pub(crate) trap: Option<Trap>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Failing {
    /// In paths with this in them.
    pub(crate) within: &'static str,
    pub(crate) syncs: u64,
}

/// The moments between a write and its sync are few: a cut at a random time hardly meets them, one at
/// a random step does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trap {
    /// Counts changes and syncs in paths with this in them.
    pub(crate) within: &'static str,
    pub(crate) steps: u64,
}

impl Faults {
    /// Whether this sync fails.
    pub(super) fn take_sync_failure(&mut self, path: &Path) -> bool {
        let Some(failing) = &mut self.fail_sync else { return false };
        if failing.syncs == 0 || !holds(path, failing.within) {
            return false;
        }
        failing.syncs -= 1;
        true
    }

    pub(super) fn tearing(&self, path: &Path) -> Tearing {
        match self.tear_only {
            Some(within) if !within.iter().any(|within| holds(path, within)) => Tearing::Prefix,
            _ => Tearing::Any,
        }
    }

    pub(super) fn ignores_sync(&self, path: &Path) -> bool {
        self.ignore_sync.is_some_and(|within| holds(path, within))
    }

    /// Whether so many bytes more find room.
    pub(super) fn take_room(&mut self, bytes: usize) -> bool {
        let Some(room) = &mut self.room_bytes else { return true };
        match room.checked_sub(bytes as u64) {
            Some(left) => *room = left,
            None => return false,
        }
        true
    }

    /// Whether the power goes at this step.
    pub(super) fn springs(&mut self, path: &Path) -> bool {
        let Some(trap) = &mut self.trap else { return false };
        if !holds(path, trap.within) {
            return false;
        }
        trap.steps = trap.steps.saturating_sub(1);
        let springs = trap.steps == 0;
        if springs {
            self.trap = None;
        }
        springs
    }

    pub(super) fn draw_latency(&self, rng: &mut impl Rng) -> Duration {
        let drawn = self.sync_latency.mul_f64(rng.gen_range(0.2..=1.0));
        if rng.gen_ratio(1, 50) { drawn * 10 } else { drawn }
    }
}

fn holds(path: &Path, within: &str) -> bool {
    path.to_string_lossy().contains(within)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_so_many_syncs_fail_and_only_where_they_are_told_to() {
        let fail_sync = Some(Failing { within: "journal/", syncs: 1 });
        let mut faults = Faults { fail_sync, ..Faults::default() };
        assert!(!faults.take_sync_failure(Path::new("data/shards/1")));
        assert!(faults.take_sync_failure(Path::new("data/edge/journal/1")));
        assert!(!faults.take_sync_failure(Path::new("data/edge/journal/1")));
    }

    #[test]
    fn a_write_takes_room_or_none() {
        let mut faults = Faults { room_bytes: Some(10), ..Faults::default() };
        assert!(faults.take_room(6) && !faults.take_room(5) && faults.take_room(4));
        faults.room_bytes = None;
        assert!(faults.take_room(1 << 40));
    }

    #[test]
    fn a_trap_springs_once_at_its_step() {
        let trap = Some(Trap { within: "journal/", steps: 2 });
        let mut faults = Faults { trap, ..Faults::default() };
        let sprung: Vec<_> = ["a", "journal/1", "a", "journal/1", "journal/1"]
            .iter()
            .map(|path| faults.springs(Path::new(path)))
            .collect();
        assert_eq!(sprung, [false, false, false, true, false]);
    }
}
