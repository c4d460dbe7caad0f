//! Compaction adds the rows of a stretch together: deletes them and writes their sum under the
//! greatest of their commits, in one batch. What is answered does not change, so when it happens is
//! nobody's business.

use tributary_spanmetrics::Layout;

use super::batch::{self, Touched};
use super::dictionary::Dictionary;
use crate::disk::{self, Batch, FamilyId, Row, Snapshot};
use crate::family::blocks::{self, Windows};
use crate::family::samples::{self, Points};
use crate::family::{self, Damaged, after_prefix};

/// The batch that leaves one row where `touched` names several. A stretch with a damaged row is left
/// as it is: its readers report it.
pub(crate) async fn compact(
    snapshot: &dyn Snapshot,
    dictionary: &Dictionary,
    touched: &Touched,
) -> disk::Result<Batch> {
    let mut compacted = Batch::default();
    for key in &touched.blocks {
        let prefix = key.prefix().done();
        let layout = dictionary.tenant(&key.tenant).and_then(|t| t.layouts.get(&key.layout));
        let rows = rows(snapshot, family::BLOCKS, &prefix).await?;
        if let (Some(layout), Some(id)) = (layout, newest_of_several(&rows))
            && let Ok(windows) = sum_blocks(&rows, layout)
        {
            replace(&mut compacted, &[family::BLOCKS, family::TOTALS], &rows);
            batch::put_block(&mut compacted, key, id, &windows);
        }
    }
    for key in &touched.samples {
        let rows = rows(snapshot, family::SAMPLES, &key.prefix().done()).await?;
        if let Some(id) = newest_of_several(&rows)
            && let Ok(points) = sum_samples(&rows)
        {
            replace(&mut compacted, &[family::SAMPLES], &rows);
            batch::put_samples(&mut compacted, key, id, &points);
        }
    }
    Ok(compacted)
}

pub(crate) fn sum_blocks(rows: &[Row], layout: &Layout) -> Result<Windows, Damaged> {
    let mut sum = Windows::new();
    for (_, value) in rows {
        blocks::add(&mut sum, blocks::decode(value, layout)?);
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

async fn rows(snapshot: &dyn Snapshot, family: FamilyId, prefix: &[u8]) -> disk::Result<Vec<Row>> {
    let range = (prefix.to_vec(), after_prefix(prefix));
    Ok(snapshot.scan(family, vec![range]).await?.pop().unwrap_or_default())
}

/// The last eight bytes of a row's key are its commit.
fn newest_of_several(rows: &[Row]) -> Option<u64> {
    let (key, _) = rows.last().filter(|_| rows.len() > 1)?;
    key.last_chunk().map(|id| u64::from_be_bytes(*id))
}

fn replace(batch: &mut Batch, families: &[FamilyId], rows: &[Row]) {
    for family in families {
        for (key, _) in rows {
            batch.delete(*family, key.to_vec());
        }
    }
}
