//! One client: it makes requests and sends each until it is acked, through every restart.
//!
//! ```text
//!            ┌──────────────── unanswered, refused, hung up on ────────────────┐
//!            ▼                                                                 │
//!  draw ─▶ waiting ─▶ sent ─ once ─ hung up on ─ twice at a time ─▶ answered? ─┘
//!                                                                      │ acked
//!                                        tally, once ◀─────────────────┤
//!                                        recent, now and then again ◀──┘
//! ```

use std::collections::VecDeque;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::watch;

use super::request::Request;
use super::spans::{self, Groups};
use super::wire::{How, Outcome, Ports, Wire};
use crate::tally::Tally;

/// Acked requests that may be sent once more, as if their answer had been lost.
const RECENT: usize = 64;
/// A request sent again later than this may count twice by the product's promise of 10 minutes.
const DEDUP_LIMIT: Duration = Duration::from_secs(9 * 60);
/// One that was acked is not sent again later than this.
const AGAIN_LIMIT: Duration = Duration::from_secs(5 * 60);
/// Further than this a client does not get ahead of its unanswered requests.
const MAX_WAITING: usize = 20;
const KEPT_WRONGS: usize = 20;

/// What a client saw, in numbers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) acked: u64,
    pub(crate) tries: u64,
    pub(crate) refused: u64,
    pub(crate) unanswered: u64,
    pub(crate) hung_up: u64,
    pub(crate) twice: u64,
    pub(crate) again: u64,
    pub(crate) partly_rejected: u64,
    /// Requests acked after at least one try without an answer.
    pub(crate) acked_after_unanswered: u64,
}

impl Seen {
    pub(crate) fn add(&mut self, other: &Seen) {
        self.acked += other.acked;
        self.tries += other.tries;
        self.refused += other.refused;
        self.unanswered += other.unanswered;
        self.hung_up += other.hung_up;
        self.twice += other.twice;
        self.again += other.again;
        self.partly_rejected += other.partly_rejected;
        self.acked_after_unanswered += other.acked_after_unanswered;
    }
}

pub(super) struct Client {
    rng: StdRng,
    groups: Groups,
    run_began_ns: u64,
    waiting: VecDeque<Request>,
    recent: VecDeque<Request>,
    /// Whether it hangs up now and then.
    hangs_up: bool,
    /// Every acked request, once.
    pub(super) acked: Tally,
    /// Every try that was acked, for a product that counts each.
    pub(super) acked_tries: Tally,
    /// Every try of every request.
    pub(super) tried: Tally,
    pub(super) seen: Seen,
    pub(super) wrong: Vec<String>,
}

