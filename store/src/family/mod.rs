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
mod stretch;
pub(crate) mod totals;

use crate::disk::FamilyId;

pub(crate) use envelope::{Damaged, open, seal};
pub(crate) use key::{KeyReader, KeyWriter, after_prefix};
pub(crate) use stretch::{LONGEST, MOST_WINDOWS, OF_SAMPLES, Stretch};

pub(crate) const NAMES: &[&str] = &["commit", "dictionary", "blocks", "totals", "samples"];
pub(crate) const COMMIT: FamilyId = 0;
pub(crate) const DICTIONARY: FamilyId = 1;
pub(crate) const BLOCKS: FamilyId = 2;
pub(crate) const TOTALS: FamilyId = 3;
pub(crate) const SAMPLES: FamilyId = 4;
