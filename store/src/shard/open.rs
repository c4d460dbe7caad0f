//! Opening a shard: what its last checkpoint says comes into memory, and what its log holds behind it is applied again.

use std::sync::Arc;

use tributary_proto::{Answer, ShardId};
use tributary_spanmetrics::codec::DecodeError;

use super::dictionary::Dictionary;
use super::gather::gather;
use super::head::Head;
use super::logged;
use super::shard_log::stream_of;
use super::sources::Sources;
use super::state::State;
use super::view::{View, damaged_row};
use crate::disk::{self, DiskError, ErrorKind, Snapshot};
use crate::family::commit::{CommitRow, SourceState};
use crate::family::dictionary::Definition;
use crate::family::{self, Damaged};
use crate::log::Index;
use crate::log::streams::StreamsHandle;

/// Rows read at a time while the dictionary is loaded.
const PAGE_ROWS: usize = 4096;
/// Of the log, read at a time.
const REPLAY_BYTES: usize = 1 << 20;

pub(crate) async fn load(
    snapshot: Arc<dyn Snapshot>,
    dir: Arc<str>,
) -> disk::Result<(CommitRow, State)> {
    let row = commit_row(&*snapshot, &dir).await?;
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
    let (head, applied) = (Head::default(), row.applied);
    Ok((row, State::new(View { snapshot, head, dictionary, sources, applied, dir })))
}

pub(crate) async fn commit_row(snapshot: &dyn Snapshot, dir: &str) -> disk::Result<CommitRow> {
    match snapshot.get(family::COMMIT, CommitRow::key()).await? {
        Some(value) => CommitRow::decode(&value)
            .map_err(|damage| damaged_row(dir, family::COMMIT, CommitRow::key(), damage)),
        None => Ok(CommitRow::default()),
    }
}

/// Answers the index that the next entry gets, and how many bytes were read.
pub(crate) async fn replay(
    shard: ShardId,
    shards: u16,
    streams: &StreamsHandle,
    state: &mut State,
) -> disk::Result<(Index, usize)> {
    let (stream, dir) = (stream_of(shard), state.view.dir.clone());
    let wrong = |reason: String| DiskError::new(ErrorKind::Corrupt, &*dir, "read its log", reason);
    let from = Index(state.view.applied);
    // What a checkpoint holds was in the log before.
    let kept = streams.reader().bounds(stream).unwrap_or_default();
    if from < kept.start || kept.end < from {
        return Err(wrong(format!(
            "its last checkpoint holds {from} entries, and the log {} to {}: both are of one data folder, and \
             neither may be exchanged alone; bring the folder back as it was",
            kept.start, kept.end
        )));
    }
    let (mut next, mut bytes) = (from, 0);
    while next < kept.end {
        let read = streams.reader().read(stream, next..kept.end, REPLAY_BYTES).await;
        let records = read.map_err(|error| {
            wrong(format!("{error}; acked data is lost with it: bring the folder back from a copy"))
        })?;
        let decoded: Result<Vec<_>, _> =
            records.iter().map(|(_, record)| logged::decode(shard, record)).collect();
        let entries =
            decoded.map_err(|error| wrong(format!("an entry from {next} on: {error}")))?;
        let gathered = gather(shard, shards, &state.view.sources, &entries);
        for (index, answer) in (next.0..).zip(&gathered.answers) {
            if *answer != Ok(Answer::Applied) {
                return Err(wrong(format!(
                    "entry {index} was applied, and is answered {answer:?} now"
                )));
            }
        }
        next = Index(next.0 + entries.len() as u64);
        bytes += records.iter().map(|(_, record)| record.len()).sum::<usize>();
        state.apply(gathered, next.0);
    }
    Ok((next, bytes))
}