impl Client {
    pub(super) fn new(seed: u64, groups: Groups, run_began_ns: u64, hangs_up: bool) -> Self {
        Client {
            rng: StdRng::seed_from_u64(seed),
            groups,
            run_began_ns,
            waiting: VecDeque::new(),
            recent: VecDeque::new(),
            hangs_up,
            acked_tries: Tally::default(),
            acked: Tally::default(),
            tried: Tally::default(),
            seen: Seen::default(),
            wrong: Vec::new(),
        }
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Sends in all manners until it is told to stop.
    pub(super) async fn load(&mut self, ports: Ports, mut stop: watch::Receiver<bool>) {
        let mut wires = [Wire::new(ports), Wire::new(ports)];
        while !*stop.borrow_and_update() {
            let request = match self.waiting.pop_front() {
                Some(request) if self.waiting.len() >= MAX_WAITING || self.rng.gen_bool(0.5) => {
                    request
                }
                earlier => {
                    self.waiting.extend(earlier);
                    self.draw()
                }
            };
            let went_well = match self.rng.gen_range(0..20) {
                0..=2 if self.hangs_up => self.hang_up_on(&mut wires[0], request).await,
                3..=5 => self.send_twice(&mut wires, request).await,
                6..=7 => {
                    self.send_again(&mut wires[0]).await;
                    self.send(&mut wires[0], request).await
                }
                _ => self.send(&mut wires[0], request).await,
            };
            if !went_well {
                // Back off, as a client should; a stop is heard at once.
                let pause = Duration::from_millis(self.rng.gen_range(2..40));
                let _ = tokio::time::timeout(pause, stop.changed()).await;
            }
        }
    }

    /// Sends each waiting request once, in the plain manner.
    pub(super) async fn retry(&mut self, ports: Ports) {
        let mut wire = Wire::new(ports);
        for _ in 0..self.waiting.len() {
            if let Some(request) = self.waiting.pop_front() {
                self.send(&mut wire, request).await;
            }
        }
    }

    /// Until every request is acked.
    pub(super) async fn drain(&mut self, ports: Ports, until: Instant) {
        while !self.waiting.is_empty() && Instant::now() < until {
            self.retry(ports).await;
            if !self.waiting.is_empty() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        let left = self.waiting.len();
        if left > 0 {
            self.note_wrong(format!("{left} requests are not acked, however often they are sent"));
        }
    }

    fn draw(&mut self) -> Request {
        let now_ns = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_nanos());
        let now_ns = u64::try_from(now_ns).unwrap_or(u64::MAX);
        let drawn = spans::draw(&self.groups, self.run_began_ns, now_ns, &mut self.rng);
        Request::new(drawn)
    }

    async fn send(&mut self, wire: &mut Wire, mut request: Request) -> bool {
        self.note_try(&mut request);
        let how = How::draw(&mut self.rng);
        let outcome = wire.send(how, &request.body, &mut self.rng).await;
        self.settle(request, outcome)
    }

    /// Drops the call at some moment.
    async fn hang_up_on(&mut self, wire: &mut Wire, mut request: Request) -> bool {
        self.note_try(&mut request);
        let how = How::draw(&mut self.rng);
        let patience = Duration::from_micros(10f64.powf(self.rng.gen_range(1.5..4.3)) as u64);
        let sending = wire.send(how, &request.body, &mut self.rng);
        let outcome = match tokio::time::timeout(patience, sending).await {
            Ok(outcome) => outcome,
            Err(_) => {
                self.seen.hung_up += 1;
                request.unanswered += 1;
                self.waiting.push_back(request);
                return true;
            }
        };
        self.settle(request, outcome)
    }

    /// On two connections at one time.
    async fn send_twice(&mut self, wires: &mut [Wire; 2], mut request: Request) -> bool {
        self.seen.twice += 1;
        self.note_try(&mut request);
        self.note_try(&mut request);
        let hows = [How::draw(&mut self.rng), How::draw(&mut self.rng)];
        let mut other_rng = StdRng::seed_from_u64(self.rng.r#gen());
        let [first, second] = wires;
        let (one, two) = tokio::join!(
            first.send(hows[0], &request.body, &mut self.rng),
            second.send(hows[1], &request.body, &mut other_rng),
        );
        let is_acked = |outcome: &Outcome| matches!(outcome, Outcome::Acked { .. });
        let (best, other) = if is_acked(&one) { (one, two) } else { (two, one) };
        self.check(&request, &other);
        self.settle(request, best)
    }

    /// As if the answer to an earlier request had been lost.
    async fn send_again(&mut self, wire: &mut Wire) {
        while let Some(sent) = self.recent.front().and_then(|request| request.first_sent)
            && sent.elapsed() > AGAIN_LIMIT
        {
            self.recent.pop_front();
        }
        if self.recent.is_empty() {
            return;
        }
        let at = self.rng.gen_range(0..self.recent.len());
        let Some(mut request) = self.recent.remove(at) else { return };
        self.seen.again += 1;
        self.note_try(&mut request);
        let how = How::draw(&mut self.rng);
        let outcome = wire.send(how, &request.body, &mut self.rng).await;
        self.check(&request, &outcome);
    }

    fn note_try(&mut self, request: &mut Request) {
        let first_sent = *request.first_sent.get_or_insert_with(Instant::now);
        if first_sent.elapsed() > DEDUP_LIMIT {
            self.note_wrong(format!(
                "a request first sent {:?} ago is still not acked: the product's promise to count it \
                 once ends at 10 minutes, so this run says nothing more",
                first_sent.elapsed()
            ));
        }
        self.seen.tries += 1;
        request.add_to(&mut self.tried);
    }

    /// Whether the try went well.
    fn settle(&mut self, mut request: Request, outcome: Outcome) -> bool {
        self.check(&request, &outcome);
        match outcome {
            Outcome::Acked { .. } => {
                self.seen.acked += 1;
                self.seen.partly_rejected += u64::from(request.rejected > 0);
                self.seen.acked_after_unanswered += u64::from(request.unanswered > 0);
                request.add_to(&mut self.acked);
                self.recent.push_back(request);
                if self.recent.len() > RECENT {
                    self.recent.pop_front();
                }
                return true;
            }
            Outcome::Refused(_) => self.seen.refused += 1,
            Outcome::Unanswered(_) | Outcome::Wrong(_) => {
                self.seen.unanswered += 1;
                request.unanswered += 1;
            }
        }
        self.waiting.push_back(request);
        false
    }

    fn check(&mut self, request: &Request, outcome: &Outcome) {
        if matches!(outcome, Outcome::Acked { .. }) {
            request.add_to(&mut self.acked_tries);
        }
        match outcome {
            Outcome::Acked { rejected } if *rejected != request.rejected => {
                let (expected, tries) = (request.rejected, request.unanswered);
                self.note_wrong(format!(
                    "{rejected} spans rejected, {expected} expected, after {tries} tries without an \
                     answer"
                ));
            }
            Outcome::Wrong(what) => self.note_wrong(what.clone()),
            _ => {}
        }
    }

    fn note_wrong(&mut self, what: String) {
        if self.wrong.len() < KEPT_WRONGS {
            self.wrong.push(what);
        }
    }
}
