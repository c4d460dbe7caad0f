//! Opening a shard: the commit row, the sources and the dictionary come into memory.

use std::sync::Arc;

use super::dictionary::Dictionary;
use super::sources::Sources;
use super::view::{View, damaged_row};
use crate::disk::{self, Snapshot};
use crate::family::commit::{CommitRow, SourceState};
use crate::family::dictionary::Definition;
use crate::family::{self, Damaged};
use tributary_spanmetrics::codec::DecodeError;

/// Rows read at a time while the dictionary is loaded.
const PAGE_ROWS: usize = 4096;

pub(crate) async fn open(snapshot: Arc<dyn Snapshot>, dir: Arc<str>) -> disk::Result<View> {
    let row = match snapshot.get(family::COMMIT, CommitRow::key()).await? {
        Some(value) => CommitRow::decode(&value)
            .map_err(|damage| damaged_row(&dir, family::COMMIT, CommitRow::key(), damage))?,
        None => CommitRow::default(),
    };
    let mut sources = Sources::default();
    let rows = snapshot.scan(family::COMMIT, vec![SourceState::key_range()]).await?;
    for (key, value) in rows.concat() {
        let damaged = |damage| damaged_row(&dir, family::COMMIT, &key, damage);
        let bad_key = Damaged::Content(DecodeError::Bad("source key"));
        let source = SourceState::source_of(&key).ok_or_else(|| damaged(bad_key))?;
        sources.insert(source, SourceState::decode(&value).map_err(damaged)?);
    }
    let mut dictionary = Dictionary::default();
    let mut from = Vec::new();
    loop {
        // No tenant's name begins with 0xff.
        let range = (from, vec![0xff]);
        let page = snapshot.page(family::DICTIONARY, range, PAGE_ROWS).await?;
        let Some((last, _)) = page.last() else { break };
        from = [last, &[0][..]].concat();
        for (key, value) in &page {
            let (tenant, definition) = Definition::decode(key, value)
                .map_err(|damage| damaged_row(&dir, family::DICTIONARY, key, damage))?;
            dictionary.learn(&tenant, definition);
        }
    }
    let (dictionary, sources) = (Arc::new(dictionary), Arc::new(sources));
    Ok(View { snapshot, dictionary, sources, row, dir })
}
