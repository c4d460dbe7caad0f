//! The one owner of the journal: everything that an edge remembers happens here, one thing after the
//! other.
//!
//! All requests that wait become one batch and one sync; only then do they merge into the windows and
//! are answered. A seal goes through the same journal, so what it takes is decided by where it stands.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tracing::{info, warn};
use tributary_proto::{Entry, ShardId, SourceId};
use tributary_spanmetrics::Groups;
use tributary_store::log::{Index, LogError, SegmentLog};
use tributary_store::plants::{self, Plant};

use crate::ceiling::Ceiling;
use crate::clock::Clock;
use crate::closing::{Closing, Stage};
use crate::dedup::Dedup;
use crate::definitions::{Definitions, Due};
use crate::edge::Options;
use crate::ingest::{Cargo, Command, Refusal, Waiting};
use crate::lane::{Cause, Report};
use crate::ledger::{Ledger, Sealed};
use crate::metrics::EdgeMetrics;
use crate::record::{Record, Scope};
use crate::totals::Ask;
use crate::upkeep::Upkeep;

/// Requests that one sync takes at most.
pub(crate) const BATCH_REQUESTS: usize = 1024;
/// A batch ends with the request that brings what is defined for it to so many bytes.
const BATCH_DUE_BYTES: usize = 8 << 20;
/// This many seals after one that is not answered no further window is sealed: the journal holds them.
/// A shard remembers the digests of twice as many slices, so that none that is offered again after a
/// crash is taken for a fork.
const MAX_BACKLOG: u64 = 64;
const OBSERVE_EVERY: Duration = Duration::from_secs(1);
/// How often groups that have had nothing for long are looked for.
const RETIRE_EVERY: Duration = Duration::from_secs(60);
/// Windows that begin this many widths after the seal are not waited for.
const AHEAD_WINDOWS: i64 = 3;

pub(crate) struct Sequencer {
    /// `None`: an edge that only finishes what earlier starts left.
    current: Option<SourceId>,
    window_ms: i64,
    grace: Duration,
    journal_limit_bytes: u64,
    clock: Arc<dyn Clock>,
    metrics: Arc<EdgeMetrics>,
    log: SegmentLog,
    ledger: Ledger,
    groups: Arc<Groups>,
    group_limit: usize,
    ceiling: Ceiling,
    /// A group that has had nothing for so long is forgotten.
    group_idle: Duration,
    began: Instant,
    retire_next: Instant,
    /// When open windows are looked at again, for the metrics.
    observe_next: Instant,
    /// Of the requests of `current`.
    definitions: Option<Definitions>,
    dedup: Dedup,
    upkeep: Upkeep,
    lanes: Vec<mpsc::UnboundedSender<(Entry, Cause)>>,
    /// Entries under way by shard.
    under_way: Vec<usize>,
    /// What each shard was told of the source's windows.
    promised_ms: Vec<i64>,
    reports: mpsc::UnboundedReceiver<Report>,
    inlets: Inlets,
    sealed_to_ms: i64,
    closing: Closing,
    /// Seals that are answered whole and not yet noted as such.
    to_settle: BTreeSet<Index>,
    /// What an earlier start had sealed and not seen answered.
    left_over: BTreeMap<Index, Sealed>,
    /// When the seals that are not settled went on their way.
    shipped_ms: BTreeMap<Index, i64>,
}

/// What reaches a sequencer from outside.
pub(crate) struct Inlets {
    pub(crate) commands: mpsc::UnboundedReceiver<Command>,
    pub(crate) asks: mpsc::Receiver<Ask>,
}

/// The ends of the lanes, one a shard, that a sequencer holds.
pub(crate) struct Lanes {
    pub(crate) entries: Vec<mpsc::UnboundedSender<(Entry, Cause)>>,
    pub(crate) reports: mpsc::UnboundedReceiver<Report>,
}

