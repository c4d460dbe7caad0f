//! A client that does no harm: requests of 512 spans at a steady rate, each sent until it is acked.
//!
//! Latency is from the moment at which a request was due until its ack, whatever was refused in between, so an
//! edge that is slow for one request is slow for those that queue up behind it as well.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::load::{Groups, How, Outcome, Ports, Request, Wire, draw_recent};
use crate::tally::Tally;

const SPANS: usize = 512;
/// Connections, which together send 50 requests a second by gRPC and 10 by HTTP.
const LANES: [How; 6] = [
    How::Grpc { gzip: false },
    How::Grpc { gzip: false },
    How::Grpc { gzip: true },
    How::Grpc { gzip: false },
    How::Grpc { gzip: false },
    How::Http { gzip: false },
];
const EVERY: Duration = Duration::from_millis(100);
/// What a client waits before it sends again what was refused.
const BACKOFF: Duration = Duration::from_millis(20);
/// After the end, for what is not acked yet.
const PATIENCE: Duration = Duration::from_secs(30);

/// A request that was acked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Acked {
    pub(super) due: Instant,
    pub(super) took: Duration,
    /// Tries before, which were refused or not answered.
    pub(super) in_vain: u64,
}

/// What the client saw of a run.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) acked: u64,
    pub(super) refused: u64,
    pub(super) unanswered: u64,
    pub(super) wrong: Vec<String>,
    pub(super) tally: Tally,
}

pub(super) struct Healthy {
    stop: watch::Sender<bool>,
    lanes: JoinSet<Seen>,
    acked: mpsc::UnboundedReceiver<Acked>,
    /// When the request is due that each lane is at.
    at: Vec<watch::Receiver<Instant>>,
}

impl Healthy {
    pub(super) fn begin(ports: Ports, groups: &Groups, seed: u64) -> Healthy {
        let (stop, stopped) = watch::channel(false);
        // A sample is a few words, and a run has some thousands.
        let (tell, acked) = mpsc::unbounded_channel();
        let mut lanes = JoinSet::new();
        let began = Instant::now();
        let mut at_of_lanes = Vec::new();
        for (number, how) in (0..).zip(LANES) {
            let first = began + EVERY * number as u32 / LANES.len() as u32;
            let (tell_at, at) = watch::channel(first);
            at_of_lanes.push(at);
            let lane = Lane {
                how,
                wire: Wire::new(ports),
                groups: groups.clone(),
                rng: StdRng::seed_from_u64(seed.wrapping_add(number)),
                tell: tell.clone(),
                at: tell_at,
                seen: Seen::default(),
            };
            lanes.spawn(lane.run(first, stopped.clone()));
        }
        Healthy { stop, lanes, acked, at: at_of_lanes }
    }

    /// What was acked since the last call.
    pub(super) fn take(&mut self) -> Vec<Acked> {
        std::iter::from_fn(|| self.acked.try_recv().ok()).collect()
    }

    /// The same, once all is acked that was due by then. What is not even long after counts as if it were.
    pub(super) async fn acked_by(&mut self, then: Instant) -> Vec<Acked> {
        let give_up = Instant::now() + PATIENCE;
        let mut late = Vec::new();
        for at in &mut self.at {
            let reached = at.wait_for(|due| *due >= then);
            if tokio::time::timeout_at(give_up.into(), reached).await.is_err() {
                let first = *at.borrow();
                let due = (0..).map(|nth| first + EVERY * nth).take_while(|due| *due < then);
                late.extend(due.map(|due| Acked { due, took: due.elapsed(), in_vain: 0 }));
            }
        }
        let mut acked = self.take();
        acked.extend(late);
        acked
    }

    /// Ends once everything that was begun is acked.
    pub(super) async fn stop(mut self) -> anyhow::Result<Seen> {
        // All of them may have ended with an error; then nobody hears it.
        let _ = self.stop.send(true);
        let mut all = Seen::default();
        while let Some(seen) = self.lanes.join_next().await {
            let seen = seen.context("a lane of the healthy client failed")?;
            all.acked += seen.acked;
            all.refused += seen.refused;
            all.unanswered += seen.unanswered;
            all.wrong.extend(seen.wrong);
            all.tally.merge(&seen.tally);
        }
        Ok(all)
    }
}

struct Lane {
    how: How,
    wire: Wire,
    groups: Groups,
    rng: StdRng,
    tell: mpsc::UnboundedSender<Acked>,
    at: watch::Sender<Instant>,
    seen: Seen,
}

impl Lane {
    async fn run(mut self, mut due: Instant, stop: watch::Receiver<bool>) -> Seen {
        loop {
            // Drawn ahead of its time, which is the client's own affair.
            let request = self.draw();
            tokio::time::sleep_until(due.into()).await;
            if *stop.borrow() || !self.send(request, due, &stop).await {
                return self.seen;
            }
            due += EVERY;
            self.at.send_replace(due);
        }
    }

    fn draw(&mut self) -> Request {
        let now_ns = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_nanos());
        let now_ns = u64::try_from(now_ns).unwrap_or(u64::MAX);
        Request::new(draw_recent(&self.groups, SPANS, now_ns, &mut self.rng))
    }

    /// Until it is acked; false when that never came.
    async fn send(&mut self, request: Request, due: Instant, stop: &watch::Receiver<bool>) -> bool {
        let (mut give_up, mut in_vain) = (None, 0);
        loop {
            let last = match self.wire.send(self.how, &request.body, &mut self.rng).await {
                Outcome::Acked { rejected: 0 } => {
                    self.seen.acked += 1;
                    request.add_to(&mut self.seen.tally);
                    // The run may be over; what it measured is taken by then.
                    let _ = self.tell.send(Acked { due, took: due.elapsed(), in_vain });
                    return true;
                }
                Outcome::Acked { rejected } => {
                    self.seen.wrong.push(format!("{rejected} spans of a good request rejected"));
                    return false;
                }
                Outcome::Wrong(what) => {
                    self.seen.wrong.push(what);
                    return false;
                }
                Outcome::Refused(what) => {
                    self.seen.refused += 1;
                    what
                }
                Outcome::Unanswered(what) => {
                    self.seen.unanswered += 1;
                    what
                }
            };
            if *stop.borrow()
                && Instant::now() > *give_up.get_or_insert_with(|| Instant::now() + PATIENCE)
            {
                self.seen.wrong.push(format!("not acked {PATIENCE:?} after the end: {last}"));
                return false;
            }
            in_vain += 1;
            tokio::time::sleep(BACKOFF).await;
        }
    }
}
