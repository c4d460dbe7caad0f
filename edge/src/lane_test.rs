//! A lane against a shard that answers by a script, on paused time.

use std::collections::VecDeque;
use std::sync::Mutex;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tributary_proto::{BootId, Digest, EdgeId, Seq, Slice};

use super::*;

const SHARD: ShardId = ShardId(3);

type Said = Result<Answer, OfferError>;

/// Gives the answers in their order, `Applied` once they are used up; keeps what was offered, and when.
struct Scripted {
    began: Instant,
    answers: Mutex<VecDeque<Said>>,
    offered: Mutex<Vec<(u128, Entry)>>,
}

#[async_trait]
impl Shards for Scripted {
    fn count(&self) -> u16 {
        4
    }

    async fn offer(&self, shard: ShardId, entry: Entry) -> Said {
        assert_eq!(shard, SHARD);
        self.offered.lock().unwrap().push((self.began.elapsed().as_millis(), entry));
        self.answers.lock().unwrap().pop_front().unwrap_or(Ok(Answer::Applied))
    }
}

struct Running {
    shards: Arc<Scripted>,
    metrics: Arc<EdgeMetrics>,
    entries: mpsc::UnboundedSender<(Entry, Cause)>,
    reports: mpsc::UnboundedReceiver<Report>,
    stop: watch::Sender<bool>,
    lane: JoinHandle<()>,
}

fn run(answers: impl IntoIterator<Item = Said>) -> Running {
    let shards = Arc::new(Scripted {
        began: Instant::now(),
        answers: Mutex::new(answers.into_iter().collect()),
        offered: Mutex::default(),
    });
    let metrics = Arc::new(EdgeMetrics::default());
    let (entries, receiver) = mpsc::unbounded_channel();
    let (reporter, reports) = mpsc::unbounded_channel();
    let lane = Lane {
        shard: SHARD,
        shards: shards.clone(),
        metrics: metrics.clone(),
        entries: receiver,
        reports: reporter,
    };
    let (stop, stopped) = watch::channel(false);
    let lane = tokio::spawn(lane.run(stopped));
    Running { shards, metrics, entries, reports, stop, lane }
}

impl Running {
    fn send(&self, entry: Entry, cause: Cause) {
        self.entries.send((entry, cause)).expect("the lane runs");
    }

    async fn reported(&mut self) -> Cause {
        let report = self.reports.recv().await.expect("the lane runs");
        assert_eq!(report.shard, SHARD);
        report.cause
    }

    /// Lets the lane come to the end of its entries; answers what it reported meanwhile.
    async fn rest(mut self) -> (Vec<Cause>, Vec<(u128, Entry)>, Arc<EdgeMetrics>) {
        drop(self.entries);
        self.lane.await.expect("the lane ends in peace");
        let mut causes = Vec::new();
        while let Ok(report) = self.reports.try_recv() {
            causes.push(report.cause);
        }
        (causes, std::mem::take(&mut *self.shards.offered.lock().unwrap()), self.metrics)
    }
}

fn source() -> SourceId {
    SourceId { edge: EdgeId([1; 16]), boot: BootId([2; 8]) }
}

fn slice(seq: u64) -> Entry {
    Entry::Slice(Slice {
        source: source(),
        shard: SHARD,
        seq: Seq(seq),
        digest: Digest(seq.into()),
        sealed_to_ms: 10_000,
        payload: Bytes::from_static(b"opaque"),
    })
}

fn promise() -> Entry {
    Entry::Sealed { source: source(), after: Seq(0), sealed_to_ms: 10_000 }
}

fn close() -> Entry {
    Entry::Close { source: source(), last: Seq(2) }
}

fn seal(at: u64) -> Cause {
    Cause::Seal { seal: Index(at), touched: Touched::Not }
}

fn touched(touched: Touched) -> Cause {
    Cause::Seal { seal: Index(5), touched }
}

fn closing() -> Cause {
    closing_touched(Touched::Not)
}

fn closing_touched(touched: Touched) -> Cause {
    Cause::Close { source: source(), touched }
}

fn unavailable() -> Said {
    Err(OfferError::Unavailable { shard: SHARD, reason: "it moves".into() })
}

fn malformed() -> Said {
    Err(OfferError::Malformed { shard: SHARD, reason: "it cannot be read".into() })
}