/// What a start found on its disk, and made of it.
pub(crate) struct Found {
    pub(crate) log: SegmentLog,
    pub(crate) ledger: Ledger,
    pub(crate) groups: Arc<Groups>,
    pub(crate) dedup: Dedup,
    pub(crate) upkeep: Upkeep,
    pub(crate) left_over: BTreeMap<Index, Sealed>,
}

impl Sequencer {
    pub(crate) fn new(
        current: Option<SourceId>,
        options: &Options,
        found: Found,
        clock: Arc<dyn Clock>,
        metrics: Arc<EdgeMetrics>,
        Lanes { entries: lanes, reports }: Lanes,
        inlets: Inlets,
    ) -> Self {
        let Found { log, ledger, groups, dedup, upkeep, left_over } = found;
        let layout = &options.config.layout;
        let definitions =
            current.map(|source| Definitions::new(source, layout.clone(), groups.clone()));
        let now = Instant::now();
        Sequencer {
            current,
            window_ms: layout.window_ms().into(),
            grace: options.grace,
            journal_limit_bytes: options.journal_limit_bytes,
            clock,
            metrics,
            log,
            ledger,
            groups,
            group_limit: options.groups,
            ceiling: options.ceiling.clone(),
            group_idle: options.group_idle,
            began: now,
            retire_next: now,
            observe_next: now,
            definitions,
            dedup,
            upkeep,
            under_way: vec![0; lanes.len()],
            promised_ms: vec![i64::MIN; lanes.len()],
            lanes,
            reports,
            inlets,
            sealed_to_ms: i64::MIN,
            closing: Closing::default(),
            to_settle: BTreeSet::new(),
            left_over,
            shipped_ms: BTreeMap::new(),
        }
    }

    pub(crate) fn groups(&self) -> &Arc<Groups> {
        &self.groups
    }

    pub(crate) fn dedup(&self) -> &Dedup {
        &self.dedup
    }

    pub(crate) fn metrics(&self) -> &Arc<EdgeMetrics> {
        &self.metrics
    }

    /// Runs until `shutdown` says stop, or, without a source of its own, until nothing is left.
    pub(crate) async fn run(mut self, mut shutdown: watch::Receiver<bool>) {
        let mut waiting = Vec::new();
        self.start().await;
        // One timer for all turns: a turn that takes longer than the time that is left must find it
        // elapsed, not a new one set for the window after.
        let seal_due = tokio::time::sleep(self.until_next_seal());
        tokio::pin!(seal_due);
        while self.current.is_some() || !self.ledger.old_sources_of(self.current).is_empty() {
            tokio::select! {
                // Requests come last, or a flood of them would keep windows open and pages
                // waiting; each of the others is rare.
                biased;
                // The guard that `wait_for` answers must not live on into the other arms.
                () = async { drop(shutdown.wait_for(|stop| *stop).await) } => break,
                Some(report) = self.reports.recv() => self.reported(report).await,
                () = &mut seal_due => {
                    self.tick().await;
                    seal_due.as_mut().reset(Instant::now() + self.until_next_seal());
                }
                Some(ask) = self.inlets.asks.recv() => {
                    ask.answer(&self.ledger, &self.groups, self.current);
                    // Whoever asks again at once keeps requests waiting for no more than a page.
                    while waiting.len() < BATCH_REQUESTS
                        && let Ok(command) = self.inlets.commands.try_recv()
                    {
                        waiting.push(command);
                    }
                    self.take(&mut waiting).await;
                }
                taken = self.inlets.commands.recv_many(&mut waiting, BATCH_REQUESTS),
                    if self.current.is_some() =>
                {
                    if taken == 0 {
                        break;
                    }
                    self.take(&mut waiting).await;
                }
            }
        }
    }

    /// Sends what earlier starts left, then makes the source known behind it: its promise must not
    /// cover windows whose acknowledged spans are still on their way. Only then are old sources closed,
    /// so completeness never stands without a source that holds it.
    async fn start(&mut self) {
        self.sealed_to_ms = self.sealable_to();
        for (seal, sealed) in std::mem::take(&mut self.left_over) {
            self.ship(seal, sealed);
        }
        for source in self.ledger.old_sources_of(self.current) {
            if let Err(error) = self.seal(source, Scope::Whole, i64::MIN).await {
                warn!(%source, %error, "an old source could not be sealed; it is tried again");
            }
        }
        self.promise_all();
        self.finish_old_sources().await;
    }

