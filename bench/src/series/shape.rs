//! How many groups, for how long, and how busy they are.

use clap::{Args, ValueEnum};
use serde::Serialize;
use thiserror::Error;

use crate::spans::{self, Catalogue};

#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct Shape {
    #[arg(long, default_value_t = 600)]
    pub groups: usize,
    /// Half of them before a month's end, half behind it
    #[arg(long, default_value_t = 48)]
    pub hours: u32,
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    #[arg(long, value_enum, default_value_t = Variant::Usual)]
    pub variant: Variant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Variant {
    /// As many buckets used as leave the load comparable with what peers were measured by
    Usual,
    /// Most buckets of most windows are used
    Full,
    /// Most windows are empty, few buckets are used
    Sparse,
}

#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum BadShape {
    #[error("{hours} hours: there have to be from 1 to 8784")]
    Hours { hours: u32 },
    #[error(transparent)]
    Groups(#[from] spans::BadShape),
}

pub const WINDOW_MS: i64 = 15_000;
/// The shipped layout's.
pub const BOUNDS_MS: [u64; 16] =
    [2, 4, 6, 8, 10, 50, 100, 200, 400, 800, 1000, 1400, 2000, 5000, 10_000, 15_000];

const WINDOWS_AN_HOUR: u32 = 240;
const HOUR_MS: i64 = WINDOWS_AN_HOUR as i64 * WINDOW_MS;
/// 2026-10-01, 0:00 UTC.
const MONTHS_END_MS: i64 = 1_790_812_800_000;

impl Shape {
    pub fn check(&self) -> Result<(), BadShape> {
        if !(1..=8784).contains(&self.hours) {
            return Err(BadShape::Hours { hours: self.hours });
        }
        Ok(self.spans().check()?)
    }

    /// Who they are: the groups of the span generator.
    pub fn catalogue(&self) -> Catalogue {
        Catalogue::new(&self.spans(), self.seed)
    }

    pub fn windows(&self) -> u32 {
        self.hours * WINDOWS_AN_HOUR
    }

    pub fn start_ms(&self) -> i64 {
        MONTHS_END_MS - i64::from(self.hours / 2) * HOUR_MS
    }

    pub fn end_ms(&self) -> i64 {
        self.start_ms() + i64::from(self.hours) * HOUR_MS
    }

    /// Where one month's windows end and the next one's begin.
    pub fn months_end_ms(&self) -> i64 {
        MONTHS_END_MS
    }

    /// One group is one call of one service there, so its requests' size says nothing.
    fn spans(&self) -> spans::Shape {
        spans::Shape::of(1, self.groups)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_month_ends_in_the_middle() {
        let shape = Shape { groups: 20, hours: 4, seed: 1, variant: Variant::Usual };
        assert_eq!((shape.end_ms() - shape.start_ms()) / WINDOW_MS, i64::from(shape.windows()));
        assert_eq!(shape.months_end_ms() - shape.start_ms(), 2 * HOUR_MS);
        assert_eq!(shape.start_ms() % WINDOW_MS, 0);
        assert!(shape.check().is_ok());
        assert!(Shape { hours: 0, ..shape.clone() }.check().is_err());
        assert!(Shape { groups: 0, ..shape }.check().is_err());
    }
}
