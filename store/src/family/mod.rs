//! The key families of a shard, one file each: how keys and values are written and read.
//!
//! | family | key | value |
//! |---|---|---|
//! | commit | fixed, or by source | the commit row; what is known of each source |
//! | dictionary | tenant, kind, id | a group, a layout, a sample series' labels |
//! | blocks | tenant, group, stretch, layout, commit | the deltas of a stretch of time |
//! | totals | as blocks | their sum |
//! | samples | tenant, series, stretch, commit | the samples of a stretch of time |
//!
//! Rows of one stretch add up, whatever commit wrote them, so nothing is read, changed and written
//! back to take in late data. Every value begins with its family's version and ends with a checksum.

pub(crate) mod blocks;
pub(crate) mod commit;
pub(crate) mod dictionary;
mod envelope;
mod key;
pub(crate) mod samples;
pub(crate) mod totals;

use crate::disk::FamilyId;

pub(crate) use envelope::{Damaged, open, seal};
pub(crate) use key::{KeyReader, KeyWriter, after_prefix};

pub(crate) const NAMES: &[&str] = &["commit", "dictionary", "blocks", "totals", "samples"];
pub(crate) const COMMIT: FamilyId = 0;
pub(crate) const DICTIONARY: FamilyId = 1;
pub(crate) const BLOCKS: FamilyId = 2;
pub(crate) const TOTALS: FamilyId = 3;
pub(crate) const SAMPLES: FamilyId = 4;

/// How much event time one row holds at most: 8 h, the best measured length at 10 s windows.
pub(crate) const STRETCH_MS: i64 = 8 * 3600 * 1000;

/// The start of the stretch that a sample at `time_ms` belongs to. Stretches are open to the left, as
/// windows are named by their end: the one that ends at midnight belongs to the day before.
pub(crate) fn stretch_of(time_ms: i64) -> i64 {
    // Saturating: the ends of a range may be the ends of time.
    time_ms.saturating_sub(1).div_euclid(STRETCH_MS).saturating_mul(STRETCH_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_are_open_to_the_left_and_reach_the_ends_of_time() {
        assert_eq!(stretch_of(STRETCH_MS), 0);
        assert_eq!(stretch_of(STRETCH_MS + 1), STRETCH_MS);
        assert_eq!(stretch_of(0), -STRETCH_MS);
        assert_eq!(stretch_of(i64::MIN), i64::MIN);
        assert!(stretch_of(i64::MAX) > i64::MAX - STRETCH_MS);
    }
}
