//! Blocks: the deltas of one group and layout in one stretch of time, as one commit gathered them.
//! Blocks of one stretch add up.
//!
//! ```text
//! rows · first end · gaps · shift │ counts │ buckets that are filled · one left out · the others … │ sums
//! ```
//!
//! Gaps, counts, buckets and sums are [`column`]s. Counts and buckets stand without the low bits that are zero in all of
//! them: the weight of a span. What all spans are without those of the other buckets needs no column; it is left out
//! where it would be the longest. Who wants counts alone reads no further.

mod bits;
mod column;
mod sums;

use tributary_spanmetrics::codec::{DecodeError, Reader, Writer};
use tributary_spanmetrics::{GroupId, Layout, LayoutId, Tenant, WindowEnd};

use self::sums::Expected;
use super::{Damaged, KeyReader, KeyWriter, MOST_WINDOWS};
use crate::windows::Windows;

/// Shared with the totals, which stand beside the blocks under the same keys.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct BlockKey {
    pub(crate) tenant: Tenant,
    pub(crate) group: GroupId,
    /// The start of the stretch.
    pub(crate) stretch_ms: i64,
    pub(crate) layout: LayoutId,
}

impl BlockKey {
    /// Every row of the group begins with this.
    pub(crate) fn of_group(tenant: &Tenant, group: GroupId) -> KeyWriter {
        KeyWriter::tenant(tenant).u128(group.0)
    }

    /// The row that a commit wrote.
    pub(crate) fn row(&self, commit: u64) -> Vec<u8> {
        self.prefix().u64(commit).done()
    }

    /// Every row of the stretch in this layout begins with this.
    pub(crate) fn prefix(&self) -> KeyWriter {
        Self::of_group(&self.tenant, self.group).time(self.stretch_ms).u64(self.layout.0)
    }

    pub(crate) fn decode(row: &[u8]) -> Option<(Self, u64)> {
        let (tenant, mut r) = KeyReader::tenant(row)?;
        let group = GroupId(r.u128()?);
        let stretch_ms = r.time()?;
        let layout = LayoutId(r.u64()?);
        Some((BlockKey { tenant, group, stretch_ms, layout }, r.u64()?))
    }
}

/// Tag 1, retired: row by row.
const BLOCK_V2: u8 = 2;

/// `windows` has rows, and its ends lie on the layout's grid.
pub(crate) fn encode(windows: &Windows, layout: &Layout) -> Vec<u8> {
    super::seal(BLOCK_V2, |w| {
        w.varint(windows.len() as u64);
        write_ends(windows.ends(), layout, w);
        let units = || windows.buckets().iter().flatten().chain(windows.counts());
        let shift = units().fold(0, |all, units| all | units).trailing_zeros() % u64::BITS;
        w.u8(shift as u8);
        write_units(windows.counts(), shift, w);
        write_buckets(windows, shift, w);
        let expected = Expected::of(layout, windows.buckets(), windows.len(), shift);
        expected.write(windows.sums_us(), w);
    })
}

pub(crate) fn decode(value: &[u8], layout: &Layout) -> Result<Windows, Damaged> {
    super::open(BLOCK_V2, value, |r| {
        let rows = rows(r)?;
        let ends = read_ends(r, rows, layout)?;
        let shift = r.u8()?;
        if u32::from(shift) >= u64::BITS {
            return Err(DecodeError::Bad("block: shift"));
        }
        let mut count = read_units(r, rows, shift)?;
        let buckets = read_buckets(r, rows, shift, &count, layout)?;
        let sum_us = Expected::of(layout, &buckets, rows, shift.into()).read(r)?;
        count.resize(rows, 0);
        Ok(Windows::of_columns(ends, count, sum_us, buckets))
    })
}

fn rows(r: &mut Reader<'_>) -> Result<usize, DecodeError> {
    match r.varint()? {
        rows @ 1..=MOST_WINDOWS => Ok(rows as usize),
        _ => Err(DecodeError::Bad("block: rows")),
    }
}

fn write_ends(ends: &[WindowEnd], layout: &Layout, w: &mut Writer) {
    let width = i64::from(layout.window_ms());
    w.signed(ends[0].0);
    let gap = |pair: &[WindowEnd]| ((pair[1].0 - pair[0].0) / width - 1) as u64;
    column::write(&ends.windows(2).map(gap).collect::<Vec<_>>(), w);
}