    async fn take(&mut self, waiting: &mut Vec<Command>) {
        if waiting.is_empty() {
            return;
        }
        let mut commands = std::mem::take(waiting);
        #[cfg(feature = "plants")]
        planted::drop_cancelled(&mut commands);
        while !commands.is_empty() {
            let (bytes, limit) = (self.log.bytes(), self.journal_limit_bytes);
            if bytes > limit {
                let full = format!("it holds {bytes} bytes of at most {limit}");
                return refuse(&Refusal::Journal(full), commands);
            }
            let (due, batch) = self.next_batch(&mut commands);
            match self.append_commands(&due, &batch).await {
                Ok(first) => self.count(first, batch),
                Err(error) => refuse(&Refusal::Journal(error.to_string()), batch),
            }
        }
    }

    /// As many of the commands as one sync takes, and what has to stand before them.
    fn next_batch(&mut self, commands: &mut Vec<Command>) -> (Due, Vec<Command>) {
        self.enter_segment();
        let definitions =
            self.definitions.as_mut().expect("only an edge with a source takes requests");
        let mut due = Due::default();
        let ends_with = commands.iter().position(|command| {
            if let Cargo::Request(waiting) = &command.cargo {
                definitions.require(&waiting.partial, &mut due);
            }
            due.bytes >= BATCH_DUE_BYTES
        });
        let later = ends_with.map(|at| commands.split_off(at + 1)).unwrap_or_default();
        (due, std::mem::replace(commands, later))
    }

    /// Appends the commands' records behind what they name; answers the first command's index.
    async fn append_commands(
        &mut self,
        due: &Due,
        commands: &[Command],
    ) -> Result<Index, LogError> {
        let definitions =
            self.definitions.as_mut().expect("only an edge with a source takes requests");
        let defines = definitions.records(due);
        let standing = self.upkeep.is_to_restate().then(|| self.ledger.standing(None));
        let before = defines.len() + usize::from(standing.is_some());
        let is_said = standing.is_some();
        let standing = standing.into_iter().map(|standing| standing.encode().into());
        let records = standing.chain(defines);
        let records = records.chain(commands.iter().map(|command| command.record.clone()));
        let appended = self.append(records.collect()).await;
        match appended {
            Ok(at) if is_said => self.upkeep.restated(at),
            Ok(_) => {}
            Err(_) => self.define_anew(),
        }
        Ok(Index(appended?.0 + before as u64))
    }

    /// Says again how everything stands, where nobody's request has brought that along.
    async fn restate(&mut self) -> Result<(), LogError> {
        while self.upkeep.is_to_restate() {
            let at = self.append(vec![self.ledger.standing(None).encode().into()]).await?;
            self.upkeep.restated(at);
        }
        Ok(())
    }

    /// Before each append: what it begins has to stand alone.
    fn enter_segment(&mut self) {
        if self.log.begins_segment()
            && self.upkeep.begin_segment(self.log.next_index(), self.dedup.end())
        {
            self.define_anew();
        }
    }

    fn define_anew(&mut self) {
        if let Some(definitions) = &mut self.definitions {
            definitions.begin_segment();
        }
    }

    /// Merges what is on disk now, and answers it.
    fn count(&mut self, first: Index, commands: Vec<Command>) {
        let source = self.current.expect("only an edge with a source takes requests");
        let generation = Some(self.groups.generation());
        for (at, command) in (first.0..).map(Index).zip(commands) {
            match command.cargo {
                Cargo::Request(waiting) => {
                    let Waiting { mut partial, counts, uptime, registered } = *waiting;
                    if partial.generation != generation {
                        for cell in &mut partial.cells {
                            cell.slot = self.groups.revive(cell.slot);
                        }
                    }
                    self.ledger.merge(at, source, &partial);
                    self.metrics.count(&counts);
                    registered.complete(uptime, counts.answer);
                }
                Cargo::Samples(content) => self.ledger.merge_samples(at, source, content),
            }
            // The caller may have hung up: the request counts all the same.
            let _ = command.answer.send(Ok(()));
        }
        self.limit_groups();
        self.observe_open_at_times();
    }

