//! Compaction adds the rows of a stretch together: deletes them and writes their sum under the
//! greatest of their commits, in one batch. What is answered does not change, so when it happens is
//! nobody's business.

use tracing::warn;
use tributary_spanmetrics::Layout;

use super::checkpoint;
use super::dictionary::Dictionary;
use super::touched::Due;
use super::view::all_of;
use crate::disk::{self, Batch, FamilyId, Row, Snapshot};
use crate::family::blocks::{self, BlockKey};
use crate::family::samples::{self, Points};
use crate::family::totals;
use crate::family::{self, Damaged, after_prefix};
use crate::windows::Windows;

/// The rows added together are at least so many times as many as the largest of them holds, so that none is written
/// again more often than the logarithm of a stretch's length to this base.
const FAN_IN: u64 = 8;
/// Of a stretch that is over all rows become one, when what came on top of the largest is at least this part of it.
const WORTH: u64 = 16;

/// Rows of samples are added once they are so many.
const SAMPLE_ROWS: usize = 8;
/// A batch that comes to so much is written before the next is begun.
const BATCH_BYTES: usize = 1 << 20;
/// Stretches that are looked at in one step.
const AT_ONCE: usize = 256;

/// Takes some of what is due, and answers the batch that adds its rows together where it is worth it. A stretch with a row
/// that is damaged, or cannot be read, is left as it is: its readers report it.
pub(crate) async fn compact(
    snapshot: &dyn Snapshot,
    dictionary: &Dictionary,
    due: &mut Due,
) -> disk::Result<Batch> {
    let mut compacted = Batch::default();
    let blocks: Vec<_> = due.blocks.drain(due.blocks.len().saturating_sub(AT_ONCE)..).collect();
    let ranges = blocks.iter().map(|(key, _)| all_of(key.prefix().done())).collect();
    // Totals are short and say how long their blocks are.
    let totals = snapshot.scan(family::TOTALS, ranges).await?;
    for (at, ((key, is_over), totals)) in blocks.iter().zip(totals).enumerate() {
        if compacted.bytes() >= BATCH_BYTES {
            due.blocks.extend_from_slice(&blocks[at..]);
            return Ok(compacted);
        }
        let layout = dictionary.layout(&key.tenant, key.layout);
        if let Err(error) =
            add_blocks(snapshot, layout, key, &totals, *is_over, &mut compacted).await
        {
            warn!(%error, "rows that cannot be read are not added together");
        }
    }
    while compacted.bytes() < BATCH_BYTES
        && let Some(key) = due.samples.pop_first()
    {
        let rows =
            snapshot.scan(family::SAMPLES, vec![all_of(key.prefix().done())]).await?.concat();
        if let Some(id) = rows.last().filter(|_| rows.len() >= SAMPLE_ROWS).and_then(commit_of)
            && let Ok(points) = sum_samples(&rows)
        {
            replace(&mut compacted, &[family::SAMPLES], &rows);
            checkpoint::put_samples(&mut compacted, &key, id, &points);
        }
    }
    Ok(compacted)
}

async fn add_blocks(
    snapshot: &dyn Snapshot,
    layout: &Layout,
    key: &BlockKey,
    totals: &[Row],
    is_over: bool,
    compacted: &mut Batch,
) -> disk::Result<()> {
    let windows: Vec<u64> = totals.iter().map(|(_, value)| totals::windows_of(value)).collect();
    let together = &totals[worth_adding(&windows, is_over)..];
    let ids = together.first().zip(together.last().and_then(commit_of));
    let Some(((first, _), id)) = ids.filter(|_| together.len() > 1) else { return Ok(()) };
    let range = (first.to_vec(), after_prefix(&key.prefix().done()));
    let blocks = snapshot.scan(family::BLOCKS, vec![range]).await?.concat();
    let is_whole = blocks.iter().map(|(key, _)| key).eq(together.iter().map(|(key, _)| key));
    if is_whole && let Ok(windows) = sum_blocks(&blocks, layout) {
        replace(compacted, &[family::BLOCKS, family::TOTALS], &blocks);
        checkpoint::put_block(compacted, key, id, &windows, layout);
    }
    Ok(())
}

/// From which on the rows are worth adding together, by how many windows each holds, the oldest first.
fn worth_adding(windows: &[u64], is_over: bool) -> usize {
    let (mut sum, mut largest, mut from) = (0, 0, windows.len());
    for (at, &held) in windows.iter().enumerate().rev() {
        sum += held;
        largest = held.max(largest);
        if sum >= FAN_IN * largest {
            from = at;
        }
    }
    if is_over && (sum - largest) * WORTH >= largest { 0 } else { from }
}

pub(crate) fn sum_blocks(rows: &[Row], layout: &Layout) -> Result<Windows, Damaged> {
    let mut sum = Windows::new(layout.buckets());
    for (_, value) in rows {
        sum.add(blocks::decode(value, layout)?);
    }
    Ok(sum)
}

/// `rows` by ascending commit: the earlier value of a timestamp stays.
pub(crate) fn sum_samples(rows: &[Row]) -> Result<Points, Damaged> {
    let mut sum = Points::new();
    for (_, value) in rows {
        samples::add_later(&mut sum, samples::decode(value)?);
    }
    Ok(sum)
}

/// The last eight bytes of a row's key.
fn commit_of((key, _): &Row) -> Option<u64> {
    key.last_chunk().map(|id| u64::from_be_bytes(*id))
}

fn replace(batch: &mut Batch, families: &[FamilyId], rows: &[Row]) {
    for family in families {
        for (key, _) in rows {
            batch.delete(*family, key.to_vec());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_added_once_they_are_many_times_the_largest() {
        let worth = |windows: &[u64]| worth_adding(windows, false);
        assert_eq!(worth(&[]), 0);
        assert_eq!(worth(&[1; 7]), 7);
        assert_eq!(worth(&[1; 32]), 0);
        assert_eq!(worth(&[32, 1, 1, 1, 1, 1, 1, 1, 1]), 1);
        assert_eq!(worth(&[32; 8]), 0);
        assert_eq!(worth(&[256, 32, 32, 32, 32, 32, 32, 32, 1, 31]), 1);
    }

    #[test]
    fn a_stretch_that_is_over_becomes_one_row_unless_little_came_on_top() {
        assert_eq!(worth_adding(&[2048, 256, 256, 32, 5], true), 0);
        assert_eq!(worth_adding(&[2800, 100, 75], true), 0);
        assert_eq!(worth_adding(&[2800, 100, 74], true), 3);
        assert_eq!(worth_adding(&[2800, 1, 1, 1, 1, 1, 1, 1, 1], true), 1);
    }

    #[test]
    fn no_window_is_written_often() {
        let (mut windows, mut written, mut most_rows) = (Vec::new(), 0, 0);
        for commit in 1..=2880u64 {
            windows.push(1);
            if commit % 32 == 0 {
                let from = worth_adding(&windows, commit == 2880);
                if windows.len() - from > 1 {
                    let sum = windows.split_off(from).iter().sum();
                    written += sum;
                    windows.push(sum);
                }
                most_rows = windows.len().max(most_rows);
            }
        }
        assert_eq!(windows, [2880]);
        assert!(written <= 4 * 2880 && most_rows <= 24, "{written} windows, {most_rows} rows");
    }
}