fn read_ends(
    r: &mut Reader<'_>,
    rows: usize,
    layout: &Layout,
) -> Result<Vec<WindowEnd>, DecodeError> {
    let width = i64::from(layout.window_ms());
    let mut end = r.signed()?;
    let mut gaps = column::read(r, rows - 1)?;
    gaps.resize(rows - 1, 0);
    let mut ends = Vec::with_capacity(rows);
    ends.push(WindowEnd(end));
    for gap in gaps {
        let windows = i64::try_from(gap).ok().and_then(|gap| gap.checked_add(1));
        let next = windows.and_then(|windows| end.checked_add(windows.checked_mul(width)?));
        end = next.ok_or(DecodeError::Bad("block: window"))?;
        ends.push(WindowEnd(end));
    }
    Ok(ends)
}

fn write_buckets(windows: &Windows, shift: u32, w: &mut Writer) {
    let buckets = windows.buckets();
    let mut filled = vec![0u8; buckets.len().div_ceil(8)];
    let of = || buckets.iter().enumerate().filter(|(_, units)| !units.is_empty());
    of().for_each(|(bucket, _)| filled[bucket / 8] |= 1 << (bucket % 8));
    w.raw(&filled);
    let left_out = longest_that_follows(windows);
    w.varint(left_out.map_or(0, |bucket| bucket as u64 + 1));
    for (_, units) in of().filter(|(bucket, _)| Some(*bucket) != left_out) {
        write_units(units, shift, w);
    }
}

fn read_buckets(
    r: &mut Reader<'_>,
    rows: usize,
    shift: u8,
    count: &[u64],
    layout: &Layout,
) -> Result<Vec<Vec<u64>>, DecodeError> {
    let mut buckets = vec![Vec::new(); layout.buckets()];
    let filled = r.raw(buckets.len().div_ceil(8))?;
    let left_out = match r.varint()? {
        0 => None,
        bucket if bucket <= buckets.len() as u64 => Some(bucket as usize - 1),
        _ => return Err(DecodeError::Bad("block: bucket")),
    };
    let is_filled = |bucket: usize| filled[bucket / 8] & 1 << (bucket % 8) != 0;
    for (bucket, units) in buckets.iter_mut().enumerate() {
        if is_filled(bucket) && Some(bucket) != left_out {
            *units = read_units(r, rows, shift)?;
        }
    }
    if let Some(bucket) = left_out {
        buckets[bucket] = rest(count, &buckets);
    }
    Ok(buckets)
}

fn write_units(units: &[u64], shift: u32, w: &mut Writer) {
    column::write(&units.iter().map(|units| units >> shift).collect::<Vec<_>>(), w);
}

fn read_units(r: &mut Reader<'_>, rows: usize, shift: u8) -> Result<Vec<u64>, DecodeError> {
    let mut units = column::read(r, rows)?;
    units.iter_mut().for_each(|units| *units <<= shift);
    Ok(units)
}

/// The bucket with the most spans, if in each row all buckets come to the count.
fn longest_that_follows(windows: &Windows) -> Option<usize> {
    let nothing = rest(windows.counts(), windows.buckets()).is_empty();
    let spans = |units: &Vec<u64>| units.iter().map(|units| u128::from(*units)).sum::<u128>();
    let filled = windows.buckets().iter().enumerate().filter(|(_, units)| !units.is_empty());
    filled.max_by_key(|(_, units)| spans(units)).filter(|_| nothing).map(|(bucket, _)| bucket)
}

/// The counts without what stands in buckets; empty where that is zero throughout.
fn rest(count: &[u64], buckets: &[Vec<u64>]) -> Vec<u64> {
    let mut rest = count.to_vec();
    for units in buckets.iter().filter(|units| !units.is_empty()) {
        rest.resize(units.len(), 0);
        for (rest, units) in rest.iter_mut().zip(units) {
            *rest = rest.wrapping_sub(*units);
        }
    }
    if rest.iter().all(|units| *units == 0) {
        rest.clear();
    }
    rest
}

#[cfg(test)]
#[path = "blocks_test.rs"]
mod tests;