    async fn tick(&mut self) {
        self.ledger.has_run(self.began.elapsed());
        self.seal_windows().await;
        self.settle().await;
        self.trim().await;
        self.finish_old_sources().await;
        self.retire_groups();
        self.observe();
    }

    /// Seals what has ended. A promise stands, so where the clock is behind it there is nothing to promise,
    /// and what came late to it goes along all the same.
    async fn seal_windows(&mut self) {
        let Some(source) = self.current else { return };
        let ahead_ms = AHEAD_WINDOWS * self.window_ms;
        let sealable_to_ms = self.sealable_to();
        let (scope, sealed_to_ms) = match sealable_to_ms.cmp(&self.sealed_to_ms) {
            Ordering::Greater => (Scope::Ended { ahead_ms }, sealable_to_ms),
            // The next window is about to end.
            Ordering::Equal => return,
            Ordering::Less => (Scope::Again { ahead_ms }, self.sealed_to_ms),
        };
        if self.ledger.backlog() >= MAX_BACKLOG {
            return;
        }
        match self.seal(source, scope, sealed_to_ms).await {
            Ok(()) => {
                self.sealed_to_ms = sealed_to_ms;
                self.promise_all();
            }
            Err(error) => warn!(%error, "a window could not be sealed; it is tried again"),
        }
    }

    /// Seals what the scope says and sends the slices on their way, if there is anything.
    async fn seal(
        &mut self,
        source: SourceId,
        scope: Scope,
        sealed_to_ms: i64,
    ) -> Result<(), LogError> {
        let Some(seal) = self.ledger.prepare_seal(source, scope, sealed_to_ms) else {
            return Ok(());
        };
        let record = Record::Seal(seal);
        let at = self.append(vec![record.encode().into()]).await?;
        self.metrics.seals.add(1);
        self.upkeep.changed();
        let sealed = self.ledger.take_in(at, record);
        let sealed = sealed.ok().flatten().expect("a seal has slices and names no group");
        self.ship(at, sealed);
        if plants::is(Plant::TrimBeforeApply) {
            self.to_settle.insert(at);
            self.settle().await;
        }
        Ok(())
    }

    fn ship(&mut self, seal: Index, sealed: Sealed) {
        self.shipped_ms.insert(seal, self.clock.now_ms());
        self.observe_unsettled();
        for slice in sealed.slices {
            let shard = slice.shard;
            if Some(slice.source) == self.current {
                self.promised_ms[usize::from(shard.0)] = slice.sealed_to_ms;
            }
            let cause = Cause::Seal { seal, touched: self.ledger.touched(slice.source) };
            self.send(shard, Entry::Slice(slice), cause);
        }
    }

    /// Tells every shard how far the windows are sealed that was not told with a slice.
    fn promise_all(&mut self) {
        for shard in (0..self.lanes.len() as u16).map(ShardId) {
            self.promise(shard);
        }
    }

    /// Tells a shard how far the windows are sealed. One that has something under way is told once
    /// that is answered, so at most one promise waits.
    fn promise(&mut self, shard: ShardId) {
        let at = usize::from(shard.0);
        let (Some(source), sealed_to_ms) = (self.current, self.sealed_to_ms) else { return };
        if self.under_way[at] == 0 && self.promised_ms[at] < sealed_to_ms {
            let after = self.ledger.last(source, shard);
            self.promised_ms[at] = sealed_to_ms;
            self.send(shard, Entry::Sealed { source, after, sealed_to_ms }, Cause::Promise);
        }
    }

    fn send(&mut self, shard: ShardId, entry: Entry, cause: Cause) {
        let at = usize::from(shard.0);
        self.under_way[at] += 1;
        // A lane ends only when the edge does; then nobody waits for the answer.
        let _ = self.lanes[at].send((entry, cause));
    }

