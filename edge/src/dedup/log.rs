//! Fingerprints on disk that outlive the journal records that carried them.
//!
//! ```text
//!   trim the journal:  copied(places) ─▶ append, synced ─▶ journal.trim
//!   later:             oldest() ─▶ trim
//!   at a start:        open ─▶ remember … , then what the journal still has ─▶ remember …
//! ```
//!
//! A crash between the append and the journal's trim leaves entries in both, and a failed append that is
//! tried again may leave some twice: who takes them in must not mind.
//!
//! Not here: what is expired. A trim drops whole segments, so older ones may come back at a start.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use thiserror::Error;
use tracing::warn;
use tributary_spanmetrics::codec::{DecodeError, Reader, Writer};
use tributary_store::disk::Files;
use tributary_store::log::{self, Damage, Index, LogError, SegmentLog};

use super::{Dedup, Fingerprint, Remembered, Uptime};
use crate::TraceAnswer;

const PRODUCTION_SEGMENT_BYTES: u64 = 4 << 20;
/// In the simulator so small that segments go within a run.
const SEGMENT_BYTES: u64 = if cfg!(madsim) { 512 } else { PRODUCTION_SEGMENT_BYTES };
const RECORD_BYTES: usize = 64 << 10;
/// One sync takes so many records at most: under a segment, so that segments stay small.
const BATCH_RECORDS: usize = 32;

/// A fingerprint and four varints.
const MIN_ENTRY_BYTES: u64 = 16 + 4;
const MAX_ENTRY_BYTES: usize = 16 + 4 * 10;
const RECORD_ENTRIES: usize = 1024;
const _: () = assert!(RECORD_ENTRIES * MAX_ENTRY_BYTES < RECORD_BYTES);
const _: () = assert!((BATCH_RECORDS * RECORD_BYTES) as u64 <= PRODUCTION_SEGMENT_BYTES);

const RECORD_V1: u8 = 1;

#[derive(Debug, Error)]
pub(crate) enum FingerprintLogError {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(
        "{dir}: record {at}: format {found} is unknown, this version knows {RECORD_V1}; start the \
         version of tributary that wrote it"
    )]
    UnknownVersion { dir: String, at: Index, found: u8 },
}

/// What a start found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Loaded {
    pub(crate) entries: u64,
    pub(crate) damaged: Vec<Damage>,
    /// Records that were lost, of up to [`RECORD_ENTRIES`] entries each. Repeats of theirs count again.
    pub(crate) damaged_records: u64,
    pub(crate) damaged_bytes: u64,
}

pub(crate) struct FingerprintLog {
    log: SegmentLog,
    /// The newest uptime in each record, as far as not trimmed.
    newest: VecDeque<(Index, Uptime)>,
}

impl FingerprintLog {
    /// Opens the log in `dir`, a folder of its own, and has its entries remembered in the order in which
    /// they were appended. What is damaged is left out and told.
    pub(crate) async fn open(
        files: Arc<dyn Files>,
        dir: &str,
        dedup: &Dedup,
    ) -> Result<(Self, Loaded), FingerprintLogError> {
        let (mut log, damaged) = Self::recover(files, dir, SEGMENT_BYTES).await?;
        dedup.expect(log.bytes() / MIN_ENTRY_BYTES);
        let loaded = log.load(dir, damaged, |entries| dedup.remember(&entries)).await?;
        Ok((log, loaded))
    }

    async fn recover(
        files: Arc<dyn Files>,
        dir: &str,
        segment_bytes: u64,
    ) -> Result<(Self, Loaded), LogError> {
        let (log, recovered) = SegmentLog::open(files, dir, log::Options { segment_bytes }).await?;
        let mut damaged = Loaded::default();
        for damage in &recovered.damaged {
            damaged.damaged_records += damage.to.0 - damage.from.0;
            damaged.damaged_bytes += damage.bytes;
        }
        damaged.damaged = recovered.damaged;
        Ok((FingerprintLog { log, newest: VecDeque::new() }, damaged))
    }

    async fn load(
        &mut self,
        dir: &str,
        mut loaded: Loaded,
        mut take: impl FnMut(Vec<Remembered>) + Send,
    ) -> Result<Loaded, FingerprintLogError> {
        let mut reader = self.log.read_from(self.log.first_index());
        while let Some((at, bytes)) = reader.next().await? {
            match decode(&bytes) {
                Ok(entries) => {
                    self.newest.push_back((at, newest_of(&entries)));
                    loaded.entries += entries.len() as u64;
                    take(entries);
                }
                Err(DecodeError::UnknownVersion(found)) => {
                    let dir = dir.to_owned();
                    return Err(FingerprintLogError::UnknownVersion { dir, at, found });
                }
                Err(error) => {
                    warn!(dir, at = at.0, %error, "a record of fingerprints cannot be read");
                    loaded.damaged_records += 1;
                    loaded.damaged_bytes += bytes.len() as u64;
                }
            }
        }
        Ok(loaded)
    }

    /// Durable on return, all of it. After an error some may be; the same entries can be appended again.
    pub(crate) async fn append(&mut self, entries: &[Remembered]) -> Result<(), LogError> {
        for batch in entries.chunks(BATCH_RECORDS * RECORD_ENTRIES) {
            let records = batch.chunks(RECORD_ENTRIES);
            let written = self.log.append(records.clone().map(encode).collect()).await?;
            let indexes = (written.start.0..).map(Index);
            self.newest.extend(indexes.zip(records.map(newest_of)));
        }
        Ok(())
    }

    /// Drops the segments that hold nothing as new as `oldest`. After an error the next trim makes up for
    /// it.
    pub(crate) async fn trim(&mut self, oldest: Uptime) -> Result<(), LogError> {
        while self.newest.front().is_some_and(|(_, newest)| *newest < oldest) {
            self.newest.pop_front();
        }
        let before = self.newest.front().map_or(self.log.next_index(), |(at, _)| *at);
        self.log.trim(before).await
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.log.bytes()
    }
}

fn newest_of(entries: &[Remembered]) -> Uptime {
    entries.iter().map(|entry| entry.uptime).max().unwrap_or_default()
}

/// Entries up to the end; an uptime by its distance from the one before.
fn encode(entries: &[Remembered]) -> Bytes {
    let mut w = Writer::new();
    w.u8(RECORD_V1);
    let mut before = Uptime::default();
    for Remembered { fingerprint, uptime, answer } in entries {
        w.fixed(fingerprint.0.to_le_bytes());
        w.signed(uptime.0.wrapping_sub(before.0) as i64);
        w.varint(answer.accepted);
        w.varint(answer.late);
        w.varint(answer.future);
        before = *uptime;
    }
    w.into_bytes().into()
}

fn decode(bytes: &[u8]) -> Result<Vec<Remembered>, DecodeError> {
    let mut r = Reader::new(bytes);
    match r.u8()? {
        RECORD_V1 => {}
        other => return Err(DecodeError::UnknownVersion(other)),
    }
    let mut entries = Vec::new();
    let mut before = Uptime::default();
    while !r.is_empty() {
        let fingerprint = Fingerprint(u128::from_le_bytes(r.fixed()?));
        let uptime = Uptime(before.0.wrapping_add(r.signed()? as u64));
        let (accepted, late, future) = (r.varint()?, r.varint()?, r.varint()?);
        entries.push(Remembered {
            fingerprint,
            uptime,
            answer: TraceAnswer { accepted, late, future },
        });
        before = uptime;
    }
    Ok(entries)
}

#[cfg(test)]
#[path = "log_test.rs"]
mod tests;
