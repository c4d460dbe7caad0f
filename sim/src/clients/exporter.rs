//! One request on its way to an edge, from its first try to its last.

use std::cell::Cell;
use std::time::Duration;

use madsim::rand::{Rng, thread_rng};
use tokio::time::{Instant, sleep, timeout};
use tributary_edge::{Refusal, TraceAnswer};

use super::{Clients, Habit, MARGIN};
use crate::cluster::{GRACE, Life, SHARDS};
use crate::invariants::{self, Violation};
use crate::oracle::{AckedAt, Try};
use crate::traffic::Sent;

pub(crate) struct Exporter {
    number: usize,
    /// As the oracle knows it.
    request: usize,
    sent: Sent,
    pub(super) edge: usize,
    habit: Habit,
    first: Cell<Option<First>>,
    is_done: Cell<bool>,
    is_forgettable: Cell<bool>,
}

/// The first try that an edge met.
#[derive(Clone, Copy)]
struct First {
    at: Instant,
    /// When the life of the edge began that met it, in the world's time.
    life_began_ms: i64,
}

impl Exporter {
    pub(super) fn new(
        clients: &Clients,
        number: usize,
        sent: Sent,
        edge: usize,
        habit: Habit,
    ) -> Self {
        let region = clients.edges[edge].region;
        let request = clients.oracle.borrow_mut().note(&sent, region, SHARDS);
        let (first, is_done, is_forgettable) = Default::default();
        Exporter { number, request, sent, edge, habit, first, is_done, is_forgettable }
    }

    pub(super) async fn run(&self, clients: &Clients) -> Result<(), Violation> {
        let ran = self.send_as_it_does(clients).await;
        self.is_done.set(true);
        ran
    }

    pub(crate) fn is_done(&self) -> bool {
        self.is_done.get()
    }

    pub(crate) fn number(&self) -> usize {
        self.number
    }

    pub(crate) fn is_acked(&self, clients: &Clients) -> bool {
        clients.oracle.borrow().first_answer(self.request).is_some()
    }

    /// Whether it was acked, and so lately that a repeat must be known.
    pub(super) fn is_remembered(&self, clients: &Clients) -> bool {
        self.is_acked(clients) && !self.is_forgettable.get() && !self.is_too_old(clients)
    }

    /// The same bytes once more. Answers what came of it, which is judged already.
    pub(crate) async fn send_again(
        &self,
        clients: &Clients,
        life: &Life,
    ) -> Result<Result<TraceAnswer, Refusal>, Violation> {
        let patience = Habit::default().patience(0);
        let answered = self.send(clients, life, patience).await?;
        Ok(answered.unwrap_or(Err(Refusal::Journal("no answer in time".into()))))
    }

    async fn send_as_it_does(&self, clients: &Clients) -> Result<(), Violation> {
        if !self.until_acked(clients).await? {
            return Ok(());
        }
        for _ in 0..self.habit.again {
            clients.dawdle(Duration::from_millis(thread_rng().gen_range(1..20_000))).await;
            if self.is_too_old(clients) {
                break;
            }
            if let Some(life) = clients.life(self.edge) {
                self.round(clients, &life, 0).await?;
            }
        }
        if self.habit.forgets {
            self.send_beyond_memory(clients).await?;
        }
        Ok(())
    }

    /// Whether it was acked in the end.
    async fn until_acked(&self, clients: &Clients) -> Result<bool, Violation> {
        for round in 0.. {
            if let Some(life) = clients.life(self.edge) {
                let (at, life_began_ms) = (Instant::now(), life.began_ms);
                if self.first.get().is_none() {
                    self.first.set(Some(First { at, life_began_ms }));
                }
                if self.round(clients, &life, round).await? {
                    return Ok(true);
                }
                if self.habit.gives_up {
                    return Ok(false);
                }
            }
            sleep(self.habit.pause(round)).await;
            if self.is_too_old(clients) {
                return Ok(false);
            }
        }
        Ok(false)
    }

