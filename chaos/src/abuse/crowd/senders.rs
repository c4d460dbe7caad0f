//! Senders of bad bodies, each at its own pace, one call at a time.

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::task::JoinSet;

use super::answers::AnswersOf;
use super::bodies::Body;
use super::link::{Link, Protocol};
use crate::load::Ports;

#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    senders: u64,
    /// Of each, if it is answered as soon.
    every: Duration,
}

pub(super) const BOMBS: Pace = Pace { senders: 32, every: Duration::from_secs(1) };
pub(super) const DEEP: Pace = Pace { senders: 4, every: Duration::from_millis(200) };
pub(super) const WIDE: Pace = Pace { senders: 8, every: Duration::from_secs(1) };
/// After a connection that broke.
const PAUSE: Duration = Duration::from_millis(100);

impl Pace {
    /// Calls in that time.
    pub(super) fn within(self, time: Duration) -> u64 {
        (self.senders as f64 * time.as_secs_f64() / self.every.as_secs_f64()) as u64
    }
}

pub(super) fn join(
    ports: Ports,
    pace: Pace,
    bodies: &Arc<[Body]>,
    answers: &AnswersOf,
    crowd: &mut JoinSet<()>,
) {
    for number in 0..pace.senders {
        crowd.spawn(send(ports, number, pace.every, bodies.clone(), answers.clone()));
    }
}

async fn send(ports: Ports, number: u64, every: Duration, bodies: Arc<[Body]>, answers: AnswersOf) {
    let mut rng = StdRng::seed_from_u64(number);
    let mut link = Link::new(ports);
    // Not all at one moment.
    tokio::time::sleep(every.mul_f64(rng.r#gen())).await;
    let mut due = tokio::time::interval(every);
    due.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        due.tick().await;
        let body = bodies[rng.gen_range(0..bodies.len())].to_send(rng.r#gen());
        let by_grpc = !body.is_json && rng.gen_bool(0.5);
        let protocol = if by_grpc { Protocol::Grpc } else { Protocol::Http };
        let answer = link.call(protocol, &body).await;
        if answer == "broken off" {
            tokio::time::sleep(PAUSE).await;
        }
        answers.note(answer);
    }
}
