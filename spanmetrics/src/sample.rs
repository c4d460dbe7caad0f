//! Samples: what is not a delta, such as a node's own metrics.

use std::fmt;

use xxhash_rust::xxh3::xxh3_128;

use crate::codec::Writer;
use crate::group::shard_of;
use crate::labels::Labels;
use crate::tenant::Tenant;

/// A sample series' id: a 128-bit hash over tenant and labels.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesId(pub u128);

/// A float by its bits, so that it compares, hashes and round-trips, whatever it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SampleBits(pub u64);

/// The series encoding's version, first in what is hashed; no group encoding begins like it.
const SERIES_V1: u8 = 129;

impl SeriesId {
    pub fn of(tenant: &Tenant, labels: &Labels) -> Self {
        let mut w = Writer::new();
        w.u8(SERIES_V1);
        w.str(tenant.as_str());
        labels.encode(&mut w);
        SeriesId(xxh3_128(&w.into_bytes()))
    }

    pub fn shard(self, shards: u16) -> u16 {
        shard_of(self.0, shards)
    }
}

impl SampleBits {
    pub fn new(value: f64) -> Self {
        SampleBits(value.to_bits())
    }

    pub fn value(self) -> f64 {
        f64::from_bits(self.0)
    }
}

impl fmt::Debug for SeriesId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_pinned() {
        let up = Labels::from_pairs([("__name__", "up"), ("job", "tributary")]);
        let id = SeriesId::of(&Tenant::default(), &up);
        assert_eq!(format!("{id:?}"), PINNED);
    }

    const PINNED: &str = "d06a747ebddb5d93a023d82ae3bf32b3";
}
