//! The attributes that a configuration reads, found by key.

use super::words;

#[derive(Debug)]
pub(super) struct Wanted {
    keys: Vec<Box<[u8]>>,
    /// Which keys have a length, as bits; those of the last length and beyond stand together. Most
    /// attributes have a length that no key has.
    by_length: [u64; LENGTHS],
}

const LENGTHS: usize = 64;
/// A configuration reads at most this many attributes, the service's name among them.
pub const MAX_WANTED: usize = 64;

impl Wanted {
    /// Of a key that stands twice the second place is never found.
    pub(super) fn new<'a>(keys: impl IntoIterator<Item = &'a str>) -> Self {
        let keys: Vec<Box<[u8]>> = keys.into_iter().map(|key| key.as_bytes().into()).collect();
        assert!(keys.len() <= MAX_WANTED, "checked with the configuration");
        let mut by_length = [0; LENGTHS];
        for (at, key) in keys.iter().enumerate() {
            by_length[key.len().min(LENGTHS - 1)] |= 1 << at;
        }
        Wanted { keys, by_length }
    }

    /// Whether a key of this length may be wanted.
    #[inline(always)]
    pub(super) fn may_have(&self, length: usize) -> bool {
        self.by_length[length.min(LENGTHS - 1)] != 0
    }

    #[inline(always)]
    pub(super) fn find(&self, key: &[u8]) -> Option<usize> {
        let mut candidates = self.by_length[key.len().min(LENGTHS - 1)];
        while candidates != 0 {
            let at = candidates.trailing_zeros() as usize;
            if words::same(&self.keys[at], key) {
                return Some(at);
            }
            candidates &= candidates - 1;
        }
        None
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_by_all_of_their_bytes() {
        let long = "k".repeat(100);
        let wanted = Wanted::new(["http.route", "http.riute", &long, ""]);
        let find = |key: &str| wanted.find(key.as_bytes());
        assert_eq!([find("http.route"), find("http.riute")], [Some(0), Some(1)]);
        assert_eq!([find(&long), find(&long[1..])], [Some(2), None]);
        assert_eq!([find(""), find("http.rout")], [Some(3), None]);
    }
}
