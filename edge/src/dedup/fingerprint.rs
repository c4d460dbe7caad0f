//! What is remembered of a request.

use super::Uptime;
use crate::TraceAnswer;

/// Of tenant and decompressed body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Fingerprint(pub(crate) u128);

/// A request that counts, and what it was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Remembered {
    pub(crate) fingerprint: Fingerprint,
    /// As recorded with the request.
    pub(crate) uptime: Uptime,
    pub(crate) answer: TraceAnswer,
}

impl Fingerprint {
    /// Where it falls in a hash table. Who sends requests can search for bodies whose fingerprints have
    /// bits in common; without the key they cannot know which of them would meet in a table.
    pub(super) fn spread(self, key: u64) -> u64 {
        let (low, high) = (self.0 as u64, (self.0 >> 64) as u64);
        folded(folded(low ^ key) ^ high ^ key.rotate_left(32))
    }
}

/// Every bit of the value moves every bit of the outcome, the low ones too.
fn folded(value: u64) -> u64 {
    // Odd, with its bits evenly strewn: the golden ratio's fraction.
    let product = u128::from(value) * 0x9e37_79b9_7f4a_7c15;
    product as u64 ^ (product >> 64) as u64
}
