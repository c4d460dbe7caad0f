//! Samples: what is not a delta. Of two values at one timestamp the one of the earlier commit stays.

use std::collections::BTreeMap;

use tributary_spanmetrics::codec::DecodeError;
use tributary_spanmetrics::{SampleBits, SeriesId, Tenant};

use super::{Damaged, KeyWriter};

pub(crate) type Points = BTreeMap<i64, SampleBits>;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SampleKey {
    pub(crate) tenant: Tenant,
    pub(crate) series: SeriesId,
    /// The start of the stretch.
    pub(crate) stretch_ms: i64,
}

impl SampleKey {
    pub(crate) fn of_series(tenant: &Tenant, series: SeriesId) -> KeyWriter {
        KeyWriter::tenant(tenant).u128(series.0)
    }

    pub(crate) fn row(&self, commit: u64) -> Vec<u8> {
        self.prefix().u64(commit).done()
    }

    pub(crate) fn prefix(&self) -> KeyWriter {
        Self::of_series(&self.tenant, self.series).time(self.stretch_ms)
    }
}

const SAMPLES_V1: u8 = 1;

pub(crate) fn encode(points: &Points) -> Vec<u8> {
    super::seal(SAMPLES_V1, |w| {
        w.varint(points.len() as u64);
        let mut previous = 0;
        for (time_ms, bits) in points {
            w.signed(time_ms - previous);
            w.fixed(bits.0.to_le_bytes());
            previous = *time_ms;
        }
    })
}

pub(crate) fn decode(value: &[u8]) -> Result<Points, Damaged> {
    super::open(SAMPLES_V1, value, |r| {
        let mut points = Points::new();
        let mut previous = 0i64;
        for _ in 0..r.varint()? {
            previous = previous.checked_add(r.signed()?).ok_or(DecodeError::Bad("time"))?;
            points.insert(previous, SampleBits(u64::from_le_bytes(r.fixed()?)));
        }
        Ok(points)
    })
}

/// Adds the points of a later commit.
pub(crate) fn add_later(into: &mut Points, later: Points) {
    for (time_ms, bits) in later {
        into.entry(time_ms).or_insert(bits);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_pinned() {
        let points =
            Points::from([(-1, SampleBits::new(f64::NAN)), (15_000, SampleBits::new(1.0))]);
        let value = encode(&points);
        let hex: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, PINNED);
        assert_eq!(decode(&value), Ok(points));
    }

    #[test]
    fn the_earlier_value_stays() {
        let mut points = Points::from([(1, SampleBits::new(1.0))]);
        add_later(
            &mut points,
            Points::from([(1, SampleBits::new(2.0)), (2, SampleBits::new(3.0))]),
        );
        assert_eq!(points.values().map(|bits| bits.value()).collect::<Vec<_>>(), [1.0, 3.0]);
    }

    const PINNED: &str = "010201000000000000f87fb2ea01000000000000f03f59f967ba";
}
