//! A histogram's shape and the width of its windows.
//!
//! A layout's id is a hash of what it says, so edges that are configured alike agree on it without
//! asking anybody. It is part of every delta's key: deltas of two layouts are never added.

use xxhash_rust::xxh3::xxh3_64;

use crate::codec::{DecodeError, Reader, Writer};
use crate::window::WindowEnd;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LayoutId(pub u64);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    window_ms: u32,
    /// Upper bounds, included, ascending; one more bucket without a bound follows.
    bounds_ns: Vec<u64>,
}

/// Retired tags are never used again; an exponential scale will be the next.
const EXPLICIT_V1: u8 = 1;

impl Layout {
    pub const MAX_BOUNDS: usize = 1024;

    /// `None` unless the bounds ascend strictly and the window divides a day.
    pub fn explicit(window_ms: u32, bounds_ns: Vec<u64>) -> Option<Self> {
        let ascending = bounds_ns.windows(2).all(|pair| pair[0] < pair[1]);
        let aligned = window_ms > 0 && 86_400_000 % window_ms == 0;
        (ascending && aligned && bounds_ns.len() <= Self::MAX_BOUNDS)
            .then_some(Layout { window_ms, bounds_ns })
    }

    pub fn window_ms(&self) -> u32 {
        self.window_ms
    }

    pub fn bounds_ns(&self) -> &[u64] {
        &self.bounds_ns
    }

    pub fn buckets(&self) -> usize {
        self.bounds_ns.len() + 1
    }

    /// The first bucket whose bound holds the duration.
    pub fn bucket(&self, duration_ns: u64) -> usize {
        self.bounds_ns.partition_point(|&bound| bound < duration_ns)
    }

    /// The window that an event at `time_ns` belongs to; one on a boundary belongs to the window that
    /// begins there.
    pub fn window(&self, time_ns: u64) -> WindowEnd {
        let width_ns = u64::from(self.window_ms) * 1_000_000;
        let windows_before = time_ns / width_ns;
        // At most 2^64 ns in milliseconds plus a day: far from the end of i64.
        WindowEnd(((windows_before + 1) * u64::from(self.window_ms)) as i64)
    }

    pub fn id(&self) -> LayoutId {
        let mut w = Writer::new();
        self.encode(&mut w);
        LayoutId(xxh3_64(&w.into_bytes()))
    }

    pub fn encode(&self, w: &mut Writer) {
        w.u8(EXPLICIT_V1);
        w.varint(self.window_ms);
        w.varint(self.bounds_ns.len() as u64);
        let mut previous = 0;
        for &bound in &self.bounds_ns {
            w.varint(bound - previous);
            previous = bound;
        }
    }

    pub fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match r.u8()? {
            EXPLICIT_V1 => {}
            other => return Err(DecodeError::UnknownVersion(other)),
        }
        let window_ms = r.varint()?.try_into().map_err(|_| DecodeError::Bad("window width"))?;
        let count = r.varint()?;
        if count > Self::MAX_BOUNDS as u64 {
            return Err(DecodeError::Bad("layout: too many bounds"));
        }
        let mut bounds_ns = Vec::new();
        let mut previous = 0u64;
        for _ in 0..count {
            previous = previous.checked_add(r.varint()?).ok_or(DecodeError::Bad("bound"))?;
            bounds_ns.push(previous);
        }
        Layout::explicit(window_ms, bounds_ns).ok_or(DecodeError::Bad("layout"))
    }
}

/// Ten-second windows, 2 ms to 15 s: the bounds of the Collector's span metrics.
impl Default for Layout {
    fn default() -> Self {
        const BOUNDS_MS: [u64; 16] =
            [2, 4, 6, 8, 10, 50, 100, 200, 400, 800, 1000, 1400, 2000, 5000, 10_000, 15_000];
        let bounds_ns = BOUNDS_MS.iter().map(|ms| ms * 1_000_000).collect();
        Layout { window_ms: 10_000, bounds_ns }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_own_bucket() {
        let layout = Layout::default();
        assert_eq!(layout.bucket(0), 0);
        assert_eq!(layout.bucket(2_000_000), 0);
        assert_eq!(layout.bucket(2_000_001), 1);
        assert_eq!(layout.bucket(15_000_000_000), 15);
        assert_eq!(layout.bucket(u64::MAX), 16);
    }

    #[test]
    fn a_span_that_ends_on_a_boundary_opens_the_next_window() {
        let layout = Layout::default();
        assert_eq!(layout.window(9_999_999_999), WindowEnd(10_000));
        assert_eq!(layout.window(10_000_000_000), WindowEnd(20_000));
        assert_eq!(layout.window(u64::MAX).0, 18_446_744_080_000);
    }

    #[test]
    fn the_default_layout_keeps_its_id() {
        assert_eq!(Layout::default().id(), LayoutId(DEFAULT_ID));
    }

    #[test]
    fn bounds_out_of_order_are_refused() {
        assert!(Layout::explicit(10_000, vec![2, 2]).is_none());
        assert!(Layout::explicit(7_000, vec![2]).is_none());
        let mut w = Writer::new();
        Layout::default().encode(&mut w);
        let bytes = w.into_bytes();
        assert_eq!(Layout::decode(&mut Reader::new(&bytes)), Ok(Layout::default()));
    }

    const DEFAULT_ID: u64 = 1_686_878_073_621_659_162;
}
