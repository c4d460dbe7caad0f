//! Reads the journal at a start, in order, around what is lost of it.

use std::collections::BTreeMap;

use tracing::warn;
use tributary_store::log::{Damage, Index, Recovered, SegmentLog};

use crate::dedup::{Dedup, Remembered};
use crate::edge::EdgeError;
use crate::ledger::{Ledger, Sealed};
use crate::record::{Record, RequestHead, Seal};

/// What a journal held that earlier starts left.
#[derive(Debug, Default)]
pub(crate) struct Replayed {
    /// The seals that are not settled, with the slices that they had.
    pub(crate) unsettled: BTreeMap<Index, Sealed>,
    /// Requests that are whole and name groups whose definition is lost.
    pub(crate) unreadable: u64,
}

struct Replay<'a> {
    log: &'a SegmentLog,
    ledger: &'a mut Ledger,
    dedup: &'a Dedup,
    /// Lost records, in order.
    lost: Vec<&'a Damage>,
    /// Lost seals, as records behind them say that they were.
    restated: BTreeMap<Index, Seal>,
    replayed: Replayed,
}

pub(crate) async fn replay(
    log: &SegmentLog,
    recovered: &Recovered,
    ledger: &mut Ledger,
    dedup: &Dedup,
) -> Result<Replayed, EdgeError> {
    let lost: Vec<_> = recovered.damaged.iter().filter(|damage| damage.from < damage.to).collect();
    let (restated, replayed) = (BTreeMap::new(), Replayed::default());
    let mut replay = Replay { log, ledger, dedup, lost, restated, replayed };
    replay.look_behind().await?;
    replay.run().await?;
    if recovered.cut_bytes > 0 {
        replay.ledger.cut();
    }
    replay.ledger.forget_definitions();
    Ok(replay.replayed)
}

impl Replay<'_> {
    /// Finds what is said again of seals that are lost.
    async fn look_behind(&mut self) -> Result<(), EdgeError> {
        let Some(first) = self.lost.first() else { return Ok(()) };
        let mut reader = self.log.read_from(first.to);
        while let Some((at, bytes)) = reader.next().await? {
            let record = Record::decode(&bytes).map_err(|error| EdgeError::Record { at, error })?;
            let Record::Standing(standing) = record else { continue };
            for (seal, said) in standing.unsettled {
                if self.lost.iter().any(|lost| (lost.from..lost.to).contains(&seal)) {
                    self.restated.insert(seal, said);
                }
            }
        }
        Ok(())
    }

    async fn run(&mut self) -> Result<(), EdgeError> {
        let mut lost = std::mem::take(&mut self.lost).into_iter().peekable();
        let mut reader = self.log.read_from(self.log.first_index());
        while let Some((at, bytes)) = reader.next().await? {
            while let Some(before) = lost.next_if(|lost| lost.to <= at) {
                self.pass(before);
            }
            self.take_in(
                at,
                Record::decode(&bytes).map_err(|error| EdgeError::Record { at, error })?,
            )?;
        }
        lost.for_each(|lost| self.pass(lost));
        Ok(())
    }

    /// Goes over lost records.
    fn pass(&mut self, lost: &Damage) {
        self.ledger.damaged();
        let restated: Vec<_> =
            self.restated.range(lost.from..lost.to).map(|(at, seal)| (*at, seal.clone())).collect();
        for (at, seal) in restated {
            let sealed = self.ledger.take_in(at, Record::Seal(seal));
            self.keep(at, sealed.expect("a seal names no group"));
        }
    }

    fn take_in(&mut self, at: Index, record: Record) -> Result<(), EdgeError> {
        let answered = match &record {
            Record::Request(request) => {
                let RequestHead { fingerprint, uptime, answer, .. } = request.head;
                self.dedup.remember(&[Remembered { fingerprint, uptime, answer }]);
                answer.accepted
            }
            _ => 0,
        };
        match self.ledger.take_in(at, record) {
            Ok(sealed) => self.keep(at, sealed),
            Err(error) if self.ledger.is_damaged() => {
                warn!(%at, %error, spans = answered, "a request names what is lost, and is lost with it");
                self.replayed.unreadable += 1;
            }
            Err(error) => return Err(EdgeError::Record { at, error }),
        }
        Ok(())
    }

    fn keep(&mut self, at: Index, sealed: Option<Sealed>) {
        self.replayed.unsettled.extend(sealed.map(|sealed| (at, sealed)));
        self.replayed.unsettled.retain(|seal, _| self.ledger.is_unsettled(*seal));
    }
}
