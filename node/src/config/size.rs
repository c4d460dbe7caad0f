//! A number of bytes as the configuration writes it: `64MiB`, `1GiB`, or a plain integer.

use std::fmt;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};
use thiserror::Error;

/// Writes the largest unit that leaves no fraction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(u64);

#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("not {EXPECTED}")]
pub struct NoSize;

const EXPECTED: &str =
    "a size: a whole number of bytes, or one with KiB, MiB, GiB or TiB, as in 64MiB";

const UNITS: [(&str, u32); 4] = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40)];

impl Size {
    pub const fn bytes(bytes: u64) -> Self {
        Size(bytes)
    }

    pub const fn kib(kib: u64) -> Self {
        Size(kib << 10)
    }

    pub const fn mib(mib: u64) -> Self {
        Size(mib << 20)
    }

    pub const fn gib(gib: u64) -> Self {
        Size(gib << 30)
    }

    pub const fn get(self) -> u64 {
        self.0
    }

    /// Where more than all memory is meant, all memory is.
    pub fn in_memory(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl FromStr for Size {
    type Err = NoSize;

    fn from_str(text: &str) -> Result<Self, NoSize> {
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| NoSize)?;
        let shift = match unit.trim_start_matches(' ') {
            "" => 0,
            unit => UNITS.iter().find(|(name, _)| *name == unit).ok_or(NoSize)?.1,
        };
        number.checked_mul(1 << shift).map(Size).ok_or(NoSize)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |shift: u32| self.0 >> shift > 0 && self.0.trailing_zeros() >= shift;
        match UNITS.iter().rev().find(|(_, shift)| fits(*shift)) {
            Some((name, shift)) => write!(f, "{}{name}", self.0 >> shift),
            None => write!(f, "{}", self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Size;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(EXPECTED)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Size, E> {
                text.parse().map_err(|NoSize| E::invalid_value(Unexpected::Str(text), &self))
            }
        }
        // A plain number comes as its digits.
        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_unit_is_read_and_the_largest_whole_one_written() {
        for (text, bytes, written) in [
            ("0", 0, "0"),
            ("1000", 1_000, "1000"),
            ("65536", 65_536, "64KiB"),
            ("64 MiB", 64 << 20, "64MiB"),
            ("1536MiB", 1_536 << 20, "1536MiB"),
            ("1024GiB", 1 << 40, "1TiB"),
        ] {
            let read: Size = text.parse().expect(text);
            assert_eq!((read.get(), read.to_string().as_str()), (bytes, written), "{text}");
            assert_eq!(written.parse(), Ok(read));
        }
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in ["", "MiB", "64MB", "64M", "64mib", "1.5GiB", "-1", "16777216TiB", "1_000"] {
            assert_eq!(text.parse::<Size>(), Err(NoSize), "{text}");
        }
    }
}