    async fn reported(&mut self, report: Report) {
        self.under_way[usize::from(report.shard.0)] -= 1;
        self.promise(report.shard);
        match report.cause {
            Cause::Promise => {}
            Cause::Seal { seal, .. } => {
                if self.ledger.answered(seal) {
                    self.to_settle.insert(seal);
                    self.settle().await;
                    self.finish_old_sources().await;
                }
            }
            Cause::Close { source, .. } => {
                if self.closing.answered(source, report.shard) {
                    self.finish_old_sources().await;
                }
            }
        }
    }

    /// Notes the seals that are answered, and lets go of what is no longer needed.
    async fn settle(&mut self) {
        while let Some(seal) = self.to_settle.first().copied() {
            let record = self.ledger.standing(Some(seal));
            match self.append(vec![record.encode().into()]).await {
                Ok(at) => {
                    self.note(at, record);
                    self.to_settle.remove(&seal);
                    self.shipped_ms.remove(&seal);
                    self.upkeep.stated(at);
                    self.trim().await;
                }
                Err(error) => {
                    warn!(%error, "an answered seal could not be noted; it is tried again");
                    break;
                }
            }
        }
        self.metrics.journal_bytes.set(self.log.bytes());
        self.observe_unsettled();
    }

    /// Lets go of what no open window and no unanswered seal needs. What was said last of how everything
    /// stands stays.
    async fn trim(&mut self) {
        if let Err(error) = self.try_trim().await {
            warn!(%error, "the journal could not be trimmed; it is tried again");
        }
    }

    async fn try_trim(&mut self) -> Result<(), LogError> {
        let Some(stands_at) = self.upkeep.stands_at() else { return Ok(()) };
        if self.log.trimmable(self.ledger.needs_from(stands_at)) == self.log.first_index() {
            return Ok(());
        }
        // Damage to one record must not lose what makes up for those that go.
        self.restate().await?;
        let Some(stands_at) = self.upkeep.stands_at() else { return Ok(()) };
        self.trim_to(self.ledger.needs_from(stands_at)).await
    }

    async fn trim_to(&mut self, needed: Index) -> Result<(), LogError> {
        let until = self.log.trimmable(needed);
        if until > self.log.first_index() {
            self.upkeep.carry(until, &self.dedup).await?;
        }
        self.log.trim(needed).await?;
        self.upkeep.trimmed(self.log.first_index());
        Ok(())
    }

    fn retire_groups(&mut self) {
        let now = Instant::now();
        if now >= self.retire_next {
            self.retire_next = now + RETIRE_EVERY;
            let retired = self.ledger.retire(self.group_idle);
            self.metrics.groups_retired.add(retired as u64);
        }
    }

    fn observe_unsettled(&self) {
        self.metrics.unsettled_seals.set(self.ledger.unsettled() as u64);
        let oldest_ms = self.shipped_ms.values().min().copied().unwrap_or_default();
        self.metrics.unsettled_since_ms.set(oldest_ms.max(0) as u64);
    }

    /// Where memory is short, what is new has to share; those that are known go on.
    fn limit_groups(&self) {
        let limit = if self.ceiling.folds_groups() { self.groups.len() } else { self.group_limit };
        self.groups.set_limit(limit.min(self.group_limit));
    }

    /// There may be a hundred thousand open windows: looking at all of them is not for each batch.
    fn observe_open_at_times(&mut self) {
        if Instant::now() >= self.observe_next {
            self.observe_open();
        }
    }

    fn observe_open(&mut self) {
        self.observe_next = Instant::now() + OBSERVE_EVERY;
        let (deltas, bytes) = self.ledger.open();
        self.metrics.open_deltas.set(deltas as u64);
        self.metrics.open_bytes.set(bytes as u64);
    }