#[tokio::test(start_paused = true)]
async fn entries_go_in_order_each_once_the_one_before_is_answered() {
    let lane = run([Ok(Answer::Applied), unavailable(), Ok(Answer::Duplicate)]);
    lane.send(promise(), Cause::Promise);
    lane.send(slice(1), seal(5));
    lane.send(slice(2), seal(6));
    lane.send(close(), closing());
    let (causes, offered, metrics) = lane.rest().await;
    let seals = [seal(5), seal(6)];
    assert_eq!(causes, [Cause::Promise, seals[0], seals[1], closing()]);
    let offered: Vec<_> = offered.into_iter().map(|(_, entry)| entry).collect();
    assert_eq!(offered, [promise(), slice(1), slice(1), slice(2), close()]);
    assert_eq!((metrics.slices_answered.get(), metrics.offers_retried.get()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn an_entry_is_offered_until_it_is_answered_with_longer_and_longer_pauses() {
    // A shard that has lost what it acknowledged is waited for like one that is away.
    let mut answers: Vec<_> = (0..9).map(|_| unavailable()).collect();
    answers[4] = Ok(Answer::Resend(Seq(1)));
    let mut lane = run(answers);
    lane.send(slice(7), seal(5));
    assert_eq!(lane.reported().await, seal(5));
    let (_, offered, metrics) = lane.rest().await;
    let pauses: Vec<_> = offered.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
    let least = [20, 40, 80, 160, 320, 640, 1280, 2000, 2000];
    assert_eq!(pauses.len(), least.len());
    for (pause, least) in pauses.iter().zip(least) {
        // Tokio's timer counts in whole milliseconds.
        assert!((least..=least + 1).contains(pause), "{pauses:?}");
    }
    assert!(offered.iter().all(|(_, entry)| *entry == slice(7)), "the same bytes each time");
    assert_eq!((metrics.offers_retried.get(), metrics.slices_refused.get()), (9, 0));
}

#[tokio::test(start_paused = true)]
async fn the_pauses_begin_anew_with_each_entry() {
    let answers = [unavailable(), unavailable(), Ok(Answer::Applied), unavailable()];
    let lane = run(answers);
    lane.send(slice(1), seal(5));
    lane.send(slice(2), seal(6));
    let (_, offered, _) = lane.rest().await;
    assert!((20..=21).contains(&(offered[4].0 - offered[3].0)), "{offered:?}");
}

#[tokio::test(start_paused = true)]
async fn a_slice_that_is_never_taken_is_not_reported_and_not_offered_again() {
    for refusal in [Ok(Answer::Forked), Ok(Answer::Closed), malformed()] {
        let lane = run([refusal]);
        lane.send(slice(1), seal(5));
        lane.send(slice(2), seal(6));
        let (causes, offered, metrics) = lane.rest().await;
        assert_eq!(causes, [seal(6)], "its seal stays in the journal");
        assert_eq!(offered.len(), 2);
        assert_eq!((metrics.slices_refused.get(), metrics.slices_answered.get()), (1, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_close_of_what_is_closed_is_reported() {
    let lane = run([Ok(Answer::Closed)]);
    lane.send(close(), closing());
    let (causes, _, metrics) = lane.rest().await;
    assert_eq!((causes, metrics.slices_refused.get()), (vec![closing()], 0));
}

#[tokio::test(start_paused = true)]
async fn what_a_shard_has_otherwise_of_a_touched_source_is_done_with() {
    for of in [Touched::Cut, Touched::Damaged] {
        for answer in [Answer::Forked, Answer::Closed] {
            let lane = run([Ok(answer)]);
            lane.send(slice(1), touched(of));
            let (causes, offered, metrics) = lane.rest().await;
            assert_eq!((causes, offered.len()), (vec![touched(of)], 1));
            assert_eq!(
                (metrics.slices_known_otherwise.get(), metrics.slices_refused.get()),
                (1, 0)
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_shard_misses_of_a_touched_source_is_filled_with_nothing() {
    let lane = run([Ok(Answer::Resend(Seq(5)))]);
    lane.send(slice(7), touched(Touched::Damaged));
    let (causes, offered, metrics) = lane.rest().await;
    assert_eq!((causes, metrics.slices_filled.get()), (vec![touched(Touched::Damaged)], 2));
    let offered: Vec<_> = offered.into_iter().map(|(_, entry)| entry).collect();
    assert_eq!((offered.len(), &offered[0], &offered[3]), (4, &slice(7), &slice(7)));
    for (entry, seq) in offered[1..3].iter().zip(5..) {
        let Entry::Slice(empty) = entry else { panic!("{entry:?}") };
        let content = Content::decode(&empty.payload).expect("its own");
        assert!(content.is_empty() && content.digest() == empty.digest.0);
        assert_eq!((empty.seq, empty.sealed_to_ms), (Seq(seq), i64::MIN));
    }
}

#[tokio::test(start_paused = true)]
async fn a_cut_end_does_not_explain_that_a_shard_misses_something() {
    let lane = run([Ok(Answer::Resend(Seq(5)))]);
    lane.send(slice(7), touched(Touched::Cut));
    let (causes, offered, metrics) = lane.rest().await;
    assert_eq!((causes, offered.len()), (vec![touched(Touched::Cut)], 2));
    assert_eq!((metrics.slices_filled.get(), metrics.offers_retried.get()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_touched_source_ends_where_the_shard_has_it() {
    for of in [Touched::Cut, Touched::Damaged] {
        let lane = run([Ok(Answer::Forked), Ok(Answer::Resend(Seq(10)))]);
        lane.send(close(), closing_touched(of));
        let (causes, offered, _) = lane.rest().await;
        assert_eq!((causes, offered.len()), (vec![closing_touched(of)], 3));
        let last = |seq| Entry::Close { source: source(), last: Seq(seq) };
        assert_eq!((&offered[1].1, &offered[2].1), (&last(u64::MAX), &last(9)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_promise_is_reported_so_that_the_next_can_be_made() {
    for refusal in [Ok(Answer::Forked), Ok(Answer::Closed), malformed()] {
        let lane = run([refusal]);
        lane.send(promise(), Cause::Promise);
        let (causes, _, _) = lane.rest().await;
        assert_eq!(causes, [Cause::Promise]);
    }
}

#[tokio::test(start_paused = true)]
async fn stopping_does_not_wait_for_a_shard_that_is_away() {
    let lane = run((0..1000).map(|_| unavailable()));
    lane.send(slice(1), seal(5));
    tokio::time::sleep(Duration::from_secs(60)).await;
    let stopping = Instant::now();
    lane.stop.send_replace(true);
    let (causes, offered, _) = lane.rest().await;
    assert_eq!((causes, stopping.elapsed()), (vec![], Duration::ZERO));
    assert!(offered.len() > 30, "one every two seconds at least: {}", offered.len());
}
