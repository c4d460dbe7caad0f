//! Damage: a bit that was synced reads back as another.
//!
//! Only in records that a later batch vouches for. Of the last batch an edge cannot tell damage from a torn
//! tail, so what it loses there it cannot tell of.

use bytes::Bytes;
use madsim::rand::seq::SliceRandom;
use madsim::rand::{Rng, thread_rng};
use tributary_store::disk::Files;

use super::SimDisk;

const HEADER_BYTES: usize = 24;
const HEAD_BYTES: usize = 24;

/// Where a record stands in its segment.
struct Place {
    path: String,
    index: u64,
    vouched: u64,
    at: usize,
    end: usize,
}

impl SimDisk {
    /// Flips a bit of a record of the log in a folder; answers which record that was.
    pub(crate) async fn harm(&self, dir: &str) -> Option<u64> {
        let disk = self.memory.reopen();
        let mut places = Vec::new();
        for name in disk.list(dir).await.ok()? {
            let path = format!("{dir}/{name}");
            let bytes = disk.read(&path).await.ok()??;
            places.extend(records(&path, &bytes));
        }
        let vouched = places.last()?.vouched;
        places.retain(|place| place.index < vouched);
        let Place { path, index, at, end, .. } = places.choose(&mut thread_rng())?;
        let mut bytes = disk.read(path).await.ok()??.to_vec();
        bytes[thread_rng().gen_range(*at..*end)] ^= 1 << thread_rng().gen_range(0..8);
        disk.replace(path, bytes.into()).await.ok()?;
        Some(*index)
    }
}

/// As far as they follow each other.
fn records(path: &str, bytes: &Bytes) -> Vec<Place> {
    let mut places: Vec<Place> = Vec::new();
    let mut at = HEADER_BYTES;
    while at + HEAD_BYTES <= bytes.len() {
        let number = |from: usize, len: usize| {
            let bytes = bytes[at + from..at + from + len].iter().rev();
            bytes.fold(0u64, |number, byte| number << 8 | u64::from(*byte))
        };
        let end = number(4, 4) as usize + at + HEAD_BYTES;
        let (index, vouched) = (number(8, 8), number(16, 8));
        let follows = places.last().is_none_or(|last| last.index + 1 == index);
        if end > bytes.len() || vouched > index || !follows {
            break;
        }
        places.push(Place { path: path.to_owned(), index, vouched, at, end });
        at = end;
    }
    places
}