    /// Once, on one connection or on two; whether it was acked.
    async fn round(&self, clients: &Clients, life: &Life, round: u32) -> Result<bool, Violation> {
        let first = self.send(clients, life, self.habit.patience(round));
        if !self.habit.is_double {
            return Ok(matches!(first.await?, Some(Ok(_))));
        }
        let second = async {
            let behind = Duration::from_millis(thread_rng().gen_range(0..8));
            if !behind.is_zero() {
                sleep(behind).await;
            }
            self.send(clients, life, self.habit.patience(round)).await
        };
        let (first, second) = tokio::join!(first, second);
        Ok([first?, second?].iter().any(|answer| matches!(answer, Some(Ok(_)))))
    }

    /// When nobody has to know it any more. It may count twice then.
    async fn send_beyond_memory(&self, clients: &Clients) -> Result<(), Violation> {
        if self.sent.possible_answers().len() > 1 {
            // Each time it counts by the clock of then, in ways that the oracle cannot tell apart.
            return Ok(());
        }
        let forgotten_at = Instant::now() + clients.memory + MARGIN;
        clients.dawdle(clients.memory + MARGIN).await;
        let Some(life) = clients.life(self.edge).filter(|_| Instant::now() >= forgotten_at) else {
            return Ok(());
        };
        self.is_forgettable.set(true);
        clients.oracle.borrow_mut().sends_beyond_memory(self.request);
        self.send(clients, &life, self.habit.patience(0)).await?;
        Ok(())
    }

    /// One try; `None` where it has hung up.
    async fn send(
        &self,
        clients: &Clients,
        life: &Life,
        patience: Duration,
    ) -> Result<Option<Result<TraceAnswer, Refusal>>, Violation> {
        let sending = clients.oracle.borrow_mut().sends(self.request);
        let is_repeat = self.is_acked(clients);
        let answering = clients.front.send(self.number, &self.sent, life, is_repeat);
        let answer = timeout(patience, answering).await.ok();
        let region = clients.edges[self.edge].region;
        clients.trace.event(format_args!("request {} to {region}: {answer:?}", self.number));
        match &answer {
            Some(Ok(answer)) => self.acked(clients, life, sending, *answer)?,
            Some(Err(Refusal::Overload { .. })) => {
                clients.oracle.borrow_mut().turned_away(sending);
            }
            Some(Err(Refusal::Journal(_))) => {
                clients.oracle.borrow_mut().refused(sending, life.source);
            }
            // Whether it was written is the edge's secret.
            Some(Err(Refusal::Stopping)) | None => {}
            Some(Err(refusal)) => invariants::refused_retryably(self.number, refusal)?,
        }
        Ok(answer)
    }

    fn acked(
        &self,
        clients: &Clients,
        life: &Life,
        sending: Try,
        answer: TraceAnswer,
    ) -> Result<(), Violation> {
        let first = clients.oracle.borrow().first_answer(self.request);
        let known = first.filter(|_| !self.is_forgettable.get());
        let possible = self.sent.possible_answers();
        // What was lost with a journal's record is taken for new.
        let known = known.filter(|_| !clients.is_damaged);
        invariants::same_answer_again(self.number, &possible, known, answer)?;
        let edge = &clients.edges[self.edge];
        let began_ms = self.first.get().map_or(life.began_ms, |first| first.life_began_ms);
        let at = AckedAt {
            source: life.source,
            furthest_ms: edge.clock.furthest_ms_since(began_ms),
            grace_ms: GRACE.as_millis() as i64,
            known: &clients.observed.known(),
        };
        clients.oracle.borrow_mut().acked(sending, answer, &at);
        Ok(())
    }

    /// Whether the edge may begin to forget it soon.
    fn is_too_old(&self, clients: &Clients) -> bool {
        let first = self.first.get();
        first.is_some_and(|first| first.at.elapsed() + MARGIN >= clients.memory)
    }
}
