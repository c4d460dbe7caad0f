//! The attributes that a configuration reads, found by key.

use super::span::WINDOW_BYTES;

#[derive(Debug)]
pub(super) struct Wanted {
    keys: Vec<Key>,
    /// One more than the first key of a length, or zero.
    by_length: [u8; LENGTHS],
    /// How the keys of a length end, with the length: most attributes have another one.
    ends: [Ends; LENGTHS],
}

/// The last four bytes of those that pass, where `mask` has bits.
#[derive(Clone, Copy, Debug)]
struct Ends {
    bytes: u32,
    mask: u32,
}

#[derive(Debug)]
struct Key {
    bytes: Box<[u8]>,
    /// Its beginning, as words, and which of their bits it has.
    words: [u64; WORDS],
    masks: [u64; WORDS],
    /// One more than the next key of its length, or zero.
    next: u8,
}

const WORDS: usize = 4;
/// Of keys whose length takes one byte.
const LENGTHS: usize = 128;
/// A configuration reads at most this many attributes, the service's name among them.
pub const MAX_WANTED: usize = 64;

impl Wanted {
    /// Of a key that stands twice the second place is never found.
    pub(super) fn new<'a>(keys: impl IntoIterator<Item = &'a str>) -> Self {
        let mut keys: Vec<Key> = keys.into_iter().map(|key| Key::new(key.as_bytes())).collect();
        assert!(keys.len() <= MAX_WANTED, "checked with the configuration");
        let mut by_length = [0; LENGTHS];
        for (at, key) in keys.iter_mut().enumerate().rev() {
            if let Some(first) = by_length.get_mut(key.bytes.len()) {
                key.next = std::mem::replace(first, at as u8 + 1);
            }
        }
        let mut ends = [Ends::NONE; LENGTHS];
        for key in &keys {
            if let Some(of_length) = ends.get_mut(key.bytes.len()) {
                *of_length = of_length.and(Ends::of(&key.bytes));
            }
        }
        Wanted { keys, by_length, ends }
    }

    /// Whether the key of `length` bytes that stands in the window may be wanted.
    #[inline(always)]
    pub(super) fn may_have(&self, window: &[u8; WINDOW_BYTES], length: usize) -> bool {
        let ends = &self.ends[length % LENGTHS];
        let last =
            window[length % LENGTHS..].first_chunk().map_or(0, |last| u32::from_le_bytes(*last));
        last & ends.mask == ends.bytes
    }

    /// Of the key of `length` bytes that stands in the window at [`KEY_AT`].
    #[inline(always)]
    pub(super) fn find_in(&self, window: &[u8; WINDOW_BYTES], length: usize) -> Option<usize> {
        let mut next = usize::from(self.by_length[length % LENGTHS]);
        while let Some(key) = self.keys.get(next.wrapping_sub(1)) {
            if key.begins(window) && (length <= 8 * WORDS || key.goes_on(window)) {
                return Some(next - 1);
            }
            next = usize::from(key.next);
        }
        None
    }

    /// Of any key.
    pub(super) fn find(&self, key: &[u8]) -> Option<usize> {
        self.keys.iter().position(|known| *known.bytes == *key)
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }
}

/// Where in a window a short attribute's key stands, so that its last four bytes begin where it is long.
pub(super) const KEY_AT: usize = 4;

impl Ends {
    const NONE: Ends = Ends { bytes: 1, mask: 0 };

    fn of(key: &[u8]) -> Ends {
        let mut ends = [[0; KEY_AT]; 2];
        for (at, byte) in key.iter().rev().take(KEY_AT).enumerate() {
            ends[0][KEY_AT - 1 - at] = *byte;
            ends[1][KEY_AT - 1 - at] = u8::MAX;
        }
        let [bytes, mask] = ends.map(u32::from_le_bytes);
        Ends { bytes, mask }
    }

    /// Lets both pass.
    fn and(self, other: Ends) -> Ends {
        let is_none = |ends: Ends| ends.bytes & !ends.mask != 0;
        if is_none(self) {
            return other;
        }
        let mask = self.mask & other.mask & !(self.bytes ^ other.bytes);
        Ends { bytes: self.bytes & mask, mask }
    }
}

impl Key {
    fn new(bytes: &[u8]) -> Key {
        let (mut words, mut masks) = ([[0; 8]; WORDS], [[0; 8]; WORDS]);
        let places = words.as_flattened_mut().iter_mut().zip(masks.as_flattened_mut());
        for (byte, (word, mask)) in bytes.iter().zip(places) {
            (*word, *mask) = (*byte, u8::MAX);
        }
        let [words, masks] = [words, masks].map(|words| words.map(u64::from_le_bytes));
        Key { bytes: bytes.into(), words, masks, next: 0 }
    }

    #[inline(always)]
    fn begins(&self, window: &[u8; WINDOW_BYTES]) -> bool {
        let (words, _) = window[KEY_AT..].as_chunks();
        let differ = (0..WORDS).fold(0, |differ, at| {
            differ | ((u64::from_le_bytes(words[at]) ^ self.words[at]) & self.masks[at])
        });
        differ == 0
    }

    #[cold]
    fn goes_on(&self, window: &[u8; WINDOW_BYTES]) -> bool {
        window[KEY_AT..].starts_with(&self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_by_all_of_their_bytes() {
        let long = ["k".repeat(100), "k".repeat(99) + "i", "k".repeat(200)];
        let wanted = Wanted::new(["http.route", "http.riute", &long[0], &long[1], "", &long[2]]);
        let find = |key: &str| {
            let found = wanted.find(key.as_bytes());
            if key.len() < LENGTHS {
                let mut window = [b'e'; WINDOW_BYTES];
                window[KEY_AT..][..key.len()].copy_from_slice(key.as_bytes());
                assert_eq!(wanted.find_in(&window, key.len()), found, "{key}");
                assert!(found.is_none() || wanted.may_have(&window, key.len()), "{key}");
            }
            found
        };
        assert_eq!([find("http.route"), find("http.riute")], [Some(0), Some(1)]);
        assert_eq!(long.each_ref().map(|key| find(key)), [Some(2), Some(3), Some(5)]);
        assert_eq!([find(&long[0][1..]), find("http.rout"), find("http.raute")], [None; 3]);
        assert_eq!(find(""), Some(4));
        assert!(!wanted.may_have(&[b'x'; WINDOW_BYTES], 10));
        assert!(!wanted.may_have(&[b'e'; WINDOW_BYTES], 11));
    }

    #[test]
    fn a_key_that_stands_twice_is_found_where_it_stands_first() {
        let wanted = Wanted::new(["code", "code"]);
        assert_eq!(wanted.find(b"code"), Some(0));
        let mut window = [0; WINDOW_BYTES];
        window[KEY_AT..][..4].copy_from_slice(b"code");
        assert_eq!(wanted.find_in(&window, 4), Some(0));
    }
}
