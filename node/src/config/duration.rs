//! A length of time as the configuration writes it: a whole number and one unit.

use std::fmt;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};
use thiserror::Error;

/// Reads `10s`, `1400ms`, `10min`, `1h`, `30d`; writes the largest unit that leaves no fraction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duration(std::time::Duration);

#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("not {EXPECTED}")]
pub struct NoDuration;

const EXPECTED: &str = "a duration: a whole number and one of ns, us, ms, s, min, h, d, as in 10s";

/// From the smallest; what is written is the largest that divides.
const UNITS_NS: [(&str, u64); 7] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("min", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];

impl Duration {
    pub const ZERO: Duration = Duration(std::time::Duration::ZERO);

    pub const fn ms(ms: u64) -> Self {
        Duration(std::time::Duration::from_millis(ms))
    }

    pub const fn seconds(seconds: u64) -> Self {
        Duration(std::time::Duration::from_secs(seconds))
    }

    pub const fn minutes(minutes: u64) -> Self {
        Duration::seconds(60 * minutes)
    }

    pub const fn days(days: u64) -> Self {
        Duration::seconds(86_400 * days)
    }

    pub const fn get(self) -> std::time::Duration {
        self.0
    }

    /// What is read fits, and so does what the code writes.
    pub fn as_ns(self) -> u64 {
        u64::try_from(self.0.as_nanos()).unwrap_or(u64::MAX)
    }

    pub fn as_ms(self) -> u64 {
        self.as_ns() / 1_000_000
    }
}

impl FromStr for Duration {
    type Err = NoDuration;

    fn from_str(text: &str) -> Result<Self, NoDuration> {
        let (number, unit) =
            text.split_at(text.find(|c: char| !c.is_ascii_digit()).ok_or(NoDuration)?);
        let unit = unit.trim_start_matches(' ');
        let (_, unit_ns) = UNITS_NS.iter().find(|(name, _)| *name == unit).ok_or(NoDuration)?;
        let number: u64 = number.parse().map_err(|_| NoDuration)?;
        let ns = number.checked_mul(*unit_ns).ok_or(NoDuration)?;
        Ok(Duration(std::time::Duration::from_nanos(ns)))
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ns = self.as_ns();
        match UNITS_NS
            .iter()
            .rev()
            .find(|(_, unit_ns)| ns >= *unit_ns && ns.is_multiple_of(*unit_ns))
        {
            Some((name, unit_ns)) => write!(f, "{}{name}", ns / unit_ns),
            None => f.write_str("0s"),
        }
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Duration;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(EXPECTED)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Duration, E> {
                text.parse().map_err(|NoDuration| E::invalid_value(Unexpected::Str(text), &self))
            }
        }
        // As text, since a number without a unit is not taken.
        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_unit_is_read_and_the_largest_whole_one_written() {
        for (text, ns, written) in [
            ("0s", 0, "0s"),
            ("250us", 250_000, "250us"),
            ("1400ms", 1_400_000_000, "1400ms"),
            ("1000ms", 1_000_000_000, "1s"),
            ("10 min", 600_000_000_000, "10min"),
            ("90s", 90_000_000_000, "90s"),
            ("24h", 86_400_000_000_000, "1d"),
            ("30d", 2_592_000_000_000_000, "30d"),
        ] {
            let read: Duration = text.parse().expect(text);
            assert_eq!((read.as_ns(), read.to_string().as_str()), (ns, written), "{text}");
            assert_eq!(written.parse(), Ok(read));
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in
            ["", "10", "s", "1.5s", "-1s", "1h30m", "10m", "10S", "5w", "s10", "99999999999999d"]
        {
            assert_eq!(text.parse::<Duration>(), Err(NoDuration), "{text}");
        }
    }
}