    fn observe(&mut self) {
        self.limit_groups();
        self.observe_open();
        self.metrics.totals_bytes.set(self.ledger.totals_bytes() as u64);
        self.metrics.groups.set(self.groups.len() as u64);
        self.metrics.groups_bytes.set(self.groups.bytes() as u64);
        self.metrics.dedup_entries.set(self.dedup.len());
        self.metrics.dedup_bytes.set(self.dedup.bytes() as u64);
        self.metrics.dedup_evicted.set(self.dedup.evicted());
    }

    fn note(&mut self, at: Index, record: Record) {
        self.ledger.take_in(at, record).expect("it names no group");
    }

    /// Seals what old sources left open, and closes those whose last slice is answered.
    async fn finish_old_sources(&mut self) {
        for source in self.ledger.old_sources_of(self.current) {
            if let Err(error) = self.finish(source).await {
                warn!(%source, %error, "an old source could not be finished; it is tried again");
            }
        }
    }

    async fn finish(&mut self, source: SourceId) -> Result<(), LogError> {
        // The promise of a source that is over no longer moves.
        self.seal(source, Scope::Whole, i64::MIN).await?;
        if !self.ledger.is_drained(source) {
            return Ok(());
        }
        match self.closing.stage(source) {
            Stage::NotBegun => {
                let shards = self.lanes.len() as u16;
                let cause = Cause::Close { source, touched: self.ledger.touched(source) };
                for shard in (0..shards).map(ShardId) {
                    let last = self.ledger.last(source, shard);
                    self.send(shard, Entry::Close { source, last }, cause);
                }
                self.closing.begin(source, shards);
            }
            Stage::UnderWay => {}
            Stage::Answered => {
                let record = Record::Closed { source };
                let at = self.append(vec![record.encode().into()]).await?;
                self.note(at, record);
                self.closing.end(source);
                info!(%source, "an earlier start's windows are with the core");
            }
        }
        Ok(())
    }

    /// Appends and syncs; answers the first record's index.
    async fn append(&mut self, records: Vec<Bytes>) -> Result<Index, LogError> {
        let count = records.len() as u64;
        self.enter_segment();
        let began = Instant::now();
        match self.log.append(records).await {
            Ok(written) => {
                self.metrics.journal_seconds.observe_seconds(began.elapsed());
                self.metrics.journal_records.add(count);
                self.metrics.journal_syncs.add(1);
                self.metrics.journal_bytes.set(self.log.bytes());
                Ok(written.start)
            }
            Err(error) => {
                self.metrics.journal_failures.add(1);
                Err(error)
            }
        }
    }

    fn sealable_to(&self) -> i64 {
        self.window_before(self.clock.now_ms() - self.grace.as_millis() as i64)
    }

    fn window_before(&self, time_ms: i64) -> i64 {
        time_ms.div_euclid(self.window_ms) * self.window_ms
    }

    /// At most a window's width, whatever the clock did.
    fn until_next_seal(&self) -> Duration {
        let next = self.sealable_to() + self.window_ms + self.grace.as_millis() as i64;
        let wait_ms = (next - self.clock.now_ms()).clamp(1, self.window_ms);
        Duration::from_millis(wait_ms as u64)
    }
}

/// Nothing of the commands counts.
fn refuse(refusal: &Refusal, commands: Vec<Command>) {
    for command in commands {
        if let Cargo::Request(waiting) = command.cargo {
            waiting.registered.refuse(refusal.clone());
        }
        let _ = command.answer.send(Err(refusal.clone()));
    }
}

#[cfg(feature = "plants")]
mod planted {
    use super::{Cargo, Command, Plant, plants};

    pub(super) fn drop_cancelled(commands: &mut Vec<Command>) {
        if !plants::is(Plant::CancelledRequestDropped) {
            return;
        }
        let cancelled = commands.extract_if(.., |command| command.answer.is_closed());
        for command in cancelled {
            if let Cargo::Request(waiting) = command.cargo {
                waiting.registered.complete(waiting.uptime, waiting.counts.answer);
            }
        }
    }
}

#[cfg(test)]
#[path = "sequencer_test.rs"]
mod tests;
